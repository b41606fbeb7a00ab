/** The fields of a received JSON object, found as Go finds them: without regard to case, the last of equals winning. */

export type Fields = ReadonlyMap<string, unknown>;

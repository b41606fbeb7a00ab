/** The fields of a received JSON object, found as Go finds them: without regard to case, the last of equals winning. */

export type Fields = ReadonlyMap<string, unknown>;

/** `key` as Go's JSON decoder folds it: ASCII case, the long s and the Kelvin sign. */
export function foldKey(key: string): string {
  return key.toLowerCase().replaceAll('ſ', 's');
}

/** The fields of `object` by folded key. A `null` is as if it were not there: Go leaves the field as it was. */
export function fieldsOf(object: object): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [key, value] of Object.entries(object)) {
    if (value !== null) fields.set(foldKey(key), value);
  }
  return fields;
}

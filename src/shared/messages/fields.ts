/** The fields of a received JSON object, found as Go finds them: without regard to case, the last of equals winning. */

import { Refusal } from './refusal.js';

export type Fields = ReadonlyMap<string, unknown>;

/** Spellings met so far and what they fold to: nodes send the same few. */
const FOLDED = new Map<string, string>();
const FOLDED_MAX = 1024;

/** `key` as Go's JSON decoder folds it: ASCII case, the long s and the Kelvin sign. */
export function foldKey(key: string): string {
  const known = FOLDED.get(key);
  if (known !== undefined) return known;
  const folded = key.toLowerCase().replaceAll('ſ', 's');
  // Strangers choose keys: the first thousand spellings are remembered, the rest folded each time.
  if (FOLDED.size < FOLDED_MAX && key.length < 64) FOLDED.set(key, folded);
  return folded;
}

/** Members of an object at the most: ten times the longest message, and too few to cost anything. */
const MEMBERS_MAX = 256;

/**
 * The fields of `object` by folded key. A `null` is as if it were not there: Go leaves the field as it was. Throws Refusal
 * `malformed` past 256 members.
 */
export function fieldsOf(object: object): Map<string, unknown> {
  const members = object as Readonly<Record<string, unknown>>;
  const fields = new Map<string, unknown>();
  const keys = Object.keys(members);
  if (keys.length > MEMBERS_MAX) throw new Refusal('malformed', `${keys.length} members`);
  for (const key of keys) {
    const value = members[key];
    if (value !== null) fields.set(foldKey(key), value);
  }
  return fields;
}

/** WebSocket frames as Go's encoder writes them (WIRE §6). */

import type { FrameField } from './frame-fields.js';
import { stringify } from './json.js';

// Go escapes these within strings, and outside of strings JSON never has them.
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/;
const EVERY_ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The last that was asked for: a second's messages have the same. */
let known = { second: Number.NaN, text: '' };

/** `2006-01-02T15:04:05Z` in UTC of a unix time in ms. */
export function frameTimestamp(at: number): string {
  const second = Math.floor(at / 1000);
  if (second !== known.second) known = { second, text: `${new Date(at).toISOString().slice(0, 19)}Z` };
  return known.text;
}

type Generation = 'first' | 'current';

/** Whether Go's encoder of the generation leaves the field out. */
function isLeftOut(
  { keepsZero, currentOnly }: FrameField<never>,
  value: unknown,
  generation: Generation,
): boolean {
  if (value === undefined || (currentOnly && generation === 'first')) return true;
  if (value !== '' && value !== 0 && value !== 0n) return false;
  return keepsZero === false || (keepsZero === 'current' && generation === 'first');
}

/** Compact JSON of a frame: `timestamp`, `type`, then `fields` of `message` in their order without those that are left out. */
export function frameJson<M>(
  type: string,
  fields: readonly FrameField<M>[],
  message: M,
  at: number,
  generation: Generation,
): string {
  let json = `{"timestamp":"${frameTimestamp(at)}","type":"${type}"`;
  for (const field of fields) {
    const value = field.of(message);
    if (isLeftOut(field, value, generation)) continue;
    json += `,"${field.name}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
  }
  json += '}';
  return ESCAPED_BY_GO.test(json) ? json.replace(EVERY_ESCAPED_BY_GO, escaped) : json;
}

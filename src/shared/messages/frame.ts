/** WebSocket frames as Go's encoder writes them (WIRE §6). */

import { stringify } from './json.js';
import type { FrameFields } from './kind.js';

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

/** Go has a pointer here: 0 is a fee, not the lack of one. */
const ZERO_IS_A_VALUE = 'min_mining_tx_fee';

/** Whether Go's encoder of the generation leaves the field out. */
function isLeftOut(key: string, value: unknown, generation: 'first' | 'current'): boolean {
  if (value === undefined) return true;
  if (value !== '' && value !== 0 && value !== 0n) return false;
  return key !== ZERO_IS_A_VALUE && (key !== 'best_height' || generation === 'first');
}

/**
 * Compact JSON of a frame: `timestamp`, `type`, then `fields` in their order without the empty ones. Of the current
 * generation `best_height` is always there.
 */
export function frameJson(
  type: string,
  fields: FrameFields,
  at: number,
  generation: 'first' | 'current',
): string {
  let json = `{"timestamp":"${frameTimestamp(at)}","type":"${type}"`;
  for (const key in fields) {
    const value = fields[key];
    if (isLeftOut(key, value, generation)) continue;
    json += `,"${key}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
  }
  json += '}';
  return ESCAPED_BY_GO.test(json) ? json.replace(EVERY_ESCAPED_BY_GO, escaped) : json;
}

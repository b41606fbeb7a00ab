/** WebSocket frames as Go's encoder writes them (WIRE §6). */

import { stringify } from './json.js';
import type { FrameFields } from './kind.js';

// Go escapes these within strings, and outside of strings JSON never has them.
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/;
const EVERY_ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** `2006-01-02T15:04:05Z` in UTC of a unix time in ms. */
export function frameTimestamp(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** Compact JSON of a frame, `timestamp` first, then `fields` in their order without the empty ones. */
export function frameJson(fields: FrameFields, at: number, generation: 'first' | 'current'): string {
  let json = `{"timestamp":"${frameTimestamp(at)}"`;
  for (const key in fields) {
    const value = fields[key];
    const empty = value === '' || value === 0 || value === 0n || value === undefined;
    if (empty && (key !== 'best_height' || generation === 'first')) continue;
    json += `,"${key}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
  }
  json += '}';
  return ESCAPED_BY_GO.test(json) ? json.replace(EVERY_ESCAPED_BY_GO, escaped) : json;
}

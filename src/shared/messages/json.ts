/** JSON as Go reads and writes it: 64-bit integers unrounded, UTF-8 or nothing. */

import { isUtf8 } from 'node:buffer';
import { parse as parseLossless } from 'lossless-json';
import { Refusal } from './refusal.js';

// A run of 16 digits that does not begin a string can pass 2^53; hashes always follow a quote.
const LONG_NUMBER = /[\s:,[-]\d{16}/;
const INTEGER = /^-?\d+$/;
/** Characters of the longest 64-bit integer. */
const INTEGER_MAX = 20;

function parseNumber(text: string): number | bigint {
  if (!INTEGER.test(text)) return Number(text);
  const number = Number(text);
  // Past 64 bits it is out of every field's range, and a bigint of thousands of digits would cost.
  return Number.isSafeInteger(number) || text.length > INTEGER_MAX ? number : BigInt(text);
}

function parseText(text: string): unknown {
  return LONG_NUMBER.test(text)
    ? parseLossless(text, null, { parseNumber, onDuplicateKey: ({ newValue }) => newValue })
    : JSON.parse(text);
}

const OPENING_BRACE = 0x7b;

function opensObject(bytes: Uint8Array): boolean {
  for (const byte of bytes) {
    if (byte === OPENING_BRACE) return true;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return false;
  }
  return false;
}

/**
 * The JSON object that `bytes` hold, integers beyond 2^53 as bigint. Throws Refusal: `unknown_framing` when they do not
 * begin an object, `malformed` when they are not UTF-8, cut short, nested past the stack or followed by anything.
 */
export function parseObject(bytes: Uint8Array): object {
  if (!opensObject(bytes)) throw new Refusal('unknown_framing', 'no JSON object');
  if (!isUtf8(bytes)) throw new Refusal('malformed', 'not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return parseText(text) as object;
  } catch {
    throw new Refusal('malformed', 'not JSON');
  }
}

/** Compact JSON of text, numbers, bigints, booleans, and objects and arrays of them. `undefined` members are left out. */
export function stringify(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${stringify(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

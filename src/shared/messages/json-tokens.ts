/** Strings, numbers and words of JSON in strangers' bytes, one after the other; `object-reader.ts` says by whose rules. */

import { isUtf8 } from 'node:buffer';
import { Refusal } from './refusal.js';
import { coerced } from './utf8.js';
import type { Integer, WireField } from './wire-fields.js';

export const QUOTE = 0x22;
/** What makes a letter of ASCII a small one. */
export const CASE = 0x20;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const E = 0x65;

/** What a byte is within a string. */
const PLAIN = 0;
const CLOSES = 1;
const ESCAPES = 2;
const BEYOND_ASCII = 3;
const CONTROL = 4;
const IN_STRING = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === QUOTE) return CLOSES;
  if (byte === BACKSLASH) return ESCAPES;
  if (byte < 0x20) return CONTROL;
  return byte < 0x80 ? PLAIN : BEYOND_ASCII;
});
const NO_BASE64 = /[^A-Za-z0-9+/=]/;
const U = 0x75;
/** 1 for what may follow a backslash, but for `U` and its digits. */
const ESCAPE = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrt')) ESCAPE[byte] = 1;

const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
/** Digits of a number that is exact in any case, and of the largest uint64. */
const SAFE_DIGITS = 15;
const DIGITS_MAX = 20;

/** Throws Refusal `malformed`. */
export function malformed(why = 'not JSON'): never {
  throw new Refusal('malformed', why);
}

/** Thrown where plain texts alone are to be read, at the first other one: see `readObject`. */
class NotPlainError extends Error {
  override readonly name = 'NotPlainError';
}
/** Made once: strangers decide how often it is thrown. */
export const NOT_PLAIN = new NotPlainError('a text has escapes, or is not ASCII');

export abstract class JsonTokens {
  protected readonly bytes: Buffer;
  protected readonly length: number;
  readonly #plainOnly: boolean;
  /** Offset of what is read next. */
  protected at = 0;
  /** Where the string or number read last is, without quotes, and what is in it. */
  protected from = 0;
  protected to = 0;
  protected escaped = false;
  protected ascii = true;
  #integer = true;

  /** `plainOnly`: a string that has escapes or anything beyond ASCII throws NOT_PLAIN. */
  constructor(bytes: Uint8Array, plainOnly: boolean) {
    this.#plainOnly = plainOnly;
    this.bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.length;
  }

  protected space(): void {
    const bytes = this.bytes;
    let at = this.at;
    for (; at < this.length; at++) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    this.at = at;
  }

  protected literal(word: string): void {
    for (let n = 0; n < word.length; n++) {
      if (this.bytes[this.at + n] !== word.charCodeAt(n)) malformed();
    }
    this.at += word.length;
  }

  protected string(): void {
    const bytes = this.bytes;
    const length = this.length;
    if (bytes[this.at] !== QUOTE) malformed();
    let at = this.at + 1;
    this.from = at;
    this.escaped = false;
    this.ascii = true;
    for (; at < length; at++) {
      const what = IN_STRING[bytes[at] as number];
      if (what === PLAIN) continue;
      if (this.#plainOnly && (what === BEYOND_ASCII || what === ESCAPES)) throw NOT_PLAIN;
      if (what === BEYOND_ASCII) this.ascii = false;
      else if (what === ESCAPES) {
        this.escaped = true;
        at = this.#escape(at + 1);
      } else if (what === CLOSES) {
        this.to = at;
        this.at = at + 1;
        return;
      } else break;
    }
    malformed();
  }

  /** The last byte of the escape whose first after the backslash is at `at`. */
  #escape(at: number): number {
    const bytes = this.bytes;
    const what = bytes[at] ?? 0;
    if (what !== U) {
      if (ESCAPE[what] !== 1) malformed();
      return at;
    }
    for (let n = 1; n <= 4; n++) {
      const digit = bytes[at + n] ?? 0;
      const letter = digit | CASE;
      if (!isDigit(digit) && (letter < 0x61 || letter > 0x66)) malformed();
    }
    return at + 4;
  }

  /** The string read last. */
  protected text(): string {
    const [from, to] = [this.from, this.to];
    if (this.ascii && !this.escaped) return this.bytes.toString('latin1', from, to);
    const raw = this.bytes.subarray(from, to);
    const text = (this.ascii || isUtf8(raw) ? raw : coerced(raw)).toString('utf8');
    return this.escaped ? (JSON.parse(`"${text}"`) as string).toWellFormed() : text;
  }

  /** The bytes that the string read last is in base64; undefined when it is none. */
  protected base64(): Uint8Array | undefined {
    let text = this.text();
    // Go passes over line ends. Buffer passes over anything, takes the URL alphabet, and of other letters the low byte.
    if (this.escaped) text = text.replace(/[\r\n]/g, '');
    const bytes = Buffer.from(text, 'base64');
    const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
    const whole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
    return whole && !NO_BASE64.test(text) ? bytes : undefined;
  }

  protected number(): void {
    const bytes = this.bytes;
    let at = this.at;
    this.from = at;
    if (bytes[at] === MINUS) at += 1;
    const first = at;
    at = this.#digits(at);
    if (bytes[first] === ZERO && at > first + 1) malformed();
    this.#integer = true;
    if (bytes[at] === DOT) {
      this.#integer = false;
      at = this.#digits(at + 1);
    }
    if (((bytes[at] ?? 0) | CASE) === E) {
      this.#integer = false;
      at += 1;
      if (bytes[at] === PLUS || bytes[at] === MINUS) at += 1;
      at = this.#digits(at);
    }
    this.to = at;
    this.at = at;
  }

  /** Where the digits end of which the first must be at `at`. */
  #digits(at: number): number {
    const start = at;
    let end = at;
    while (end < this.length && isDigit(this.bytes[end] as number)) end += 1;
    if (end === start) malformed();
    return end;
  }

  /** The number read last; undefined where it is none of `type`. */
  protected numberFor(type: WireField['type']): Integer | undefined {
    switch (type) {
      case 'float':
      case 'optional float': {
        const number = Number(this.bytes.toString('latin1', this.from, this.to));
        return Number.isFinite(number) ? number : undefined;
      }
      case 'uint32':
        return this.#unsigned(UINT32_MAX);
      case 'uint64':
        return this.#unsigned(UINT64_MAX);
      case 'int64': {
        const number = this.#exact();
        if (typeof number === 'bigint') {
          return number >= -INT64_MAX - 1n && number <= INT64_MAX ? number : undefined;
        }
        // Go has no minus zero among its integers.
        return number === 0 ? 0 : number;
      }
      default:
        return undefined;
    }
  }

  #unsigned(max: Integer): Integer | undefined {
    // Go takes no sign here, not even of 0.
    if (this.bytes[this.from] === MINUS) return undefined;
    const number = this.#exact();
    return number !== undefined && number <= max ? number : undefined;
  }

  /** The integer read last; undefined where it is none, or longer than any of 64 bits. */
  #exact(): Integer | undefined {
    const length = this.to - this.from;
    if (!this.#integer || length > DIGITS_MAX) return undefined;
    const text = this.bytes.toString('latin1', this.from, this.to);
    const number = Number(text);
    return length <= SAFE_DIGITS || Number.isSafeInteger(number) ? number : BigInt(text);
  }
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

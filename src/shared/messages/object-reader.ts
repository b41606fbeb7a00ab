/**
 * JSON objects as Go's `encoding/json` reads them into a struct: strangers' bytes are walked once, and what a table of fields
 * names is taken out. Go's rules, all of them compared with Go itself by the interop suite:
 *
 * - A key is its field's in any case (`ſ` is an s, the Kelvin sign a k), escapes in it included; the last of equals wins.
 * - `null` leaves a field as it was, but empties one that is a pointer or bytes in Go. Objects named twice are merged.
 * - 64-bit integers are exact; one with a fraction, an exponent or out of its range is of a wrong type, as in any field.
 * - Bytes that are no UTF-8 and lone surrogates become U+FFFD within a text.
 * - What is not named is skipped, and must be JSON nevertheless.
 *
 * A wrong type is told, not thrown: of Go's decoders the one may not mind what the other refuses. What Go takes and this does
 * not: more than 64 levels, more than 1,024 values, bytes as an array of numbers. No message has a tenth of these or any of those,
 * and what is left costs the time of its bytes.
 */

import { isUtf8 } from 'node:buffer';
import { Refusal } from './refusal.js';
import { type Integer, type WireField, zeroMessage } from './wire-fields.js';

/** Levels of objects and arrays at the most, the outermost included. */
const DEPTH_MAX = 64;
/** Values at the most, members of objects and elements of arrays counted together. */
const VALUES_MAX = 1024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const E = 0x65;
const CASE = 0x20;

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

/** Of one letter in a string at the most, as in `\u0061`. */
const ESCAPE_BYTES = 6;

const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
/** Digits of a number that is exact in any case, and of the largest uint64. */
const SAFE_DIGITS = 15;
const DIGITS_MAX = 20;

interface Slot {
  readonly field: WireField;
  /** Upper case. */
  readonly key: Uint8Array;
}

/** A table of fields made ready for reading. */
interface Layout {
  /** Of each field Go's zero value. */
  readonly zero: Readonly<Record<string, unknown>>;
  /** Fields whose zero value is an object, which no two messages may share. */
  readonly objects: readonly WireField[];
  /** By the key's length. */
  readonly byLength: readonly (readonly Slot[])[];
  readonly byFolded: ReadonlyMap<string, WireField>;
}

const LAYOUTS = new WeakMap<readonly WireField[], Layout>();

/** `key` with every character that Go holds equal made the same. Of the rest only equality counts. */
function folded(key: string): string {
  return key
    .replaceAll('ſ', 's')
    .replaceAll('\u212A', 'k')
    .replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

function layoutOf(table: readonly WireField[]): Layout {
  let layout = LAYOUTS.get(table);
  if (layout === undefined) {
    const byLength: Slot[][] = [];
    const byFolded = new Map<string, WireField>();
    for (const field of table) {
      const key = folded(field.direct);
      if (folded(field.bus) !== key)
        throw new RangeError(`${field.bus} is not ${field.direct} in another case`);
      byFolded.set(key, field);
      while (byLength.length <= key.length) byLength.push([]);
      byLength[key.length]?.push({ field, key: Buffer.from(key, 'latin1') });
    }
    const objects = table.filter(({ type }) => type === 'object');
    layout = { zero: zeroMessage(table), objects, byLength, byFolded };
    LAYOUTS.set(table, layout);
  }
  return layout;
}

/** A message of which nothing was told. */
function emptyMessage({ zero, objects }: Layout): Record<string, unknown> {
  const message = { ...zero };
  for (const { name, members } of objects) message[name] = emptyMessage(layoutOf(members));
  return message;
}

/** Throws Refusal `malformed`. */
function malformed(why = 'not JSON'): never {
  throw new Refusal('malformed', why);
}

/** Bytes of the character of UTF-8 that begins at `at`; 0 where none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const second = bytes[at + 1] ?? 0;
  // The shortest form, no surrogate, nothing past the last character.
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (length === 0 || second < lowest || second > highest) return 0;
  for (let n = 2; n < length; n++) {
    if (((bytes[at + n] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

const REPLACEMENT = Buffer.from('\uFFFD');

/** Bytes of which each that is no part of UTF-8 has become U+FFFD: Go takes them one by one, TextDecoder in groups. */
function coerced(bytes: Buffer): Buffer {
  const made = Buffer.allocUnsafe(bytes.length * REPLACEMENT.length);
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) {
      made.set(REPLACEMENT, end);
      end += REPLACEMENT.length;
      at += 1;
    }
    for (const next = at + length; at < next; at++) made[end++] = bytes[at] as number;
  }
  return made.subarray(0, end);
}

/** Thrown where plain texts alone are to be read, at the first other one: see `readObject`. */
class NotPlainError extends Error {
  override readonly name = 'NotPlainError';
}
/** Made once: strangers decide how often it is thrown. */
export const NOT_PLAIN = new NotPlainError('a text has escapes, or is not ASCII');

/** What an object said of a table's fields. */
export interface ReadObject {
  /** By the fields' names, Go's zero value where nothing was told. */
  readonly message: Record<string, unknown>;
  /** How often a field of the table had a value other than null. */
  readonly known: number;
  /** Fields that had a value of another type at least once. */
  readonly wrong: readonly WireField[];
}

/**
 * Reads the object that `bytes` are. Throws Refusal: `unknown_framing` where they do not begin one, `malformed` where they are
 * no JSON, have anything behind the object, or are past the bounds. With `plainOnly` throws NOT_PLAIN where a text, a key included, has
 * escapes or anything beyond ASCII: what takes longer than its bytes. Decode and check of such a text cost a multiple.
 */
export function readObject(bytes: Uint8Array, table: readonly WireField[], plainOnly = false): ReadObject {
  return new ObjectReader(bytes, plainOnly).read(table);
}

class ObjectReader {
  readonly #bytes: Buffer;
  readonly #length: number;
  readonly #plainOnly: boolean;
  #at = 0;
  /** Values that may still come. */
  #left = VALUES_MAX;
  /** Levels around what is read by a table. */
  #depth = 0;
  readonly #wrong: WireField[] = [];
  /** Where the string or number read last is, without quotes, and what is in it. */
  #from = 0;
  #to = 0;
  #escaped = false;
  #ascii = true;
  #integer = true;

  constructor(bytes: Uint8Array, plainOnly: boolean) {
    this.#plainOnly = plainOnly;
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#length = bytes.length;
  }

  read(table: readonly WireField[]): ReadObject {
    this.#space();
    if (this.#bytes[this.#at] !== OPEN_BRACE) throw new Refusal('unknown_framing', 'no JSON object');
    const layout = layoutOf(table);
    const message = emptyMessage(layout);
    const known = this.#object(layout, message);
    this.#space();
    if (this.#at !== this.#length) malformed();
    return { message, known, wrong: this.#wrong };
  }

  /** Reads the object that begins here into `message`; answers how many of its members the table knows. */
  #object(layout: Layout, message: Record<string, unknown>): number {
    const bytes = this.#bytes;
    let known = 0;
    this.#at += 1;
    this.#space();
    if (bytes[this.#at] === CLOSE_BRACE) {
      this.#at += 1;
      return 0;
    }
    this.#depth += 1;
    for (;;) {
      this.#string();
      const field = this.#fieldOf(layout);
      this.#colon();
      if (field === undefined) this.#skip();
      else if (this.#value(field, message)) known += 1;
      this.#space();
      const next = bytes[this.#at++];
      if (next === CLOSE_BRACE) break;
      if (next !== COMMA) malformed();
      this.#space();
    }
    this.#depth -= 1;
    return known;
  }

  /** The field whose key is the string read last. */
  #fieldOf(layout: Layout): WireField | undefined {
    if (!this.#ascii || this.#escaped) {
      // Folding costs much more than the bytes do, and no field's name is longer with all of it escaped.
      if (this.#to - this.#from >= layout.byLength.length * ESCAPE_BYTES) return undefined;
      return layout.byFolded.get(folded(this.#text()));
    }
    const bytes = this.#bytes;
    const from = this.#from;
    const length = this.#to - from;
    const slots = layout.byLength[length];
    if (slots === undefined) return undefined;
    next: for (const { field, key } of slots) {
      for (let n = 0; n < length; n++) {
        const byte = bytes[from + n] as number;
        const upper = byte >= 0x61 && byte <= 0x7a ? byte - CASE : byte;
        if (upper !== key[n]) continue next;
      }
      return field;
    }
    return undefined;
  }

  /** Reads the value that begins here for `field`; answers whether it was another than null. */
  #value(field: WireField, message: Record<string, unknown>): boolean {
    const { name, type } = field;
    switch (this.#bytes[this.#at]) {
      case QUOTE:
        this.#count();
        this.#string();
        if (type === 'text') message[name] = this.#text();
        else if (type === 'bytes') this.#set(field, message, this.#base64());
        else this.#wrong.push(field);
        return true;
      case OPEN_BRACE:
        if (type !== 'object' && type !== 'optional object') break;
        this.#count();
        this.#member(layoutOf(field.members), name, message);
        return true;
      case 0x6e:
        this.#count();
        this.#literal('null');
        if (type === 'bytes' || type === 'optional float' || type === 'optional object')
          message[name] = undefined;
        return false;
      case OPEN_BRACKET:
      case 0x66:
      case 0x74:
        break;
      default:
        this.#count();
        this.#number();
        this.#set(field, message, this.#numberFor(type));
        return true;
    }
    this.#skip();
    this.#wrong.push(field);
    return true;
  }

  /** Reads an object into the one that was told before, or into a new one. */
  #member(layout: Layout, name: string, message: Record<string, unknown>): void {
    const told = message[name] ?? emptyMessage(layout);
    message[name] = told;
    this.#object(layout, told as Record<string, unknown>);
  }

  #set(field: WireField, message: Record<string, unknown>, value: unknown): void {
    if (value === undefined) this.#wrong.push(field);
    else message[field.name] = value;
  }

  /** Passes over any value. */
  #skip(): void {
    const bytes = this.#bytes;
    /** What closes each array and object that is open. */
    const open: number[] = [];
    for (;;) {
      this.#count();
      const first = bytes[this.#at];
      if (first === OPEN_BRACE || first === OPEN_BRACKET) {
        if (this.#depth + open.length >= DEPTH_MAX) malformed(`more than ${DEPTH_MAX} levels`);
        const close = first + 2;
        this.#at += 1;
        this.#space();
        if (bytes[this.#at] !== close) {
          open.push(close);
          if (close === CLOSE_BRACE) this.#key();
          continue;
        }
        this.#at += 1;
      } else if (first === QUOTE) this.#string();
      else if (first === 0x6e) this.#literal('null');
      else if (first === 0x66) this.#literal('false');
      else if (first === 0x74) this.#literal('true');
      else this.#number();
      for (;;) {
        const close = open.at(-1);
        if (close === undefined) return;
        this.#space();
        const next = bytes[this.#at++];
        if (next === COMMA) {
          this.#space();
          if (close === CLOSE_BRACE) this.#key();
          break;
        }
        if (next !== close) malformed();
        open.pop();
      }
    }
  }

  /** Passes over a key and what is between it and its value. */
  #key(): void {
    this.#string();
    this.#colon();
  }

  #colon(): void {
    this.#space();
    if (this.#bytes[this.#at] !== COLON) malformed();
    this.#at += 1;
    this.#space();
  }

  #count(): void {
    this.#left -= 1;
    if (this.#left < 0) malformed(`more than ${VALUES_MAX} values`);
  }

  #space(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (; at < this.#length; at++) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    this.#at = at;
  }

  #literal(word: string): void {
    for (let n = 0; n < word.length; n++) {
      if (this.#bytes[this.#at + n] !== word.charCodeAt(n)) malformed();
    }
    this.#at += word.length;
  }

  #string(): void {
    const bytes = this.#bytes;
    const length = this.#length;
    if (bytes[this.#at] !== QUOTE) malformed();
    let at = this.#at + 1;
    this.#from = at;
    this.#escaped = false;
    this.#ascii = true;
    for (; at < length; at++) {
      const what = IN_STRING[bytes[at] as number];
      if (what === PLAIN) continue;
      if (this.#plainOnly && (what === BEYOND_ASCII || what === ESCAPES)) throw NOT_PLAIN;
      if (what === BEYOND_ASCII) this.#ascii = false;
      else if (what === ESCAPES) {
        this.#escaped = true;
        at = this.#escape(at + 1);
      } else if (what === CLOSES) {
        this.#to = at;
        this.#at = at + 1;
        return;
      } else break;
    }
    malformed();
  }

  /** The last byte of the escape whose first after the backslash is at `at`. */
  #escape(at: number): number {
    const bytes = this.#bytes;
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
  #text(): string {
    const [from, to] = [this.#from, this.#to];
    if (this.#ascii && !this.#escaped) return this.#bytes.toString('latin1', from, to);
    const raw = this.#bytes.subarray(from, to);
    const text = (this.#ascii || isUtf8(raw) ? raw : coerced(raw)).toString('utf8');
    return this.#escaped ? (JSON.parse(`"${text}"`) as string).toWellFormed() : text;
  }

  /** The bytes that the string read last is in base64; undefined when it is none. */
  #base64(): Uint8Array | undefined {
    let text = this.#text();
    // Go passes over line ends. Buffer passes over anything, takes the URL alphabet, and of other letters the low byte.
    if (this.#escaped) text = text.replace(/[\r\n]/g, '');
    const bytes = Buffer.from(text, 'base64');
    const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
    const whole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
    return whole && !NO_BASE64.test(text) ? bytes : undefined;
  }

  #number(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    this.#from = at;
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
    this.#to = at;
    this.#at = at;
  }

  /** Where the digits end of which the first must be at `at`. */
  #digits(at: number): number {
    const start = at;
    let end = at;
    while (end < this.#length && isDigit(this.#bytes[end] as number)) end += 1;
    if (end === start) malformed();
    return end;
  }

  /** The number read last; undefined where it is none of `type`. */
  #numberFor(type: WireField['type']): Integer | undefined {
    switch (type) {
      case 'float':
      case 'optional float': {
        const number = Number(this.#bytes.toString('latin1', this.#from, this.#to));
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
    if (this.#bytes[this.#from] === MINUS) return undefined;
    const number = this.#exact();
    return number !== undefined && number <= max ? number : undefined;
  }

  /** The integer read last; undefined where it is none, or longer than any of 64 bits. */
  #exact(): Integer | undefined {
    const length = this.#to - this.#from;
    if (!this.#integer || length > DIGITS_MAX) return undefined;
    const text = this.#bytes.toString('latin1', this.#from, this.#to);
    const number = Number(text);
    return length <= SAFE_DIGITS || Number.isSafeInteger(number) ? number : BigInt(text);
  }
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

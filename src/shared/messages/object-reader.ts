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

import { emptyMessage, folded, type Layout, layoutOf } from './field-layout.js';
import { CASE, JsonTokens, malformed, QUOTE } from './json-tokens.js';
import { Refusal } from './refusal.js';
import type { WireField } from './wire-fields.js';

/** Levels of objects and arrays at the most, the outermost included. */
const DEPTH_MAX = 64;
/** Values at the most, members of objects and elements of arrays counted together. */
const VALUES_MAX = 1024;

const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Of one letter in a string at the most, as in `\u0061`. */
const ESCAPE_BYTES = 6;

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

class ObjectReader extends JsonTokens {
  /** Values that may still come. */
  #left = VALUES_MAX;
  /** Levels around what is read by a table. */
  #depth = 0;
  readonly #wrong: WireField[] = [];

  read(table: readonly WireField[]): ReadObject {
    this.space();
    if (this.bytes[this.at] !== OPEN_BRACE) throw new Refusal('unknown_framing', 'no JSON object');
    const layout = layoutOf(table);
    const message = emptyMessage(layout);
    const known = this.#object(layout, message);
    this.space();
    if (this.at !== this.length) malformed();
    return { message, known, wrong: this.#wrong };
  }

  /** Reads the object that begins here into `message`; answers how many of its members the table knows. */
  #object(layout: Layout, message: Record<string, unknown>): number {
    const bytes = this.bytes;
    let known = 0;
    this.at += 1;
    this.space();
    if (bytes[this.at] === CLOSE_BRACE) {
      this.at += 1;
      return 0;
    }
    this.#depth += 1;
    for (;;) {
      this.string();
      const field = this.#fieldOf(layout);
      this.#colon();
      if (field === undefined) this.#skip();
      else if (this.#value(field, message)) known += 1;
      this.space();
      const next = bytes[this.at++];
      if (next === CLOSE_BRACE) break;
      if (next !== COMMA) malformed();
      this.space();
    }
    this.#depth -= 1;
    return known;
  }

  /** The field whose key is the string read last. */
  #fieldOf(layout: Layout): WireField | undefined {
    if (!this.ascii || this.escaped) {
      // Folding costs much more than the bytes do, and no field's name is longer with all of it escaped.
      if (this.to - this.from >= layout.byLength.length * ESCAPE_BYTES) return undefined;
      return layout.byFolded.get(folded(this.text()));
    }
    const bytes = this.bytes;
    const from = this.from;
    const length = this.to - from;
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
    switch (this.bytes[this.at]) {
      case QUOTE:
        this.#count();
        this.string();
        if (type === 'text') message[name] = this.text();
        else if (type === 'bytes') this.#set(field, message, this.base64());
        else this.#wrong.push(field);
        return true;
      case OPEN_BRACE:
        if (type !== 'object' && type !== 'optional object') break;
        this.#count();
        this.#member(layoutOf(field.members), name, message);
        return true;
      case 0x6e:
        this.#count();
        this.literal('null');
        if (type === 'bytes' || type === 'optional float' || type === 'optional object')
          message[name] = undefined;
        return false;
      case OPEN_BRACKET:
      case 0x66:
      case 0x74:
        break;
      default:
        this.#count();
        this.number();
        this.#set(field, message, this.numberFor(type));
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
    const bytes = this.bytes;
    /** What closes each array and object that is open. */
    const open: number[] = [];
    for (;;) {
      this.#count();
      const first = bytes[this.at];
      if (first === OPEN_BRACE || first === OPEN_BRACKET) {
        if (this.#depth + open.length >= DEPTH_MAX) malformed(`more than ${DEPTH_MAX} levels`);
        const close = first + 2;
        this.at += 1;
        this.space();
        if (bytes[this.at] !== close) {
          open.push(close);
          if (close === CLOSE_BRACE) this.#key();
          continue;
        }
        this.at += 1;
      } else if (first === QUOTE) this.string();
      else if (first === 0x6e) this.literal('null');
      else if (first === 0x66) this.literal('false');
      else if (first === 0x74) this.literal('true');
      else this.number();
      for (;;) {
        const close = open.at(-1);
        if (close === undefined) return;
        this.space();
        const next = bytes[this.at++];
        if (next === COMMA) {
          this.space();
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
    this.string();
    this.#colon();
  }

  #colon(): void {
    this.space();
    if (this.bytes[this.at] !== COLON) malformed();
    this.at += 1;
    this.space();
  }

  #count(): void {
    this.#left -= 1;
    if (this.#left < 0) malformed(`more than ${VALUES_MAX} values`);
  }
}

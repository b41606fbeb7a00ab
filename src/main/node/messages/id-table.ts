/** Message ids of some time, in as few bytes as they fit in: an open table of numbers, with its own numbering of authors. */

import { randomBytes } from 'node:crypto';
import { halfSipHash } from './half-sip-hash.js';

/** Of the id: its author by number, and the two halves of the sequence number. The number is never 0, which marks an empty slot. */
export const ID_WORDS = 3;
const FIRST_SLOTS = 1024;
/** What an author takes: its text of 38 characters, in a map and in a list. */
const AUTHOR_BYTES = 160;
/** Slots are never fuller than three quarters. */
const fill = (slots: number): number => (slots / 4) * 3;

const [K0 = 0, K1 = 0] = new Int32Array(new Uint8Array(randomBytes(8)).buffer);

/** Four characters of a latin1 text as a number. */
export function word(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) << 24) |
      (text.charCodeAt(at + 1) << 16) |
      (text.charCodeAt(at + 2) << 8) |
      text.charCodeAt(at + 3)) >>>
    0
  );
}

function characters(number: number): string {
  return String.fromCharCode(number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff);
}

/** Slots of a table for so many ids, doubled from 1,024 on while it stays below `maxBytes`. */
export function slotsFor(count: number, { width, maxBytes }: { width: number; maxBytes: number }): number {
  let slots = FIRST_SLOTS;
  while (fill(slots) < count && slots * 2 * width * 4 < maxBytes) slots *= 2;
  return slots;
}

/** An entry is an id in numbers, `ID_WORDS` of them, and in a wider table what else it is found by. */
export class IdTable {
  readonly began: number;
  readonly authors = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #width: number;
  /** Which words of an entry are its key. */
  readonly #from: number;
  #words: Uint32Array;
  #slots: number;
  count = 0;

  constructor({ began, width, slots }: { began: number; width: number; slots: number }) {
    this.began = began;
    this.#width = width;
    this.#from = width === ID_WORDS ? 0 : ID_WORDS;
    this.#slots = slots;
    this.#words = new Uint32Array(slots * width);
  }

  get bytes(): number {
    return this.#words.byteLength + this.#names.length * AUTHOR_BYTES;
  }

  /** Bytes with another id of a new author. */
  get bytesWithNext(): number {
    const grown = this.count + 1 > fill(this.#slots) ? 2 : 1;
    return this.#words.byteLength * grown + (this.#names.length + 1) * AUTHOR_BYTES;
  }

  /** Where the entry is, or -1. */
  find(entry: Uint32Array): number {
    const at = this.#slot(entry) * this.#width;
    return this.#words[at] === 0 ? -1 : at;
  }

  /** The text of the id at `at`. */
  idAt(at: number): string {
    const [author = 0, high = 0, low = 0] = this.#words.subarray(at, at + ID_WORDS);
    return `${this.#names[author - 1]}${characters(high)}${characters(low)}`;
  }

  /** The author's number, a new one where it has none. */
  number(author: string): number {
    const known = this.authors.get(author);
    if (known !== undefined) return known;
    // Cut from an id, it would keep all of it.
    const own = Buffer.from(author, 'latin1').toString('latin1');
    const number = this.#names.push(own);
    this.authors.set(own, number);
    return number;
  }

  add(entry: Uint32Array): void {
    if (this.count + 1 > fill(this.#slots)) this.#grow();
    this.#words.set(entry, this.#slot(entry) * this.#width);
    this.count++;
  }

  #slot(entry: Uint32Array): number {
    const words = this.#words;
    const width = this.#width;
    const from = this.#from;
    const mask = this.#slots - 1;
    let slot = halfSipHash(entry, from, width, K0, K1) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const at = slot * width;
      if (words[at] === 0) return slot;
      let same = from;
      while (same < width && words[at + same] === entry[same]) same++;
      if (same === width) return slot;
    }
  }

  #grow(): void {
    const before = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * this.#width);
    for (let at = 0; at < before.length; at += this.#width) {
      if (before[at] === 0) continue;
      const entry = before.subarray(at, at + this.#width);
      this.#words.set(entry, this.#slot(entry) * this.#width);
    }
  }
}

/**
 * The banned networks of one prefix length, in a hash table of typed arrays: open addressing with linear probing, at most
 * half full, so that a look costs the same with ten entries or a million: one cache line when the network is not there.
 * A Map would keep a heap object for each key.
 */

import { randomBytes } from 'node:crypto';
import type { AddressWords } from './address-words.js';

const SMALLEST = 16;

export class PrefixTable {
  /** 1 word for IPv4, 4 for IPv6. */
  readonly #words: number;
  /** Attackers choose addresses: where theirs come to lie is not theirs to know. */
  readonly #seed = randomBytes(4).readUInt32LE();
  #mask = SMALLEST - 1;
  /** Eight bits of the hash of each slot's key, 0 for an empty slot: what a look that finds nothing reads, and no more. */
  #tags = new Uint8Array(SMALLEST);
  #keys: Uint32Array;
  /** Ms, by the clock of whoever asks. */
  #until = new Float64Array(SMALLEST);
  #size = 0;

  constructor(words: 1 | 4) {
    this.#words = words;
    this.#keys = new Uint32Array(SMALLEST * words);
  }

  get size(): number {
    return this.#size;
  }

  /** Hash of the key that begins at `from`. Its low bits choose the slot, its high bits are the tag. */
  #hash(key: AddressWords, from: number): number {
    let hash = this.#seed;
    for (let index = 0; index < this.#words; index++) {
      // The finaliser of MurmurHash3, once a word.
      hash ^= key[from + index] ?? 0;
      hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      hash ^= hash >>> 16;
    }
    return hash;
  }

  /** The slot of `key`, or the empty slot where it would go. */
  #slot(key: AddressWords, hash: number): number {
    const words = this.#words;
    const tag = tagOf(hash);
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = this.#tags[slot];
      if (found === 0) return slot;
      if (found !== tag) continue;
      let index = 0;
      while (index < words && this.#keys[slot * words + index] === key[index]) index++;
      if (index === words) return slot;
    }
  }

  /** When the ban of `key` ends; 0 when there is none. */
  until(key: AddressWords): number {
    const slot = this.#slot(key, this.#hash(key, 0));
    return this.#tags[slot] === 0 ? 0 : (this.#until[slot] ?? 0);
  }

  set(key: AddressWords, until: number): void {
    if ((this.#size + 1) * 2 > this.#mask + 1) this.#resize((this.#mask + 1) * 2);
    const hash = this.#hash(key, 0);
    const slot = this.#slot(key, hash);
    if (this.#tags[slot] === 0) {
      this.#tags[slot] = tagOf(hash);
      for (let index = 0; index < this.#words; index++) {
        this.#keys[slot * this.#words + index] = key[index] ?? 0;
      }
      this.#size++;
    }
    this.#until[slot] = until;
  }

  delete(key: AddressWords): void {
    let hole = this.#slot(key, this.#hash(key, 0));
    if (this.#tags[hole] === 0) return;
    this.#size--;
    // Close the gap, so that no probe ends before what it looks for: whatever follows and may lie in the hole moves there.
    for (let slot = (hole + 1) & this.#mask; this.#tags[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#hash(this.#keys, slot * this.#words) & this.#mask;
      if (((slot - home) & this.#mask) >= ((slot - hole) & this.#mask)) {
        this.#move(slot, hole);
        hole = slot;
      }
    }
    this.#tags[hole] = 0;
    if (this.#mask + 1 > SMALLEST && this.#size * 8 < this.#mask + 1) this.#resize((this.#mask + 1) / 2);
  }

  #move(from: number, to: number): void {
    const words = this.#words;
    this.#tags[to] = this.#tags[from] ?? 0;
    this.#until[to] = this.#until[from] ?? 0;
    this.#keys.copyWithin(to * words, from * words, (from + 1) * words);
  }

  #resize(slots: number): void {
    const [tags, keys, until, words] = [this.#tags, this.#keys, this.#until, this.#words];
    this.#mask = slots - 1;
    this.#tags = new Uint8Array(slots);
    this.#keys = new Uint32Array(slots * words);
    this.#until = new Float64Array(slots);
    for (let old = 0; old < tags.length; old++) {
      const tag = tags[old] ?? 0;
      if (tag === 0) continue;
      let slot = this.#hash(keys, old * words) & this.#mask;
      while (this.#tags[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#tags[slot] = tag;
      this.#until[slot] = until[old] ?? 0;
      this.#keys.set(keys.subarray(old * words, (old + 1) * words), slot * words);
    }
  }
}

function tagOf(hash: number): number {
  return hash >>> 24 || 1;
}

/** Blocks that the node reported as invalid: they are not announced (WIRE §2). */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';

/** Bound of the queue `invalid blocks`. */
const MAX_BLOCKS = 10_000;
/** The chain marks a block soon after it was reported: from then on its word counts, also when it takes the mark back. */
const REMEMBERED_MS = 60 * 60_000;

export class InvalidBlocks {
  readonly #hashes = new LRUCache<HashHex, true>({ max: MAX_BLOCKS, ttl: REMEMBERED_MS });

  add(hash: HashHex): void {
    this.#hashes.set(hash, true);
  }

  has(hash: HashHex): boolean {
    return this.#hashes.has(hash);
  }

  get size(): number {
    return this.#hashes.size;
  }
}

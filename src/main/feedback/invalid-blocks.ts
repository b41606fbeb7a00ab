/** Blocks that the node reported as invalid: they are not announced (WIRE §2). */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { QUEUES } from '../../shared/queues.js';

/** The chain marks a block soon after it was reported: from then on its word counts, also when it takes the mark back. */
const { hashes: max, rememberMs: ttl } = QUEUES.invalidBlocks.bounds;

export class InvalidBlocks {
  readonly #hashes = new LRUCache<HashHex, true>({ max, ttl });

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

/** A token bucket for each of many keys, bounded: the least recently used key is forgotten and starts anew. */

import { LRUCache } from 'lru-cache';
import { TokenBucket, type TokenBucketOptions } from './token-bucket.js';

export interface KeyedRateOptions extends TokenBucketOptions {
  /** Keys remembered. */
  readonly maxKeys: number;
}

export class KeyedRate {
  readonly #options: KeyedRateOptions;
  readonly #buckets: LRUCache<string, TokenBucket>;

  constructor(options: KeyedRateOptions) {
    this.#options = options;
    this.#buckets = new LRUCache({ max: options.maxKeys });
  }

  /** Takes one token of `key`; false when there is none. */
  take(key: string): boolean {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#options);
      this.#buckets.set(key, bucket);
    }
    return bucket.take();
  }
}

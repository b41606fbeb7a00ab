/** A token bucket for each of many keys, bounded: the least recently used key is forgotten and starts anew. */

import { LRUCache } from 'lru-cache';

export interface KeyedRateOptions {
  readonly perSecond: number;
  /** Taken at once at the most. */
  readonly burst: number;
  /** Keys remembered. */
  readonly maxKeys: number;
}

export class KeyedRate {
  readonly #options: KeyedRateOptions;
  readonly #buckets: LRUCache<string, { tokens: number; at: number }>;

  constructor(options: KeyedRateOptions) {
    this.#options = options;
    this.#buckets = new LRUCache({ max: options.maxKeys });
  }

  /** Takes one token of `key`; false when there is none. */
  take(key: string): boolean {
    const { perSecond, burst } = this.#options;
    const now = performance.now();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: burst, at: now };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}

/** What was announced lately, so that what several nodes wrote to the topic is shown once. */

import { QUEUES } from '../../shared/queues.js';

const { announcements: MAX } = QUEUES.gatewayMerge.bounds;

/**
 * The topic alone decides: a record is a repeat where the one before it with the same key, by offset, is at most a window away by the records' times. So whoever
 * has read one window more than it shows decides as everybody else does, wherever it began. Keys are forgotten in two generations of two windows each, or when
 * there are too many; a record whose time is far from that of its neighbours makes them last longer, never less.
 */
export class MergeWindow {
  readonly #windowMs: number;
  readonly #half: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #bornAt = 0;

  /** `windowMs` 0: nothing is a repeat. `max`: keys remembered. */
  constructor({ windowMs, max = MAX }: { readonly windowMs: number; readonly max?: number }) {
    this.#windowMs = windowMs;
    this.#half = Math.max(1, Math.floor(max / 2));
  }

  /** So long before what is shown reading has to begin, ms: clocks of those who write may differ by a window. */
  get lookBackMs(): number {
    return 2 * this.#windowMs;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Whether the record at `at` (its time, unix ms), whose key is `key`, is a repeat; it is remembered. Told of each record once, in their order. */
  isRepeat(key: string, at: number): boolean {
    if (this.#windowMs === 0) return false;
    const before = this.#young.get(key) ?? this.#old.get(key);
    if (this.#young.size >= this.#half || at - this.#bornAt >= 2 * this.#windowMs) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bornAt = at;
    }
    this.#young.set(key, at);
    return before !== undefined && Math.abs(at - before) <= this.#windowMs;
  }

  /** Forgets everything, as where another topic begins. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#bornAt = 0;
  }
}

/** A memory of bounded size for what happened within a time. */

interface Entry<V> {
  readonly at: number;
  readonly value: V;
}

/**
 * Entries last `windowMs` from when they were set. Two generations: the older one is forgotten whole once the younger is
 * as old as the window or holds half of `max`, so nothing is ever searched for what has expired, and an entry costs no
 * more than its place in a Map. With more than `max / 2` entries within the window the oldest are forgotten early.
 */
export class Recent<V> {
  readonly #windowMs: number;
  readonly #half: number;
  #young = new Map<string, Entry<V>>();
  #old = new Map<string, Entry<V>>();
  #bornAt = 0;

  constructor({ windowMs, max }: { readonly windowMs: number; readonly max: number }) {
    this.#windowMs = windowMs;
    this.#half = Math.max(1, Math.floor(max / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Value set for `key` within the window before `now` (ms); undefined otherwise. */
  get(key: string, now: number): V | undefined {
    const entry = this.#young.get(key) ?? this.#old.get(key);
    return entry !== undefined && now - entry.at < this.#windowMs ? entry.value : undefined;
  }

  set(key: string, value: V, now: number): void {
    if (this.#young.size >= this.#half || now - this.#bornAt >= this.#windowMs) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bornAt = now;
    }
    this.#old.delete(key);
    this.#young.set(key, { at: now, value });
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}

/** Objects of memory that follow into the embedded store a little later, each by its key, the newest of each. */

import type { AbstractLevel, AbstractSublevel } from 'abstract-level';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';

/** Any LevelDB; whoever made it opens and closes it. */
export type Level = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>;

export interface WriteBehindComponents<K extends string> {
  readonly level: Level;
  readonly logger: Logger;
  /** What memory has of `key` now, encoded; undefined where it has forgotten it. */
  readonly valueOf: (key: K) => string | undefined;
  /** Every key that memory has. */
  readonly keys: () => Iterable<K>;
}

export interface WriteBehindOptions {
  /** Of the sublevel. */
  readonly name: string;
  /** Keys that may wait; past it they are forgotten one by one and everything is compared at the next write. */
  readonly maxWaiting: number;
}

/** Operations of one write to the database. */
const BATCH = 1_000;

/** `K`: what the keys are; the store is taken at its word that all of its keys are such. */
export class WriteBehind<K extends string = string> {
  readonly #components: WriteBehindComponents<K>;
  readonly #maxWaiting: number;
  readonly #stored: AbstractSublevel<Level, string | Buffer | Uint8Array, K, string>;
  #waiting = new Set<K>();
  /** Being written. */
  #left: ReadonlySet<K> = new Set();
  #everything = false;

  constructor(components: WriteBehindComponents<K>, { name, maxWaiting }: WriteBehindOptions) {
    this.#components = components;
    this.#maxWaiting = maxWaiting;
    this.#stored = components.level.sublevel<K, string>(name, { valueEncoding: 'utf8' });
  }

  /** Keys whose newest state is not stored; where nobody remembers which, as many as may wait. */
  get size(): number {
    return (this.#everything ? this.#maxWaiting : this.#waiting.size) + this.#left.size;
  }

  /** Hands every stored entry to `take`; one that it throws at is logged and deleted at the next write. */
  async load(take: (key: K, value: string) => void): Promise<void> {
    await this.#stored.open();
    for await (const [key, value] of this.#stored.iterator()) {
      try {
        take(key, value);
      } catch (error) {
        this.#components.logger.warn(
          { reason: errorMessage(error) },
          'a stored peer cannot be read; left out',
        );
        this.changed(key);
      }
    }
  }

  /** `key` is new, different or forgotten. */
  changed(key: K): void {
    if (this.#everything) return;
    this.#waiting.add(key);
    if (this.#waiting.size <= this.#maxWaiting) return;
    this.#everything = true;
    this.#waiting.clear();
  }

  /** Stores what has changed. Rejects when the database does; what was to be stored waits on. */
  async write(): Promise<void> {
    // A database that was closed and opened again leaves its sublevels closed.
    await this.#stored.open();
    const keys = this.#everything ? await this.#allKeys() : this.#waiting;
    this.#waiting = new Set();
    this.#everything = false;
    const left = new Set(keys);
    this.#left = left;
    try {
      while (left.size > 0) await this.#writeSome(left);
    } catch (error) {
      for (const key of left) this.changed(key);
      throw error;
    } finally {
      this.#left = new Set();
    }
  }

  async #writeSome(left: Set<K>): Promise<void> {
    const some: K[] = [];
    for (const key of left) {
      some.push(key);
      if (some.length === BATCH) break;
    }
    await this.#stored.batch(
      some.map((key) => {
        const value = this.#components.valueOf(key);
        return value === undefined ? { type: 'del', key } : { type: 'put', key, value };
      }),
    );
    for (const key of some) left.delete(key);
  }

  async #allKeys(): Promise<Set<K>> {
    const keys = new Set(this.#components.keys());
    for await (const key of this.#stored.keys()) keys.add(key);
    return keys;
  }
}

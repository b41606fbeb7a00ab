/**
 * Changes on their way to the store: in force already, written one after the other, tried again while the store is away.
 * Only the newest change of a key counts, so a ban taken back during an outage never returns after it.
 */

import { Backoff, type BackoffPolicy } from '../../shared/async/backoff.js';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { QUEUES } from '../../shared/queues.js';
import type { BanMetrics } from './metrics.js';
import type { BanEntry, BanStore } from './types.js';

/** Keys that may wait for a store that is away. */
const MAX_WAITING = QUEUES.banChanges.bounds.keys;
const RETRY: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };

/** In force, but not stored: a restart before the store is back would forget it. */
class BanNotStoredError extends UnavailableError {}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A ban to keep, or the end of one; `endedAt` (unix ms) where it ended by itself. */
export type BanChange =
  | { readonly entry: BanEntry }
  | { readonly entry?: undefined; readonly endedAt?: number };

interface Waiting {
  readonly change: BanChange;
  readonly waiters: Deferred[];
}

export class StoredChanges {
  readonly #store: BanStore;
  readonly #logger: Logger;
  readonly #metrics: BanMetrics;
  readonly #maxWaiting: number;
  readonly #waiting = new Map<string, Waiting>();
  /** Kept from one change to the next: a new one would step over all that have gone, which is quadratic after an outage. */
  #oldest = this.#waiting.entries();
  #clears: Deferred[] | undefined;
  /** What the store is busy with: a key, or `true` for everything. */
  #inFlight: string | true | undefined;
  #writing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #backoff = new Backoff(RETRY);
  #stopped = false;

  /** `maxWaiting`: keys that may wait; 200,000 unless told. */
  constructor(
    components: { store: BanStore; logger: Logger; metrics: BanMetrics },
    { maxWaiting = MAX_WAITING }: { maxWaiting?: number } = {},
  ) {
    this.#maxWaiting = maxWaiting;
    this.#store = components.store;
    this.#logger = components.logger;
    this.#metrics = components.metrics;
  }

  /** Changes not stored yet. */
  get size(): number {
    return this.#waiting.size + (this.#clears === undefined ? 0 : 1);
  }

  /** Keys whose change is not stored yet. */
  keys(): string[] {
    return typeof this.#inFlight === 'string'
      ? [...this.#waiting.keys(), this.#inFlight]
      : [...this.#waiting.keys()];
  }

  /** Whether the store is still to be emptied. */
  get clearing(): boolean {
    return this.#clears !== undefined || this.#inFlight === true;
  }

  /** Resolves when stored; rejects with {@link BanNotStoredError} on the first failure, and goes on trying. */
  write(key: string, change: BanChange): Promise<void> {
    if (this.#waiting.size >= this.#maxWaiting && !this.#waiting.has(key)) {
      return Promise.reject(
        new BanNotStoredError(`${this.#maxWaiting} ban changes wait for the store already`),
      );
    }
    const done = deferred();
    const waiters = [...(this.#waiting.get(key)?.waiters ?? []), done];
    this.#waiting.delete(key);
    this.#waiting.set(key, { change, waiters });
    this.#run();
    return done.promise;
  }

  /** Everything goes; changes that waited are superseded. */
  clear(): Promise<void> {
    const done = deferred();
    this.#clears = [
      ...(this.#clears ?? []),
      ...[...this.#waiting.values()].flatMap((waiting) => waiting.waiters),
      done,
    ];
    this.#waiting.clear();
    this.#run();
    return done.promise;
  }

  /** One last try for what waits; then no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#writing;
    if (this.size > 0) await this.#drain();
    if (this.size > 0) this.#logger.error({ changes: this.size }, 'ban changes are lost: the store is away');
  }

  #run(): void {
    this.#metrics.unstored.set(this.size);
    if (this.#writing !== undefined || this.#stopped) return;
    clearTimeout(this.#retry);
    this.#writing = this.#drain().then((drained) => {
      this.#writing = undefined;
      if (drained) {
        this.#backoff.reset();
        // Something may have come after the last look.
        if (this.size > 0) this.#run();
      } else if (!this.#stopped) {
        this.#retry = setTimeout(() => this.#run(), this.#backoff.next()).unref();
      }
    });
  }

  /** Until nothing waits (true) or a write fails (false). Never rejects. */
  async #drain(): Promise<boolean> {
    for (;;) {
      const stored =
        this.#clears !== undefined ? await this.#drainClear(this.#clears) : await this.#drainNext();
      this.#inFlight = undefined;
      this.#metrics.unstored.set(this.size);
      if (stored === undefined) return true;
      if (stored) continue;
      this.#refuse();
      return false;
    }
  }

  async #drainClear(waiters: readonly Deferred[]): Promise<boolean> {
    this.#clears = undefined;
    this.#inFlight = true;
    if (await this.#try('clear', waiters, () => this.#store.clear())) return true;
    // What came meanwhile follows the clear when the store is back.
    this.#clears ??= [];
    return false;
  }

  /** Undefined when nothing waits. */
  async #drainNext(): Promise<boolean | undefined> {
    let next = this.#oldest.next();
    if (next.done) {
      this.#oldest = this.#waiting.entries();
      next = this.#oldest.next();
    }
    if (next.done) return undefined;
    const [key, { change, waiters }] = next.value;
    this.#waiting.delete(key);
    this.#inFlight = key;
    const { entry } = change;
    const stored = await this.#try(entry === undefined ? 'delete' : 'put', waiters, () =>
      entry === undefined ? this.#store.delete(key, change.endedAt) : this.#store.put(entry),
    );
    // Unless a newer change of the key, or a clear, came meanwhile.
    if (!stored && this.#clears === undefined && !this.#waiting.has(key)) {
      this.#waiting.set(key, { change, waiters: [] });
    }
    return stored;
  }

  /** Nobody waits for a store that is away: all are told, and the changes stay. */
  #refuse(): void {
    const refusal = new BanNotStoredError('the ban store is away; in force, and stored when it is back');
    for (const { waiters } of [...this.#waiting.values(), { waiters: this.#clears ?? [] }]) {
      for (const waiter of waiters.splice(0)) waiter.reject(refusal);
    }
  }

  async #try(
    operation: 'put' | 'delete' | 'clear',
    waiters: readonly Deferred[],
    action: () => Promise<void>,
  ): Promise<boolean> {
    try {
      await action();
      for (const waiter of waiters) waiter.resolve();
      return true;
    } catch (error) {
      this.#metrics.storeFailures.inc({ operation });
      this.#logger.warn({ operation, err: error }, 'ban change is in force but not stored; tried again');
      const refusal = new BanNotStoredError(`in force, but not stored yet: ${errorMessage(error)}`);
      for (const waiter of waiters) waiter.reject(refusal);
      return false;
    }
  }
}

function deferred(): Deferred {
  let resolve!: () => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

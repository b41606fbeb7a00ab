/** What keeps a thread or a process alive: another takes the place of one that ended, after a pause that grows while they go on ending. */

import { Backoff, type BackoffPolicy } from '../async/backoff.js';
import { pause } from '../async/pause.js';
import { monotonic } from '../clock.js';
import { errorMessage } from '../errors.js';

/** One that ended, and is followed by another. */
export interface SupervisedEnd {
  readonly why: string;
  /** In a row, this one included. */
  readonly failures: number;
  /** Milliseconds until another begins, at the least. */
  readonly retryInMs: number;
}

export interface SupervisorComponents {
  /** Begins one. Where it throws or rejects, that one has ended of it. */
  readonly begin: () => unknown;
  /** Sees to it that the one that ended is gone; no other begins before this resolves. */
  readonly end?: () => Promise<void>;
  /** Told of each end that is followed by another beginning, before anything else is done about it. */
  readonly onEnd: (end: SupervisedEnd) => void;
  /** Another has taken the place, and `replacing` is over: called in the same turn, so that nothing comes between. */
  readonly onReplaced?: () => void;
}

export interface SupervisorOptions {
  readonly backoff: BackoffPolicy;
  /**
   * Milliseconds for which one must have served before its end counts as a first failure again.
   * @default 0
   */
  readonly steadyMs?: number;
  /**
   * Failures in a row after which it is said to have `failed`; it is tried on.
   * @default Number.POSITIVE_INFINITY
   */
  readonly failedAfter?: number;
}

/** It knows nothing of what it supervises: that is begun by `begin`, and its end is told by `ended`. */
export class Supervisor {
  readonly #components: SupervisorComponents;
  readonly #steadyMs: number;
  readonly #failedAfter: number;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #servingSince: number | undefined;
  #failed: string | undefined;
  #replacing: Promise<void> | undefined;

  constructor(components: SupervisorComponents, options: SupervisorOptions) {
    const { backoff, steadyMs = 0, failedAfter = Number.POSITIVE_INFINITY } = options;
    this.#components = components;
    this.#steadyMs = steadyMs;
    this.#failedAfter = failedAfter;
    this.#backoff = new Backoff(backoff);
  }

  /** Pending while there is none: from the end of one until another has begun, or until the stop. */
  get replacing(): Promise<void> | undefined {
    return this.#replacing;
  }

  /** Why the last one ended, after too many failures in a row. */
  get failed(): string | undefined {
    return this.#failed;
  }

  get stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** The one that has begun serves, or serves on. */
  serves(): void {
    this.#servingSince ??= monotonic();
    if (this.#steadyMs === 0) this.#steady();
  }

  /** The one that has begun has ended, or is of no use: another takes its place. Nothing happens while that is under way, and after the stop. */
  ended(why: string): void {
    if (this.stopped || this.#replacing !== undefined) return;
    this.#replacing = this.#replace(why);
  }

  /** From now on none begins; resolves when none is about to. What runs is for whoever began it to end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#replacing;
  }

  #steady(): void {
    this.#backoff.reset();
    this.#failed = undefined;
  }

  async #replace(first: string): Promise<void> {
    const { begin, end, onReplaced } = this.#components;
    const { signal } = this.#stopping;
    for (let why = first; ; ) {
      const retryInMs = this.#count(why);
      try {
        await end?.();
        if (!(await pause(retryInMs, { signal }))) break;
        await begin();
        break;
      } catch (error) {
        if (signal.aborted) break;
        why = errorMessage(error);
      }
    }
    this.#replacing = undefined;
    if (!signal.aborted) onReplaced?.();
  }

  /** Milliseconds to wait. */
  #count(why: string): number {
    const servedMs = this.#servingSince === undefined ? 0 : monotonic() - this.#servingSince;
    this.#servingSince = undefined;
    if (servedMs > this.#steadyMs) this.#steady();
    const retryInMs = this.#backoff.next();
    const { failures } = this.#backoff;
    if (failures >= this.#failedAfter) this.#failed = why;
    this.#components.onEnd({ why, failures, retryInMs });
    return retryInMs;
  }
}

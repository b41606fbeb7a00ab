/** What a service says, or said last: nobody who asks waits for a slow one longer than told. */

import pTimeout from 'p-timeout';
import { SingleFlight } from '../../shared/async/single-flight.js';
import { errorMessage } from '../../shared/errors.js';

export interface CachedOptions {
  /** Milliseconds that one asking waits at the most. */
  readonly patienceMs: number;
  /** Once an outage, not once a call; a later failure is said again when an answer came between. */
  readonly failed: (reason: string) => void;
}

export class Cached<T> {
  readonly #ask: () => Promise<T>;
  readonly #options: CachedOptions;
  #value: T | undefined;
  readonly #asking = new SingleFlight<void>();
  /** Counts what was learnt otherwise: an answer that was asked for before is older than it. */
  #learnt = 0;
  #failing = false;

  constructor(ask: () => Promise<T>, options: CachedOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  /** Takes over what is known from elsewhere. */
  learn(value: T): void {
    this.#value = value;
    this.#learnt++;
  }

  /** The newest answer; after the patience, or where asking fails, the one before, and undefined where there was none. Never rejects. */
  async current(): Promise<T | undefined> {
    // One call at a time, however slow: its answer is for the next who asks.
    const asking = this.#asking.run(() => this.#refresh());
    await pTimeout(asking, { milliseconds: this.#options.patienceMs, message: false });
    return this.#value;
  }

  async #refresh(): Promise<void> {
    const learnt = this.#learnt;
    try {
      const value = await this.#ask();
      if (learnt === this.#learnt) this.#value = value;
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.failed(errorMessage(error));
      this.#failing = true;
    }
  }
}

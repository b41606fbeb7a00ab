/** The time by which the age of what is kept is reckoned. */

export interface Clocks {
  /** Unix ms; may be set at any moment. */
  readonly wall: () => number;
  /** Ms; never set. */
  readonly monotonic: () => number;
}

const JUMP_MS = 3_600_000;

/**
 * Follows the clock, and never goes back. What lies more than an hour ahead of it, as after a clock that was set or a long time without a server, is believed
 * only when the process has run that long: a wrong clock must not make everything old at once.
 */
export class SteadyAge {
  readonly #clocks: Clocks;
  #time: number;
  #at: number;
  /** When (monotonic) the clock was first seen far ahead. */
  #aheadSince: number | undefined;

  /** `last`: unix ms of the newest of what is kept; 0 where nothing is. */
  constructor(clocks: Clocks, last: number) {
    this.#clocks = clocks;
    this.#time = last === 0 ? clocks.wall() : last;
    this.#at = clocks.monotonic();
  }

  /** Unix ms. */
  now(): number {
    const at = this.#clocks.monotonic();
    this.#time += at - this.#at;
    this.#at = at;
    const ahead = this.#clocks.wall() - this.#time;
    if (ahead <= JUMP_MS) this.#aheadSince = undefined;
    else this.#aheadSince ??= at;
    if (this.#aheadSince === undefined || at - this.#aheadSince >= ahead) {
      this.#time += Math.max(0, ahead);
      this.#aheadSince = undefined;
    }
    return this.#time;
  }
}

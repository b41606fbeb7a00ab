/** How long to wait before what failed is tried again: longer with each failure in a row, up to a bound. */

/** Named where it is used, such as `RESTART: BackoffPolicy = { firstMs: 100, maxMs: 5_000 }`. */
export interface BackoffPolicy {
  /** Milliseconds after the first failure. */
  readonly firstMs: number;
  /** Milliseconds at the most. */
  readonly maxMs: number;
  /**
   * By which each wait is longer than the one before.
   * @default 2
   */
  readonly factor?: number;
  /**
   * The part of a wait by which chance makes it shorter or longer, so that many do not try at the same moment: 0.25 is up to a quarter.
   * @default 0
   */
  readonly jitter?: number;
}

/** Milliseconds to wait after `failures` in a row, counted from 1. */
export function backoffMs(policy: BackoffPolicy, failures: number): number {
  const { firstMs, maxMs, factor = 2, jitter = 0 } = policy;
  const wait = Math.min(firstMs * factor ** (failures - 1), maxMs);
  return jitter === 0 ? wait : wait * (1 - jitter + 2 * jitter * Math.random());
}

/** Counts failures in a row. */
export class Backoff {
  readonly #policy: BackoffPolicy;
  #failures = 0;

  constructor(policy: BackoffPolicy) {
    this.#policy = policy;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** It failed once more: milliseconds to wait. */
  next(): number {
    this.#failures += 1;
    return backoffMs(this.#policy, this.#failures);
  }

  /** It succeeded: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
  }
}

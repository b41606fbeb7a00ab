/** So many at once, so many a second. */

export interface TokenBucketOptions {
  readonly perSecond: number;
  /**
   * Taken at once at the most.
   * @default perSecond
   */
  readonly burst?: number;
  /**
   * Milliseconds, never going back.
   * @default performance.now
   */
  readonly now?: () => number;
}

export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #at: number;

  /** Full. */
  constructor(options: TokenBucketOptions) {
    this.#options = options;
    this.#tokens = options.burst ?? options.perSecond;
    this.#at = this.#now;
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    const { perSecond, burst = perSecond } = this.#options;
    const now = this.#now;
    this.#tokens = Math.min(burst, this.#tokens + (Math.max(0, now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  get #now(): number {
    return this.#options.now?.() ?? performance.now();
  }
}

/** Doing something again and again, with pauses. */

export interface RepeatingOptions {
  /** Milliseconds from the end of a round to the next; asked after each round where it is a function. */
  readonly everyMs: number | (() => number);
  /** Told what a round rejects with; without it, nobody expects that a round rejects. The rounds go on. */
  readonly onError?: (error: unknown) => void;
  /**
   * Whether the pauses keep the process alive.
   * @default false
   */
  readonly ref?: boolean;
}

/** Rounds never overlap. May be started again after a stop. */
export class Repeating {
  readonly #work: () => unknown;
  readonly #options: RepeatingOptions;
  #running = false;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  /** Of the round after the one under way, told meanwhile. */
  #nextMs: number | undefined;

  /** `work` is one round: synchronous, or a promise of its end. A number that it gives is the milliseconds until the next, in place of `everyMs`. */
  constructor(work: () => unknown, options: RepeatingOptions) {
    this.#work = work;
    this.#options = options;
  }

  /** Whether a round is under way. */
  get underWay(): boolean {
    return this.#round !== undefined;
  }

  /** Begins: the first round in `firstMs` milliseconds, after a pause unless told. Nothing happens where it has begun. */
  start(firstMs: number = this.#everyMs): void {
    if (this.#running) return;
    this.#running = true;
    if (this.#round === undefined) this.#schedule(firstMs);
    else this.#nextMs = firstMs;
  }

  /** The next round begins in `ms` milliseconds, whenever it was due; while one is under way, so long after its end. */
  again(ms: number): void {
    if (!this.#running) return;
    if (this.#round === undefined) this.#schedule(ms);
    else this.#nextMs = ms;
  }

  /** No round begins any more. Resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#nextMs = undefined;
    clearTimeout(this.#timer);
    await this.#round;
  }

  get #everyMs(): number {
    const { everyMs } = this.#options;
    return typeof everyMs === 'number' ? everyMs : everyMs();
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#round = this.#run();
    }, ms);
    if (this.#options.ref !== true) this.#timer.unref();
  }

  async #run(): Promise<void> {
    const { onError } = this.#options;
    let told: unknown;
    try {
      // So that what it throws at once comes later, too, when there is a round that it ends.
      told = await (async () => this.#work())();
    } catch (error) {
      if (onError === undefined) throw error;
      onError(error);
    } finally {
      this.#round = undefined;
      const nextMs = this.#nextMs ?? (typeof told === 'number' ? told : undefined);
      this.#nextMs = undefined;
      if (this.#running) this.#schedule(nextMs ?? this.#everyMs);
    }
  }
}

/**
 * Which messages are traced: of each stretch of `1 / ratio` messages one, drawn by chance. So of any number of messages as many as the ratio says, give or
 * take one, whatever comes in turn with what; and to ask costs a subtraction.
 */
export class MessageSampler {
  /** Messages of a stretch, which are not always a whole number. */
  readonly #length: number;
  readonly #random: () => number;
  #stretch = 0;
  /** Which message was taken last, of all that have come. */
  #taken = -1;
  /** Messages until the next that is taken. */
  #left: number;

  /** `ratio`: 0 to 1. */
  constructor(ratio: number, random: () => number = Math.random) {
    this.#length = 1 / ratio;
    this.#random = random;
    this.#left = this.#next();
  }

  /** Whether the message that has come is one of them. */
  take(): boolean {
    if (--this.#left > 0) return false;
    this.#left = this.#next();
    return true;
  }

  #next(): number {
    if (this.#length === Number.POSITIVE_INFINITY) return this.#length;
    // Whole messages: a stretch of 2.5 is one of two and then one of three.
    const from = Math.floor(this.#stretch * this.#length);
    const to = Math.floor((this.#stretch + 1) * this.#length);
    this.#stretch++;
    const at = from + Math.floor(this.#random() * (to - from));
    const left = at - this.#taken;
    this.#taken = at;
    return left;
  }
}

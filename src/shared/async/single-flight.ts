/** Asked by many, done once. */

/** Whoever asks while an answer is under way shares it. */
export class SingleFlight<T> {
  #underWay: Promise<T> | undefined;

  /** What is under way now. */
  get underWay(): Promise<T> | undefined {
    return this.#underWay;
  }

  /** The answer that is under way; where none is, that of `work`. */
  run(work: () => Promise<T>): Promise<T> {
    this.#underWay ??= work().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }
}

/** One after the other. */

/** Runs what it is given in the order in which it was given, each when the one before has ended. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as `work` does. A failure does not keep the next from running. */
  run<T>(work: () => T | PromiseLike<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when all that was given so far has ended, however it did. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

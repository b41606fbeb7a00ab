/** Waiting for something to do. */

/**
 * Wakes whoever waits. A wake while nobody waits is lost: look whether there is something to do, and wait in the same turn.
 */
export class Wake {
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** Resolves at the next `wake`. */
  wait(): Promise<void> {
    if (this.#waiting === undefined) {
      let resolve = (): void => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#waiting = { promise, resolve };
    }
    return this.#waiting.promise;
  }

  /** Cheap while nobody waits. */
  wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

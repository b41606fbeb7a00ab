/** Questions to another thread or process, and the answers that come back in any order. */

interface Waiting<A> {
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

export interface QuestionOptions {
  /**
   * Milliseconds until the answer must be there.
   * @default Number.POSITIVE_INFINITY
   */
  readonly timeoutMs?: number;
  /**
   * What the question then rejects with.
   * @default an Error that says how long it took
   */
  readonly late?: () => Error;
}

/** Pairs answers with their questions, by a number that goes with both. */
export class Correlator<A> {
  readonly #waiting = new Map<number, Waiting<A>>();
  #lastId = 0;

  /** Questions that are not answered yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Sends a question by `send`, which is given its number: 1 or more, in 32 bits. Resolves with its answer. Rejects with what `send` throws, with what the question
   * is refused with, or when its time is over.
   */
  ask(send: (id: number) => void, { timeoutMs, late }: QuestionOptions = {}): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#lastId = (this.#lastId + 1) >>> 0 || 1;
      const id = this.#lastId;
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              this.refuse(id, late?.() ?? new Error(`no answer within ${timeoutMs} ms`));
            }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      try {
        send(id);
      } catch (error) {
        this.refuse(id, error);
      }
    });
  }

  /** The answer to the question `id`; false where nobody waits for it any more. */
  answer(id: number, answer: A): boolean {
    const waiting = this.#take(id);
    waiting?.resolve(answer);
    return waiting !== undefined;
  }

  /** The question `id` cannot be answered; false where nobody waits for it any more. */
  refuse(id: number, error: unknown): boolean {
    const waiting = this.#take(id);
    waiting?.reject(error);
    return waiting !== undefined;
  }

  /** Nobody answers any more what waits now. */
  refuseAll(error: unknown): void {
    for (const id of [...this.#waiting.keys()]) this.refuse(id, error);
  }

  #take(id: number): Waiting<A> | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    return waiting;
  }
}

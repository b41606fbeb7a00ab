/**
 * The turns of those who replay. The work is done in slices between which the event loop takes what has come, live frames first, and everybody in
 * turn gets a step, so that neither the live feed nor a reader with little to read waits for a thousand who want everything.
 */

import { QUEUES } from '../../../shared/queues.js';

const SLICE_MS = 2;
/** Messages being compressed for readers at once: each holds a thread of Node's pool, which has four, and some memory. */
const MAX_COMPRESSING = QUEUES.stretches.bounds.compressing;

/** What a reader needs to go on: its next turn alone; that the live feed moves on; that somebody calls `run` for it. `done`: it replays no more. */
export type Step = 'more' | 'live' | 'run' | 'done';

export interface Replaying {
  /** Reads and writes some more. Bounded. */
  step(): Step;
}

export class Replays {
  readonly #all = new Set<Replaying>();
  /** Who has the next turns, in this order. */
  readonly #runnable = new Set<Replaying>();
  /** Who waits for the live feed, or to compress. */
  readonly #ahead = new Set<Replaying>();
  readonly #toCompress = new Set<Replaying>();
  #compressing = 0;
  #scheduled: NodeJS.Immediate | undefined;

  get size(): number {
    return this.#all.size;
  }

  /** Gives a reader its turns, from the next on, or again. */
  run(reader: Replaying): void {
    this.#all.add(reader);
    this.#ahead.delete(reader);
    this.#toCompress.delete(reader);
    this.#runnable.add(reader);
    this.#schedule();
  }

  /** It replays no more. */
  remove(reader: Replaying): void {
    this.#all.delete(reader);
    this.#runnable.delete(reader);
    this.#ahead.delete(reader);
    this.#toCompress.delete(reader);
  }

  /** The live feed has moved on. */
  moved(): void {
    if (this.#ahead.size === 0) return;
    for (const reader of this.#ahead) this.#runnable.add(reader);
    this.#ahead.clear();
    this.#schedule();
  }

  /** Whether something may be compressed now; who asks in vain has a turn when there is room. One `compressed` each. */
  mayCompress(reader: Replaying): boolean {
    if (this.#compressing >= MAX_COMPRESSING) {
      this.#toCompress.add(reader);
      return false;
    }
    this.#compressing++;
    return true;
  }

  compressed(): void {
    this.#compressing--;
    const [first] = this.#toCompress;
    if (first !== undefined) this.run(first);
  }

  stop(): void {
    clearImmediate(this.#scheduled);
    this.#runnable.clear();
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#turn();
      if (this.#runnable.size > 0) this.#schedule();
    });
  }

  #turn(): void {
    const began = performance.now();
    for (const reader of this.#runnable) {
      this.#runnable.delete(reader);
      const step = reader.step();
      if (step === 'more') this.#runnable.add(reader);
      else if (step === 'live') this.#ahead.add(reader);
      else if (step === 'done') this.remove(reader);
      if (performance.now() - began >= SLICE_MS) return;
    }
  }
}

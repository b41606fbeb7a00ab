/** An answer that is no longer than its client takes it: no more of it is made than that, and who takes too little is cut off. */

import { monotonic } from '../../../shared/clock.js';
import { QUEUES } from '../../../shared/queues.js';
import type { ResponseStream } from '../transport/index.js';

const { chunkBytes, graceMs, leastPerSecond } = QUEUES.transfers.bounds;
/** How often it is looked whether the client takes enough. */
const LOOK_MS = 5_000;

export class PacedAnswer {
  /** Nobody takes any more of it. */
  over = false;
  #sent = 0;
  #began = 0;
  #timer: NodeJS.Timeout | undefined;
  #drained: (() => void) | undefined;

  /** `ended`: called once, when it is over; `whole`: all of it was handed on. */
  constructor(
    private readonly out: ResponseStream,
    ended: (whole: boolean) => void,
  ) {
    out.onDrain(() => this.#drained?.());
    out.onClose((whole) => {
      this.over = true;
      clearInterval(this.#timer);
      this.#drained?.();
      ended(whole);
    });
  }

  /** Resolves when there is room for more, or it is over. */
  async write(bytes: Uint8Array): Promise<void> {
    // Its client may have gone before the first bytes: nobody would end the watch.
    if (this.over) return;
    this.#timer ??= this.#watch();
    for (let at = 0; at < bytes.length && !this.over; at += chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes);
      this.#sent += chunk.length;
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      this.out.write(chunk);
      // Below that transports need not tell when it is taken.
      if (this.out.bufferedBytes() >= chunkBytes) await drained;
    }
  }

  /** All was written. */
  end(): void {
    this.out.end();
  }

  /** Cuts it off, so that the client sees that something is missing. */
  cut(): void {
    this.out.close();
  }

  #watch(): NodeJS.Timeout {
    this.#began = monotonic();
    return setInterval(() => {
      const ms = monotonic() - this.#began;
      const taken = this.#sent - this.out.bufferedBytes();
      if (ms > graceMs && taken < (leastPerSecond * ms) / 1000) this.cut();
    }, LOOK_MS);
  }
}

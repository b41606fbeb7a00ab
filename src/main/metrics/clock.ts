/** Tells when somebody set the machine's clock, and how far the time that is kept here is from it. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { monotonic, steadyTime, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';

const LOOK_MS = 1_000;
/** What NTP does not slew but step, and a busy machine does not feign between two readings. */
const SET_MS = 500;

export class ClockMetrics {
  readonly #logger: Logger;
  readonly #sets: Counter;
  readonly #difference: () => number;
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `difference`: of the time of day to the monotonic clock, ms; the real one unless told. */
  constructor(
    { logger, registry }: { readonly logger: Logger; readonly registry: Registry },
    { difference = () => wall.shown() - monotonic() }: { readonly difference?: () => number } = {},
  ) {
    this.#logger = logger;
    this.#difference = difference;
    this.#sets = new Counter({
      name: 'teranode_p2p_clock_set_total',
      help: 'Times that the clock of the machine was set by half a second or more.',
      registers: [registry],
    });
    new Gauge({
      name: 'teranode_p2p_clock_ahead_seconds',
      help: 'How far the clock of the machine is ahead of the time by which ages are kept, which follows it slowly once it was set.',
      registers: [registry],
      collect() {
        this.set((wall.shown() - steadyTime()) / 1000);
      },
    });
  }

  start(): void {
    this.#last = this.#difference();
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Compares with the last look. */
  look(): void {
    const difference = this.#difference();
    const ms = Math.round(difference - this.#last);
    this.#last = difference;
    if (Math.abs(ms) < SET_MS) return;
    this.#sets.inc();
    this.#logger.warn({ ms }, 'the clock was set');
  }
}

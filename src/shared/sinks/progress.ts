/** What is told of a backlog on its way to Kafka: its beginning, every few seconds how far it is, its end. */

import type { Logger } from '../logging/logger.js';

export interface DrainProgressOptions {
  readonly topic: string;
  /** Waiting entries from which on there is a backlog, whatever its reason. */
  readonly from: number;
  /** Milliseconds between two lines. */
  readonly everyMs: number;
}

interface Drain {
  readonly startedAt: number;
  sent: number;
  told: { at: number; sent: number };
  /** Of what waited when it began, how much still does. */
  old: number;
}

/** A drain ends when everything that waited at its beginning is in Kafka, and no new backlog has grown meanwhile. */
export class DrainProgress {
  readonly #logger: Logger;
  readonly #rate: (perSecond: number) => void;
  readonly #options: DrainProgressOptions;
  #drain: Drain | undefined;
  #late = false;

  constructor(
    { logger, rate }: { readonly logger: Logger; readonly rate: (perSecond: number) => void },
    options: DrainProgressOptions,
  ) {
    this.#logger = logger;
    this.#rate = rate;
    this.#options = options;
  }

  /** What waits now is late, however little it is: an outage or an earlier run left it. A drain under way is off. */
  late(): void {
    this.#late = true;
    this.#end();
  }

  /** Some of `waiting` entries are about to be sent. */
  sending(waiting: number): void {
    this.#drain ??= this.#begin(waiting);
  }

  #begin(waiting: number): Drain | undefined {
    if (!this.#late && waiting < this.#options.from) return undefined;
    const now = performance.now();
    return { startedAt: now, sent: 0, told: { at: now, sent: 0 }, old: waiting };
  }

  /** `count` of them are done; `waiting` is what is left. */
  sent(count: number, waiting: number): void {
    const drain = this.#drain;
    if (drain === undefined) return;
    const { topic, from, everyMs } = this.#options;
    if (drain.sent === 0) this.#logger.info({ topic, waiting: waiting + count }, 'the outbox drains');
    this.#late = false;
    drain.sent += count;
    drain.old -= count;
    const now = performance.now();
    if (drain.old <= 0 && waiting < from) {
      const ms = Math.round(now - drain.startedAt);
      const perSecond = perSecondOf(drain.sent, ms);
      this.#logger.info({ topic, sent: drain.sent, ms, perSecond, waiting }, 'the outbox has drained');
      this.#end();
      return;
    }
    const sinceTold = now - drain.told.at;
    if (sinceTold < everyMs) return;
    const perSecond = perSecondOf(drain.sent - drain.told.sent, sinceTold);
    this.#logger.info({ topic, waiting, sent: drain.sent, perSecond }, 'the outbox is draining');
    this.#rate(perSecond);
    drain.told = { at: now, sent: drain.sent };
  }

  #end(): void {
    this.#drain = undefined;
    this.#rate(0);
  }
}

const perSecondOf = (records: number, ms: number): number => Math.round((records * 1000) / Math.max(1, ms));

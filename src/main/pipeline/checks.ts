/**
 * From the queue of what has come to the checkers and back. Whatever checker was quicker, answers are given in the order in which
 * their messages were collected.
 *
 * Quiet work stays at home: to wake another thread for one message and to be woken by it costs more than the check. While no batch is
 * with the pool and a turn of the event loop has brought no more than a few messages, main checks them itself, by the same functions. What may
 * take long goes to the pool all the same (`Judge.judgeAtHome`), and so does all that follows, until the pool has answered: that keeps the
 * order, and under load main does none of this work.
 */

import { availableParallelism } from 'node:os';
import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { byId } from '../../shared/messages/ids.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import {
  encodeCheckedBatch,
  microsOfMessage,
  sliceCheckedBatch,
} from '../../shared/pipeline/checked-batch.js';
import { Judge } from '../../shared/pipeline/judge.js';
import { QUEUES } from '../../shared/queues.js';
import type { Settings } from '../../shared/settings/table.js';
import { CheckerPool } from './checker-pool.js';
import type { PipelineMetrics } from './metrics.js';
import { FairQueue, type QueuedMessage } from './queue.js';

/** A message on its way to a checker. */
export interface Entrant extends QueuedMessage {
  /** It is checked: a message of a checked batch (`checked-batch.ts`), by whom, and when it was collected for that (monotonic). */
  finish(checked: Buffer, where: Where, collected: number): void;
  /** It is not: `shed` to make room for others, `lost` when the checkers ended. */
  drop(why: 'shed' | 'lost'): void;
}

/** Who checked a message. */
export type Where = 'thread' | 'main';

export interface ChecksOptions {
  readonly kinds: readonly MessageKind[];
  readonly checkerFile?: URL;
  readonly checkerTimeoutMs?: number;
  /** Whether what is checked is taken further now; while not, nothing is collected, until `collectSoon`. */
  readonly canTake: () => boolean;
}

const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1_048_576;
/** What a full batch of good messages takes on a slow machine: what comes later waits no longer for a checker. */
const BATCH_MICROS = 20_000;
const BATCHES_A_CHECKER = QUEUES.batchesWithCheckers.bounds.perChecker;

/** Messages that one turn may have brought for main to check them itself. */
const AT_HOME_MESSAGES = 8;
/** µs of checking after which main leaves the rest of a turn's messages to the pool. */
const AT_HOME_MICROS = 1000;

/** Threads for `p2p_checkers`: 0 means cores less one, at least 2. */
function checkerThreads(settings: Settings): number {
  return settings.p2p_checkers > 0 ? settings.p2p_checkers : Math.max(2, availableParallelism() - 1);
}

/** A batch that is with a checker, or waits for those before it. */
interface Batch {
  readonly messages: readonly Entrant[];
  /** Monotonic, ms. */
  readonly collected: number;
  /** Undefined until a checker has answered. */
  answer: readonly Buffer[] | undefined;
}

type Answered = Batch & { readonly answer: readonly Buffer[] };

export class Checks {
  readonly checkers: CheckerPool;
  readonly #logger: Logger;
  readonly #metrics: PipelineMetrics;
  readonly #options: ChecksOptions;
  readonly #queue: FairQueue<Entrant>;
  readonly #nameOf: (kind: number) => string;
  readonly #maxInFlight: number;
  /** Undefined: everything goes to the pool. */
  readonly #home: Judge | undefined;
  /** In the order in which they were collected. */
  readonly #pooled: Batch[] = [];
  #collecting = false;
  #started = false;
  #tipBits = 0;

  constructor(
    components: { readonly settings: Settings; readonly logger: Logger; readonly metrics: PipelineMetrics },
    options: ChecksOptions,
  ) {
    const { settings, logger, metrics } = components;
    const { kinds, checkerFile, checkerTimeoutMs } = options;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#options = options;
    const threads = checkerThreads(settings);
    this.#maxInFlight = threads * BATCHES_A_CHECKER;
    const table = byId(kinds);
    this.#nameOf = (kind) => table[kind]?.name ?? 'unknown';
    this.#home = settings.p2p_inline_checks ? new Judge(settings, kinds) : undefined;
    this.#queue = new FairQueue({
      maxBytes: settings.p2p_queue_bytes,
      batchMessages: BATCH_MESSAGES,
      batchBytes: BATCH_BYTES,
      batchMicros: BATCH_MICROS,
      priorityOf: (kind) => table[kind]?.priority ?? 0,
    });
    metrics.showQueue(this.#queue);
    this.checkers = new CheckerPool(
      { logger, metrics },
      {
        config: { settings },
        threads,
        ...(checkerFile === undefined ? {} : { file: checkerFile }),
        ...(checkerTimeoutMs === undefined ? {} : { taskTimeoutMs: checkerTimeoutMs }),
      },
    );
  }

  /** Messages waiting. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Bytes of what waits. */
  get waitingBytes(): number {
    return this.#queue.bytes;
  }

  /** Batches that are with checkers. */
  get inFlight(): number {
    return this.#pooled.length;
  }

  /** Compact target of our tip, for the header checks of the messages to come. */
  setTipBits(bits: number): void {
    this.#tipBits = bits;
    if (this.#home !== undefined) this.#home.tipBits = bits;
  }

  async start(): Promise<void> {
    await this.checkers.start();
  }

  /** Lets what has come go to the checkers. */
  open(): void {
    this.#started = true;
    this.collectSoon();
  }

  /** Ends the checkers; what they had is lost. */
  stop(): Promise<void> {
    return this.checkers.stop();
  }

  push(message: Entrant): void {
    for (const shed of this.#queue.push(message)) shed.drop('shed');
    this.collectSoon();
  }

  /** `message`, where it still waits, has come from `source` too. */
  copyFrom(message: Entrant, source: string): void {
    this.#queue.relieve(message, source);
  }

  /**
   * A batch is what one turn of the event loop brought. While one is with the pool messages gather until they fill the next: each batch costs
   * wake-ups, of the checker, of main and of the publisher.
   */
  collectSoon(): void {
    if (this.#collecting || !this.#mayCollect()) return;
    this.#collecting = true;
    setImmediate(() => {
      this.#collecting = false;
      this.#collect();
    });
  }

  #mayCollect(): boolean {
    return (
      this.#started &&
      this.#queue.length > 0 &&
      (this.#pooled.length === 0 || (this.#pooled.length < this.#maxInFlight && this.#queue.fillsBatch)) &&
      this.#options.canTake()
    );
  }

  #collect(): void {
    if (this.#home !== undefined && this.#isQuiet()) this.#checkAtHome(this.#home);
    while (this.#mayCollect()) this.#dispatch(this.#queue.take());
  }

  /** Asked once a turn. */
  #isQuiet(): boolean {
    return this.#pooled.length === 0 && this.#queue.length <= AT_HOME_MESSAGES && this.#mayCollect();
  }

  #checkAtHome(home: Judge): void {
    const messages = this.#queue.take();
    const answer: Buffer[] = [];
    let spent = 0;
    for (const message of messages) {
      if (spent >= AT_HOME_MICROS) break;
      const began = performance.now();
      const checked = home.judgeAtHome(message);
      if (checked === undefined) break;
      const micros = (performance.now() - began) * 1000;
      spent += micros;
      answer.push(...sliceCheckedBatch(encodeCheckedBatch([checked], [micros])));
    }
    const count = answer.length;
    if (count > 0) {
      const collected = this.#collected(messages.slice(0, count));
      this.#finish({ messages: messages.slice(0, count), collected, answer }, 'main');
    }
    if (count < messages.length) this.#dispatch(messages.slice(count));
  }

  #dispatch(messages: readonly Entrant[]): void {
    const batch: Batch = { messages, collected: this.#collected(messages), answer: undefined };
    this.#pooled.push(batch);
    this.#metrics.batchesInFlight.set(this.#pooled.length);
    this.checkers
      .check(messages, this.#tipBits)
      .catch((error: unknown): readonly Buffer[] => {
        this.#logger.error({ err: error, messages: messages.length }, 'a batch was lost');
        return [];
      })
      .then((answer) => {
        batch.answer = answer;
        this.#release();
      })
      .catch((error: unknown) => this.#logger.error({ err: error }, 'a batch was not finished'));
  }

  /** Notes how long they waited; answers the time. */
  #collected(messages: readonly Entrant[]): number {
    const now = monotonic();
    this.#metrics.batchMessages.observe(messages.length);
    const waited = now - (messages[0]?.queuedAt ?? now);
    this.#metrics.stageSeconds.observe({ stage: 'queued' }, waited / 1000);
    return now;
  }

  /** Gives the answers that have come, as far as none is missing before them. */
  #release(): void {
    for (let batch = this.#pooled[0]; batch?.answer !== undefined; batch = this.#pooled[0]) {
      this.#pooled.shift();
      this.#metrics.batchesInFlight.set(this.#pooled.length);
      this.#metrics.stageSeconds.observe({ stage: 'checked' }, (monotonic() - batch.collected) / 1000);
      this.#finish({ ...batch, answer: batch.answer }, 'thread');
    }
    this.collectSoon();
  }

  #finish({ messages, collected, answer }: Answered, where: Where): void {
    this.#charge(messages, answer);
    messages.forEach((message, index) => {
      const bytes = answer[index];
      if (bytes === undefined) message.drop('lost');
      else message.finish(bytes, where, collected);
    });
  }

  /** Who sent what took long to check waits for its next turn as much longer. */
  #charge(messages: readonly Entrant[], answer: readonly Buffer[]): void {
    const byKind = new Map<number, number>();
    messages.forEach(({ kind, source }, index) => {
      const bytes = answer[index];
      const took = bytes === undefined ? 0 : microsOfMessage(bytes);
      this.#queue.charge(source, took);
      byKind.set(kind, (byKind.get(kind) ?? 0) + took);
    });
    for (const [kind, took] of byKind) {
      this.#metrics.checkingSeconds.inc({ kind: this.#nameOf(kind) }, took / 1e6);
    }
  }
}

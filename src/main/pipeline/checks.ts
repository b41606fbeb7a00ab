/**
 * From the queue of what has come to the checkers and back. Whatever checker was quicker, answers are given in the order in which
 * their messages were collected.
 */

import { availableParallelism } from 'node:os';
import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { microsOfMessage } from '../../shared/pipeline/checked-batch.js';
import type { Settings } from '../../shared/settings/table.js';
import { CheckerPool } from './checker-pool.js';
import type { PipelineMetrics } from './metrics.js';
import { FairQueue, type QueuedMessage } from './queue.js';

/** A message on its way to a checker. */
export interface Entrant extends QueuedMessage {
  /** What came of it: `shed` to make room for others, `lost` when the checkers ended. */
  finish(result: Checked | 'shed' | 'lost'): void;
}

/** A message as its checker left it. */
export interface Checked {
  /** Of a checked batch (`checked-batch.ts`). */
  readonly bytes: Buffer;
  /** Who checked it. */
  readonly where: 'thread' | 'main';
}

export interface ChecksOptions {
  /** By their ids. */
  readonly kinds: readonly (MessageKind | undefined)[];
  readonly kindsModule?: string;
  readonly checkerFile?: URL;
  readonly checkerTimeoutMs?: number;
  /** Whether what is checked is taken further now; while not, nothing is collected, until `collectSoon`. */
  readonly canTake: () => boolean;
}

const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1_048_576;
/** What a full batch of good messages takes on a slow machine: what comes later waits no longer for a checker. */
const BATCH_MICROS = 20_000;
const BATCHES_A_CHECKER = 2;

/** Threads for `p2p_checkers`: 0 means cores less one, at least 2. */
export function checkerThreads(settings: Settings): number {
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

export class Checks {
  readonly checkers: CheckerPool;
  readonly #logger: Logger;
  readonly #metrics: PipelineMetrics;
  readonly #options: ChecksOptions;
  readonly #queue: FairQueue<Entrant>;
  readonly #maxInFlight: number;
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
    const { kinds, kindsModule, checkerFile, checkerTimeoutMs } = options;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#options = options;
    const threads = checkerThreads(settings);
    this.#maxInFlight = threads * BATCHES_A_CHECKER;
    this.#queue = new FairQueue({
      maxBytes: settings.p2p_queue_bytes,
      batchMessages: BATCH_MESSAGES,
      batchBytes: BATCH_BYTES,
      batchMicros: BATCH_MICROS,
      priorityOf: (kind) => kinds[kind]?.priority ?? 0,
    });
    metrics.showQueue(this.#queue);
    this.checkers = new CheckerPool(
      { logger, metrics },
      {
        config: { settings, ...(kindsModule === undefined ? {} : { kindsModule }) },
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
    for (const shed of this.#queue.push(message)) shed.finish('shed');
    this.collectSoon();
  }

  /** `message`, where it still waits, has come from `source` too. */
  copyFrom(message: Entrant, source: string): void {
    this.#queue.relieve(message, source);
  }

  /** A batch is what one turn of the event loop brought, or what gathered while every checker was busy. */
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
      this.#pooled.length < this.#maxInFlight &&
      this.#options.canTake()
    );
  }

  #collect(): void {
    while (this.#mayCollect()) this.#dispatch(this.#queue.take());
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
      this.#finish(batch.messages, batch.answer, 'thread');
    }
    this.collectSoon();
  }

  #finish(messages: readonly Entrant[], answer: readonly Buffer[], where: Checked['where']): void {
    this.#charge(messages, answer);
    messages.forEach((message, index) => {
      const bytes = answer[index];
      message.finish(bytes === undefined ? 'lost' : { bytes, where });
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
      const name = this.#options.kinds[kind]?.name ?? 'unknown';
      this.#metrics.checkingSeconds.inc({ kind: name }, took / 1e6);
    }
  }
}

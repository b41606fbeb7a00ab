/** Takes entries from the journal to one sink, in order, and moves that sink's cursor. */

import pTimeout from 'p-timeout';
import { Backoff, type BackoffPolicy } from '../async/backoff.js';
import { pause } from '../async/pause.js';
import { Wake } from '../async/wake.js';
import { monotonic } from '../clock.js';
import { errorMessage } from '../errors.js';
import type { DependencyHealth } from '../health.js';
import type { JournalledEntry } from '../journal/entry.js';
import type { Logger } from '../logging/logger.js';
import { Backlog, type BacklogBound, DamagedError, type EntrySource } from './backlog.js';
import { LetterUnkeptError } from './dead-letters.js';
import { RecordFaultError, TopicFaultError } from './kafka/types.js';
import type { DrainerMeters } from './metrics.js';
import { DrainProgress } from './progress.js';
import type { OutboxTopic, Sink } from './types.js';

/** Where a sink stands; on disk. */
export interface SinkCursor {
  /** Behind the last entry that it acknowledged. */
  readonly position: number;
  /** Throws where that cannot be written down. */
  move(to: number): void;
}

export interface DrainerComponents {
  readonly sink: Sink;
  readonly source: EntrySource;
  readonly cursor: SinkCursor;
  /** What becomes of an entry that the sink refuses for good; throws where it cannot be kept now. */
  readonly refused: (entry: JournalledEntry, reason: string) => void;
  readonly meters: DrainerMeters;
  readonly logger: Logger;
}

export interface DrainerOptions {
  /** In the outbox, in metrics and log lines. */
  readonly topic: string;
  /** Which entries go to the sink. */
  readonly takes: (entry: Uint8Array) => boolean;
  /** Where the sink is and what setting says so, for readiness. */
  readonly place?: string;
  /**
   * What an entry is to it, for log lines.
   * @default `records`
   */
  readonly what?: keyof typeof FAULTS;
  /** Told how many positions it goes past because they cannot be read back. Without it, it waits for `acceptLoss` there. */
  readonly lost?: (positions: number) => void;
  /** Why it may not go on before `acceptLoss`, from its birth on. */
  readonly halted?: string | undefined;
  /**
   * What is held in memory.
   * @default 20,000 entries and 8 MiB
   */
  readonly memory?: BacklogBound;
  /**
   * Milliseconds between two lines about a backlog's progress.
   * @default 5_000
   */
  readonly progressMs?: number;
  /**
   * Milliseconds without an acknowledgement that readiness tells of.
   * @default 3_000
   */
  readonly unansweredMs?: number;
}

/** One request: what gathered while the last one flew, at the most. */
const MAX_REQUEST_ENTRIES = 5000;
const MAX_REQUEST_BYTES = 1_000_000;
const RETRY: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
/** Waiting entries that are a backlog worth telling of, besides those of an earlier run and of an outage. */
const BACKLOG_ENTRIES = 10_000;
const PROGRESS_MS = 5000;
/** A sink acknowledges within milliseconds; what takes this long is worth telling. */
const UNANSWERED_MS = 3000;

const FAULTS = {
  records: {
    unreached: 'Kafka is not to be reached: records wait in the outbox',
    refused: 'Kafka refuses the topic: its records wait in the outbox',
  },
  frames: {
    unreached: 'Kafka is not to be reached: frames wait in the outbox',
    refused: 'Kafka refuses the topic: its frames wait in the outbox',
  },
} as const;

export class Drainer {
  readonly topic: string;
  readonly takes: (entry: Uint8Array) => boolean;
  readonly #components: DrainerComponents;
  readonly #options: DrainerOptions;
  readonly #backlog: Backlog;
  readonly #progress: DrainProgress;
  readonly #stopping = new AbortController();
  #state: OutboxTopic['state'] = 'flowing';
  #error = '';
  #connected = false;
  readonly #backoff = new Backoff(RETRY);
  readonly #wake = new Wake();
  #running: Promise<void> | undefined;
  /** When the request under way went out. */
  #sentAt: number | undefined;
  /** Behind the last entry that is done, also where that is not yet written down. */
  #done: number;

  constructor(components: DrainerComponents, options: DrainerOptions) {
    const { logger, meters, source, cursor } = components;
    const { topic, takes, memory, progressMs = PROGRESS_MS, halted } = options;
    this.topic = topic;
    this.takes = takes;
    this.#components = components;
    this.#options = options;
    this.#backlog = new Backlog(source, takes, memory);
    this.#done = cursor.position;
    this.#progress = new DrainProgress(
      { logger, rate: (perSecond) => meters.rate(perSecond) },
      { topic, from: BACKLOG_ENTRIES, everyMs: progressMs },
    );
    if (halted !== undefined) this.#halt(halted);
  }

  /** Entries that the sink does not have. */
  get waiting(): number {
    return this.#backlog.waiting;
  }

  /** Behind the last entry that is done. */
  get position(): number {
    return this.#done;
  }

  /** `waiting` entries of an earlier run are behind its cursor. */
  start(waiting: number): void {
    this.#backlog.begin(this.#done, waiting);
    if (waiting > 0) this.#progress.late();
    this.#components.meters.waiting(waiting);
    this.#running = this.#drain().catch((error: unknown) => {
      this.#components.logger.fatal({ err: error, topic: this.topic }, 'a drainer ended by itself');
      this.#fault('topic_fault', error);
    });
  }

  /** One of its entries was just appended. */
  add(entry: JournalledEntry): void {
    this.#backlog.add(entry);
    this.#components.meters.waiting(this.#backlog.waiting);
    this.#wake.wake();
  }

  status(): OutboxTopic {
    return {
      topic: this.topic,
      waiting: this.#backlog.waiting,
      oldest: this.#backlog.oldest,
      state: this.#state,
      error: this.#error,
    };
  }

  /** What is known to be at fault is said at once: a broker that hangs answers nobody who asks it why. */
  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const { sink } = this.#components;
    const { unansweredMs: patience = UNANSWERED_MS, place = this.topic, what = 'records' } = this.#options;
    const unansweredMs = this.#sentAt === undefined ? 0 : performance.now() - this.#sentAt;
    const unanswered = unansweredMs >= patience;
    if (this.#state === 'flowing' && !unanswered) return sink.health(signal);
    return {
      resource: sink.resource,
      status: 503,
      error:
        this.#state === 'flowing'
          ? `no acknowledgement for ${(unansweredMs / 1000).toFixed(1)} s`
          : this.#error,
      message: `${place}: ${this.#state}, ${this.#backlog.waiting} ${what} wait in the outbox`,
    };
  }

  /** Brings the gauges up to date before a scrape. */
  observe(): void {
    this.#components.meters.lag(this.#backlog.ageMs / 1000);
  }

  /**
   * Moves the cursor over what is of no use to the sink, and writes down what could not be written. Nothing before `position` is needed
   * afterwards.
   */
  settle(): void {
    if (this.#state === 'damaged') return;
    if (this.#backlog.empty) this.#done = this.#components.source.end;
    this.#writeDown();
  }

  /** Goes on past what cannot be read. False where there is nothing to accept. */
  acceptLoss(): boolean {
    if (this.#state !== 'damaged') return false;
    this.#components.logger.warn({ topic: this.topic, reason: this.#error }, 'the loss is accepted');
    this.#backlog.pass();
    this.#state = 'flowing';
    this.#error = '';
    this.#wake.wake();
    return true;
  }

  /** Stops when nothing waits, or at `deadline` (monotonic). Gives the number of entries left. */
  async stop(deadline: number): Promise<number> {
    while (!this.#backlog.empty && this.#state !== 'damaged' && monotonic() < deadline) await pause(10);
    this.#stopping.abort();
    this.#wake.wake();
    // A request that does not come back is not waited for: what it carries stays in the journal.
    await pTimeout(this.#end(), { milliseconds: Math.max(200, deadline - monotonic()), message: false });
    this.settle();
    return this.#backlog.waiting;
  }

  async #end(): Promise<void> {
    await this.#running;
    await this.#components.sink.close().catch((error: unknown) => {
      this.#components.logger.debug({ err: error, topic: this.topic }, 'a sink did not close');
    });
  }

  async #drain(): Promise<void> {
    const { signal } = this.#stopping;
    // What waits is then known by its age, also while there is no broker. What fails, fails again below.
    await this.#backlog.readAhead().catch(() => {});
    while (!signal.aborted) {
      try {
        // Also when nothing waits: a topic that is missing or forbidden is to be seen before it is needed.
        if (!this.#connected) await this.#connect();
        const entries = this.#state === 'damaged' ? [] : await this.#take();
        if (entries.length === 0) await this.#someEntry();
        else await this.#deliver(entries);
      } catch (error) {
        if (signal.aborted) return;
        await this.#pause(error);
      }
    }
  }

  async #connect(): Promise<void> {
    await this.#components.sink.connect(this.#stopping.signal);
    this.#connected = true;
    // A topic may be there and take nothing: where something waits, its acknowledgement decides.
    if (this.#backlog.empty) this.#flows();
  }

  async #take(): Promise<readonly JournalledEntry[]> {
    try {
      const { sink } = this.#components;
      return await this.#backlog.take(MAX_REQUEST_ENTRIES, MAX_REQUEST_BYTES, (entry) => sink.bytesOf(entry));
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      const positions = error.gap.to - error.gap.from;
      if (this.#options.lost === undefined) {
        this.#components.meters.damaged(positions);
        this.#halt(`${error.message}: its records among them are lost`);
        return [];
      }
      this.#options.lost(positions);
      this.#backlog.pass();
      return this.#take();
    }
  }

  #halt(reason: string): void {
    this.#state = 'damaged';
    this.#error = `${reason}; \`teranode-p2p outbox accept-loss ${this.topic}\` goes on without them`;
    this.#components.logger.error(
      { topic: this.topic, reason },
      'records of the outbox are damaged: the topic waits',
    );
  }

  #flows(): void {
    if (this.#state === 'flowing' || this.#state === 'damaged') return;
    this.#components.logger.info({ topic: this.topic, waiting: this.#backlog.waiting }, 'Kafka is back');
    this.#state = 'flowing';
    this.#error = '';
  }

  #someEntry(): Promise<void> {
    const goesOn = !this.#backlog.empty && this.#state !== 'damaged';
    if (goesOn || this.#stopping.signal.aborted) return Promise.resolve();
    return this.#wake.wait();
  }

  /**
   * Sends `entries` in pieces: all at once, and where the sink refuses one of them, halves, until the refused one is alone.
   * Each piece that is done moves the cursor at once, so that a fault in the middle repeats none of it.
   */
  async #deliver(entries: readonly JournalledEntry[]): Promise<void> {
    const pieces = [entries];
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      try {
        await this.#send(piece);
      } catch (error) {
        if (!(error instanceof RecordFaultError)) throw error;
        this.#components.meters.fault('record');
        const [only] = piece;
        if (piece.length > 1 || only === undefined) {
          const middle = piece.length >>> 1;
          pieces.unshift(piece.slice(0, middle), piece.slice(middle));
          continue;
        }
        this.#components.refused(only, errorMessage(error));
        this.#flows();
        this.#completed(1, 'refused');
      }
      if (this.#stopping.signal.aborted) return;
    }
  }

  async #send(entries: readonly JournalledEntry[]): Promise<void> {
    const { sink, meters } = this.#components;
    this.#progress.sending(this.#backlog.waiting);
    const startedAt = performance.now();
    this.#sentAt = startedAt;
    try {
      await sink.send(entries);
    } finally {
      this.#sentAt = undefined;
    }
    meters.request((performance.now() - startedAt) / 1000, entries.length, this.#backlog.ageMs / 1000);
    this.#backoff.reset();
    this.#flows();
    this.#completed(entries.length, 'acknowledged');
  }

  #completed(count: number, outcome: 'acknowledged' | 'refused'): void {
    const { meters } = this.#components;
    this.#done = this.#backlog.complete(count);
    this.#writeDown();
    meters.done(count, outcome);
    meters.waiting(this.#backlog.waiting);
    this.#progress.sent(count, this.#backlog.waiting);
  }

  /** What the sink has it gets once, also when that cannot be written down now. */
  #writeDown(): void {
    const { cursor, logger } = this.#components;
    if (cursor.position === this.#done) return;
    try {
      cursor.move(this.#done);
    } catch (error) {
      logger.warn(
        { err: error, topic: this.topic },
        'how far a topic is cannot be written down: a restart repeats records',
      );
    }
  }

  async #pause(error: unknown): Promise<void> {
    const isTopics = error instanceof TopicFaultError || error instanceof LetterUnkeptError;
    this.#fault(isTopics ? 'topic_fault' : 'broker_down', error);
    await pause(this.#backoff.next(), { signal: this.#stopping.signal });
  }

  #fault(state: 'broker_down' | 'topic_fault', error: unknown): void {
    const { meters, logger } = this.#components;
    const { refused, unreached } = FAULTS[this.#options.what ?? 'records'];
    meters.fault(state === 'topic_fault' ? 'topic' : 'broker');
    this.#connected = false;
    this.#progress.late();
    if (this.#state === 'damaged') return;
    if (this.#state !== state || this.#error !== errorMessage(error)) {
      logger.warn(
        { reason: errorMessage(error), topic: this.topic, waiting: this.#backlog.waiting },
        state === 'topic_fault' ? refused : unreached,
      );
    }
    this.#state = state;
    this.#error = errorMessage(error);
  }
}

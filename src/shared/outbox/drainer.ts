/** Takes one topic's records from the outbox to Kafka, in order. */

import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../clock.js';
import { errorMessage } from '../errors.js';
import type { DependencyHealth } from '../health.js';
import { type KafkaProducer, type KafkaRecord, RecordFaultError, TopicFaultError } from '../kafka/types.js';
import type { Logger } from '../logging.js';
import type { OutboxTopic } from '../pipeline/worker-config.js';
import { Backlog, type BacklogBound } from './backlog.js';
import type { DeadLetters } from './dead-letters.js';
import type { OutboxMetrics } from './metrics.js';
import { DrainProgress } from './progress.js';
import type { OutboxRecord } from './records.js';
import type { Chunk, OutboxStore, StoredChunk } from './store.js';

export interface TopicDrainerComponents {
  readonly producer: KafkaProducer;
  readonly store: OutboxStore;
  readonly deadLetters: DeadLetters;
  readonly metrics: OutboxMetrics;
  readonly logger: Logger;
}

export interface TopicDrainerOptions {
  /** Name in the outbox; Kafka's is the producer's. */
  readonly topic: string;
  /** Where the topic is and what setting says so, for readiness. */
  readonly place?: string;
  /** What is held in memory; 20,000 records and 8 MiB unless told. */
  readonly memory?: BacklogBound;
  /** Milliseconds between two lines about a backlog's progress; 5000 unless told. */
  readonly progressMs?: number;
  /** Milliseconds without an acknowledgement that readiness tells of; 3000 unless told. */
  readonly unansweredMs?: number;
}

/** One request: what gathered while the last one flew, at the most. */
const MAX_REQUEST_RECORDS = 5000;
const MAX_REQUEST_BYTES = 1_000_000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** Waiting records that are a backlog worth telling of, besides those of an earlier run and of an outage. */
const BACKLOG_RECORDS = 10_000;
const PROGRESS_MS = 5000;
/** Kafka acknowledges within milliseconds; what takes this long is worth telling. */
const UNANSWERED_MS = 3000;

export class TopicDrainer {
  readonly topic: string;
  readonly #place: string;
  readonly #components: TopicDrainerComponents;
  readonly #backlog: Backlog;
  readonly #stopping = new AbortController();
  #state: OutboxTopic['state'] = 'flowing';
  #error = '';
  #connected = false;
  #backoff = FIRST_BACKOFF_MS;
  #wake: () => void = () => {};
  #running: Promise<void> | undefined;
  /** When the request under way went out. */
  #sentAt: number | undefined;
  readonly #unansweredMs: number;
  readonly #progress: DrainProgress;

  constructor(
    components: TopicDrainerComponents,
    {
      topic,
      place = topic,
      memory,
      progressMs = PROGRESS_MS,
      unansweredMs = UNANSWERED_MS,
    }: TopicDrainerOptions,
  ) {
    const { logger, metrics, store } = components;
    this.topic = topic;
    this.#place = place;
    this.#components = components;
    this.#unansweredMs = unansweredMs;
    this.#backlog = new Backlog(topic, store, memory);
    this.#backlog.onDamaged = (count) => {
      metrics.damaged.inc({ topic }, count);
      metrics.depth.set({ topic }, this.#backlog.waiting);
      logger.error({ topic, records: count }, 'records of the outbox are damaged: they are set aside in it');
    };
    this.#progress = new DrainProgress(
      { logger, metrics },
      { topic, from: BACKLOG_RECORDS, everyMs: progressMs },
    );
  }

  /** Records that Kafka does not have. */
  get waiting(): number {
    return this.#backlog.waiting;
  }

  start(): void {
    // What waits is then known by its age, also while there is no broker.
    this.#backlog.readAhead();
    this.#running = this.#drain().catch((error: unknown) => {
      this.#components.logger.fatal({ err: error, topic: this.topic }, 'a drainer ended by itself');
      this.#fault('topic_fault', error);
    });
  }

  /** A chunk that was just stored. */
  add(chunk: Chunk): void {
    this.#backlog.add(chunk);
    this.#added();
  }

  /** A chunk that an earlier run stored. */
  addStored(chunk: StoredChunk): void {
    this.#backlog.addStored(chunk);
    this.#progress.late();
    this.#added();
  }

  #added(): void {
    this.#components.metrics.depth.set({ topic: this.topic }, this.#backlog.waiting);
    this.#wake();
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
    const { producer } = this.#components;
    const unansweredMs = this.#sentAt === undefined ? 0 : performance.now() - this.#sentAt;
    const unanswered = unansweredMs >= this.#unansweredMs;
    if (this.#state === 'flowing' && !unanswered) return producer.health(signal);
    return {
      resource: `kafka ${producer.topic}`,
      status: 503,
      error:
        this.#state === 'flowing'
          ? `no acknowledgement for ${(unansweredMs / 1000).toFixed(1)} s`
          : this.#error,
      message: `${this.#place}: ${this.#state}, ${this.#backlog.waiting} records wait in the outbox`,
    };
  }

  /** Brings the gauges up to date before a scrape. */
  observe(): void {
    this.#components.metrics.lag.set({ topic: this.topic }, this.#backlog.ageMs / 1000);
  }

  /** Stops when nothing waits, or at `deadline` (monotonic). Gives the number of records left. */
  async stop(deadline: number): Promise<number> {
    while (!this.#backlog.empty && monotonic() < deadline) await delay(10);
    this.#stopping.abort();
    this.#wake();
    // A request that does not come back is not waited for: its records stay in the outbox.
    const patience = new AbortController();
    const { signal } = patience;
    const late = delay(Math.max(200, deadline - monotonic()), undefined, { signal }).catch(() => {});
    await Promise.race([this.#end(), late]);
    patience.abort();
    return this.#backlog.waiting;
  }

  async #end(): Promise<void> {
    await this.#running;
    await this.#components.producer.disconnect().catch((error: unknown) => {
      this.#components.logger.debug({ err: error, topic: this.topic }, 'a producer did not disconnect');
    });
  }

  async #drain(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        // Also when nothing waits: a topic that is missing or forbidden is to be seen before it is needed.
        if (!this.#connected) await this.#connect();
        const records = await this.#backlog.take(MAX_REQUEST_RECORDS, MAX_REQUEST_BYTES);
        if (records.length === 0) await this.#someRecord();
        else await this.#deliver(records);
      } catch (error) {
        if (signal.aborted) return;
        await this.#pause(error);
      }
    }
  }

  async #connect(): Promise<void> {
    await this.#components.producer.connect(this.#stopping.signal);
    this.#connected = true;
    // A topic may be there and take nothing: where something waits, its acknowledgement decides.
    if (this.#backlog.empty) this.#flows();
  }

  #flows(): void {
    if (this.#state === 'flowing') return;
    this.#components.logger.info({ topic: this.topic, waiting: this.#backlog.waiting }, 'Kafka is back');
    this.#state = 'flowing';
    this.#error = '';
  }

  #someRecord(): Promise<void> {
    if (!this.#backlog.empty || this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /**
   * Sends `records` in pieces: all at once, and where Kafka refuses one of them, halves, until the refused one is alone.
   * Each piece that is done leaves the backlog at once, so that a fault in the middle repeats none of it.
   */
  async #deliver(records: readonly OutboxRecord[]): Promise<void> {
    const pieces = [records];
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      try {
        await this.#send(piece);
      } catch (error) {
        if (!(error instanceof RecordFaultError)) throw error;
        this.#components.metrics.faults.inc({ topic: this.topic, fault: 'record' });
        const [only] = piece;
        if (piece.length > 1 || only === undefined) {
          const middle = piece.length >>> 1;
          pieces.unshift(piece.slice(0, middle), piece.slice(middle));
          continue;
        }
        await this.#components.deadLetters.add(this.topic, only, errorMessage(error));
        this.#flows();
        this.#completed(1, 'dead_letter');
      }
      if (this.#stopping.signal.aborted) return;
    }
  }

  async #send(records: readonly OutboxRecord[]): Promise<void> {
    const { producer, metrics } = this.#components;
    const { topic } = this;
    this.#progress.sending(this.#backlog.waiting);
    const startedAt = performance.now();
    this.#sentAt = startedAt;
    try {
      await producer.send(records.map(kafkaRecord));
    } finally {
      this.#sentAt = undefined;
    }
    metrics.requestSeconds.observe({ topic }, (performance.now() - startedAt) / 1000);
    metrics.requestRecords.observe({ topic }, records.length);
    metrics.ackSeconds.observe({ topic }, this.#backlog.ageMs / 1000);
    this.#backoff = FIRST_BACKOFF_MS;
    this.#flows();
    this.#completed(records.length, 'acknowledged');
  }

  #completed(count: number, outcome: 'acknowledged' | 'dead_letter'): void {
    const { metrics } = this.#components;
    this.#backlog.complete(count);
    metrics.records.inc({ topic: this.topic, outcome }, count);
    metrics.depth.set({ topic: this.topic }, this.#backlog.waiting);
    this.#progress.sent(count, this.#backlog.waiting);
  }

  async #pause(error: unknown): Promise<void> {
    const failing = this.#components.store.failure !== undefined;
    // A failing outbox is told by the store; Kafka is not to blame.
    if (!failing) this.#fault(error instanceof TopicFaultError ? 'topic_fault' : 'broker_down', error);
    await delay(this.#backoff, undefined, { signal: this.#stopping.signal }).catch(() => {});
    this.#backoff = Math.min(this.#backoff * 2, MAX_BACKOFF_MS);
  }

  #fault(state: 'broker_down' | 'topic_fault', error: unknown): void {
    const { metrics, logger } = this.#components;
    metrics.faults.inc({ topic: this.topic, fault: state === 'topic_fault' ? 'topic' : 'broker' });
    this.#connected = false;
    this.#progress.late();
    if (this.#state !== state || this.#error !== errorMessage(error)) {
      logger.warn(
        { reason: errorMessage(error), topic: this.topic, waiting: this.#backlog.waiting },
        state === 'topic_fault'
          ? 'Kafka refuses the topic: its records wait in the outbox'
          : 'Kafka is not to be reached: records wait in the outbox',
      );
    }
    this.#state = state;
    this.#error = errorMessage(error);
  }
}

function kafkaRecord({ key, value }: OutboxRecord): KafkaRecord {
  return key.length === 0 ? { value } : { key, value };
}

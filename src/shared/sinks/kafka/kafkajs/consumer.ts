/** Consumer of one topic of a Kafka cluster, in a group. */

import type { Batch, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { raceSignal } from 'race-signal';
import { Backoff, type BackoffPolicy } from '../../../async/backoff.js';
import { pause } from '../../../async/pause.js';
import type { DependencyHealth } from '../../../health.js';
import type { Logger } from '../../../logging/logger.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import type { ConsumerEnd, ConsumerMetrics } from '../consumer-metrics.js';
import { type ConsumedRecord, type KafkaConsumer, TopicFaultError } from '../types.js';
import { Assignment, type AssignmentOptions } from './assignment.js';
import { RETRY } from './client.js';
import { faultFrom } from './faults.js';
import { GroupMember, StalledError } from './group-member.js';
import { type PassedBatch, passedBatchOf } from './passed-batch.js';
import { RangeAssigner } from './range-assigner.js';
import { KafkaTopic } from './topic.js';

type Handle = (records: readonly ConsumedRecord[]) => Promise<void>;

export interface KafkaJsConsumerComponents {
  readonly kafka: Kafka;
  readonly logger: Logger;
  readonly metrics?: ConsumerMetrics;
}

export interface KafkaJsConsumerOptions {
  readonly group: string;
  /**
   * Silence after which the library is held to be stuck, milliseconds.
   * @default a session and a rebalance
   */
  readonly stallMs?: number;
  /** How often is looked for partitions without a reader. */
  readonly assignment?: Pick<AssignmentOptions, 'everyMs' | 'soonMs'>;
}

/** Partitions have no reader: the group is to be dealt out anew. */
class UnreadError extends Error {
  override readonly name = 'UnreadError';
}

const TRY_AGAIN: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
const MAX_WAIT_MS = 1000;
/** The library's own defaults, in milliseconds. */
const SESSION_MS = 30_000;
const HEARTBEAT_MS = 3000;
const REBALANCE_MS = 60_000;
/** How long readiness tells of a batch that was passed. */
const PASSED_TOLD_MS = 3_600_000;
/** A batch under way for longer is told in readiness where `maxProcessingTime` says nothing. */
const PROCESSING_MS = 60_000;

export class KafkaJsConsumer implements KafkaConsumer {
  readonly topic: string;
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #metrics: ConsumerMetrics | undefined;
  readonly #url: KafkaTopicUrl;
  readonly #config: ConsumerConfig & { readonly heartbeatInterval: number };
  readonly #stallMs: number;
  readonly #topic: KafkaTopic;
  readonly #stopping = new AbortController();
  #member: GroupMember | undefined;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #failure = '';
  readonly #backoff = new Backoff(TRY_AGAIN);
  /**
   * Whether this consumer had an offset in its partitions once. One without an offset was then added or made anew since, and is read
   * from its beginning wherever a new group starts: else what it got until that was noticed would be skipped.
   */
  #began = false;
  readonly #assignment: Assignment;
  /** The last batch that was passed. */
  #passed = { what: '', at: Number.NEGATIVE_INFINITY };
  /** Partitions whose lag is told. */
  readonly #lagging = new Set<number>();
  /** When the batch in hand was taken. */
  #batchSince: number | undefined;

  constructor(
    { kafka, logger, metrics }: KafkaJsConsumerComponents,
    url: KafkaTopicUrl,
    { group, stallMs, assignment = {} }: KafkaJsConsumerOptions,
  ) {
    this.topic = url.topic;
    this.#kafka = kafka;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#url = url;
    const sessionTimeout = url.sessionTimeoutMs ?? SESSION_MS;
    const rebalanceTimeout = url.rebalanceTimeoutMs ?? REBALANCE_MS;
    this.#config = {
      groupId: group,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: MAX_WAIT_MS,
      partitionAssigners: [() => new RangeAssigner((topic) => this.#partitionsOf(topic))],
      retry: { ...RETRY, restartOnFailure: async () => false },
      sessionTimeout,
      rebalanceTimeout,
      heartbeatInterval: heartbeatOf(url.heartbeatIntervalMs, sessionTimeout),
    };
    this.#stallMs = stallMs ?? sessionTimeout + rebalanceTimeout;
    this.#topic = new KafkaTopic({ kafka, logger }, url);
    this.#assignment = new Assignment(
      { topic: this.#topic, logger },
      {
        group,
        topic: this.topic,
        ...assignment,
        onUnread: () => this.#member?.end(new UnreadError(this.#assignment.problem)),
      },
    );
  }

  /** Resolves when consuming, or after the first vain attempt: a broker that is away is waited for. */
  async start(handle: Handle): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#running = this.#consume(handle, resolve);
    });
  }

  /** One membership after the other. */
  async #consume(handle: Handle, tried: () => void): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let retryInMs = 0;
      try {
        // A group that waits for its other members does not hold up a stop.
        const member = await raceSignal(this.#join(handle), signal);
        tried();
        throw await raceSignal(member.ended, signal);
      } catch (error) {
        retryInMs = this.#backoff.next();
        if (!signal.aborted) this.#failed(error, retryInMs);
      }
      tried();
      await this.#member?.leave();
      this.#member = undefined;
      await pause(retryInMs, { signal });
    }
    tried();
  }

  async #join(handle: Handle): Promise<GroupMember> {
    await this.#topic.ensure();
    this.#stopping.signal.throwIfAborted();
    const member = new GroupMember(this.#kafka, {
      topic: this.topic,
      fromOldest: this.#url.fromOldest,
      began: () => this.#began,
      config: this.#config,
      stallMs: this.#stallMs,
      onBatch: (payload, of) => this.#handleBatch(payload, of, handle),
      onJoined: (partitions) => this.#joined(partitions),
      onFetched: () => {
        this.#failure = '';
        this.#backoff.reset();
      },
      onStarted: () => {
        this.#began = true;
      },
    });
    this.#member = member;
    await member.join();
    return member;
  }

  /** Of a partition that went to another member the lag is the other's to tell. */
  #joined(partitions: readonly number[]): void {
    const { topic } = this;
    this.#assignment.joined();
    this.#metrics?.joins.inc({ topic });
    for (const partition of this.#lagging) {
      if (partitions.includes(partition)) continue;
      this.#lagging.delete(partition);
      this.#metrics?.lag.remove({ topic, partition });
    }
  }

  #failed(error: unknown, retryInMs: number): void {
    const reason = endOf(error);
    this.#metrics?.ends.inc({ topic: this.topic, reason });
    // Said once by who found it, and told in readiness until it is over.
    if (reason === 'unread') return;
    const what =
      reason === 'unreadable'
        ? `cannot read ${this.topic}: a batch is compressed in a way that is not known here`
        : `cannot consume ${this.topic}`;
    const { message } = faultFrom(error, what);
    const bindings = { reason: message, topic: this.topic, retryInMs };
    // Once each: what stays the same is in readiness and in the counter.
    if (message === this.#failure) this.#logger.debug(bindings, 'consuming failed');
    else if (reason === 'unreadable') this.#logger.error(bindings, what);
    else this.#logger.warn(bindings, 'consuming failed');
    this.#failure = message;
  }

  /** Of any topic that a member of the group reads. */
  async #partitionsOf(topic: string): Promise<readonly number[]> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.map(({ partitionId }) => partitionId) ?? [];
    } catch (error) {
      // Its reader fails of this too, or finds that nobody reads it, and joins again: then everything is dealt anew.
      if (faultFrom(error, topic) instanceof TopicFaultError) return [];
      throw error;
    } finally {
      await admin.disconnect().catch(() => {});
    }
  }

  /** Commits the batch once it is done with. What is given up before is not committed, so it is read again. */
  async #handleBatch(payload: EachBatchPayload, member: GroupMember, handle: Handle): Promise<void> {
    const { batch } = payload;
    const { topic } = this;
    const records = recordsOf(batch);
    const passed = batch.messages.flatMap((message) => passedBatchOf(message) ?? []);
    for (const one of passed) this.#pass(batch.partition, one);
    const heartbeat = setInterval(() => {
      payload.heartbeat().catch(() => {});
    }, this.#config.heartbeatInterval);
    this.#batchSince = performance.now();
    try {
      const mayWork = (): boolean =>
        payload.isRunning() && !payload.isStale() && !member.left && !this.#stopping.signal.aborted;
      if (!(await this.#handled(records, handle, mayWork))) {
        this.#metrics?.batches.inc({ topic, outcome: 'given_up' });
        return;
      }
    } finally {
      clearInterval(heartbeat);
      this.#batchSince = undefined;
    }
    this.#metrics?.records.inc({ topic, outcome: 'handled' }, records.length);
    this.#metrics?.records.inc(
      { topic, outcome: 'tombstone' },
      batch.messages.length - records.length - passed.length,
    );
    await this.#commit(payload);
    this.#lagging.add(batch.partition);
    this.#metrics?.lag.set({ topic, partition: batch.partition }, Number(batch.offsetLag()));
  }

  /** Says of a batch that it is lost to this server: it is passed with the next commit. */
  #pass(partition: number, { firstOffset, reason }: PassedBatch): void {
    const { topic } = this;
    const what = `a batch of ${topic} was passed: partition ${partition}, offset ${firstOffset}, ${reason}`;
    this.#metrics?.batches.inc({ topic, outcome: 'passed' });
    this.#logger.error({ topic, partition, firstOffset, reason }, 'a batch cannot be read and is passed');
    this.#passed = { what, at: performance.now() };
  }

  /** Hands `records` over until that succeeds. False when the batch is not to be worked on any more. */
  async #handled(
    records: readonly ConsumedRecord[],
    handle: Handle,
    mayWork: () => boolean,
  ): Promise<boolean> {
    const backoff = new Backoff(TRY_AGAIN);
    while (mayWork()) {
      try {
        if (records.length > 0) await handle(records);
        return true;
      } catch (error) {
        this.#metrics?.batches.inc({ topic: this.topic, outcome: 'failed' });
        const retryInMs = backoff.next();
        this.#logger.warn({ err: error, topic: this.topic, retryInMs }, 'a batch failed');
        await pause(retryInMs, { signal: this.#stopping.signal });
      }
    }
    return false;
  }

  /** A refused commit makes the library join again and read from the last one that was not. */
  async #commit({ batch, resolveOffset, commitOffsetsIfNecessary }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch;
    const offset = String(BigInt(batch.lastOffset()) + 1n);
    resolveOffset(batch.lastOffset());
    try {
      await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] });
    } catch (error) {
      this.#metrics?.batches.inc({ topic, outcome: 'uncommitted' });
      throw error;
    }
    this.#metrics?.batches.inc({ topic, outcome: 'committed' });
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const health = await this.#topic.health(signal);
    if (health.status !== 200) return health;
    const error = this.#failure || this.#assignment.problem || this.#overdue();
    if (error !== '') return { ...health, status: 503, error };
    const { what, at } = this.#passed;
    return performance.now() - at < PASSED_TOLD_MS
      ? { ...health, message: `${health.message}; ${what}` }
      : health;
  }

  #overdue(): string {
    const bound = this.#url.maxProcessingTimeMs ?? PROCESSING_MS;
    const taken = this.#batchSince === undefined ? 0 : performance.now() - this.#batchSince;
    return taken > bound ? `a batch of ${this.topic} is under way for ${Math.round(taken)} ms` : '';
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#assignment.stop();
    await this.#running;
    await this.#topic.close();
  }
}

/** Of a session that is shorter than the heartbeats the library would make nothing: three fit into each. */
function heartbeatOf(told: number | undefined, sessionTimeout: number): number {
  const longest = Math.max(1, Math.floor(sessionTimeout / 3));
  return told !== undefined && told < sessionTimeout ? told : Math.min(HEARTBEAT_MS, longest);
}

function endOf(error: unknown): ConsumerEnd {
  if (error instanceof StalledError) return 'stalled';
  if (error instanceof UnreadError) return 'unread';
  return error instanceof Error && error.name === 'KafkaJSNotImplemented' ? 'unreadable' : 'crash';
}

/** The records of a batch. One without a value is a tombstone: nothing that this server knows. */
function recordsOf({ topic, partition, messages }: Batch): ConsumedRecord[] {
  const records: ConsumedRecord[] = [];
  for (const { value, key, offset, timestamp } of messages) {
    if (value === null) continue;
    records.push({
      topic,
      partition,
      offset: BigInt(offset),
      timestamp: Number(timestamp),
      value,
      ...(key === null ? {} : { key }),
    });
  }
  return records;
}

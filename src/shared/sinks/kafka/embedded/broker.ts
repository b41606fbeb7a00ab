/** The embedded broker: topics, partitions, offsets, groups, retention, replay. One owner a process. */

import { Serial } from '../../../async/serial.js';
import { steadyTime } from '../../../clock.js';
import type { Logger } from '../../../logging/logger.js';
import {
  BrokerFaultError,
  type ConsumedRecord,
  type KafkaRecord,
  RecordFaultError,
  TopicFaultError,
} from '../types.js';
import { ConsumerGroups } from './consumer-groups.js';
import { type BrokerLevel, PartitionLog } from './partition-log.js';
import { partitionOf } from './partitioner.js';
import type { BrokerPort, JoinRequest, ReadRequest, TopicSpec, TopicState } from './port.js';

export interface EmbeddedBrokerOptions {
  /**
   * Records kept of all topics together, whatever their retention.
   * @default 1_000_000
   */
  readonly maxRecords?: number;
  /**
   * Bytes kept of all topics together.
   * @default 64 MiB
   */
  readonly maxBytes?: number;
  /**
   * Largest record, key and value together.
   * @default 1_048_588, as Kafka's own
   */
  readonly maxRecordBytes?: number;
  /**
   * Most topics.
   * @default 1_000
   */
  readonly maxTopics?: number;
  /**
   * Most partitions of one topic.
   * @default 1_000
   */
  readonly maxPartitions?: number;
  /**
   * Whether producers and consumers may create topics.
   * @default true
   */
  readonly createTopics?: boolean;
  /**
   * Milliseconds between two looks at retention.
   * @default 1_000
   */
  readonly retentionIntervalMs?: number;
  /** Clock, unix ms. */
  readonly now?: () => number;
}

interface Topic {
  spec: TopicSpec;
  readonly partitions: readonly PartitionLog[];
  /** Partition of the next batch of records without keys. */
  turn: number;
  /** Wakes those that wait for a record. */
  readonly waiting: Set<() => void>;
}

/** Long polls end after this much, so that a forgotten one does not stay. */
const MAX_WAIT_MS = 30_000;

export class EmbeddedBroker implements BrokerPort {
  readonly #level: BrokerLevel;
  readonly #logger: Logger;
  readonly #options: Required<EmbeddedBrokerOptions>;
  readonly #topics = new Map<string, Topic>();
  readonly #groups: ConsumerGroups;
  #sweep: NodeJS.Timeout | undefined;
  readonly #trimming = new Serial();
  #running = false;
  #lastTrimWarning = 0;

  constructor(
    { level, logger }: { level: BrokerLevel; logger: Logger },
    options: EmbeddedBrokerOptions = {},
  ) {
    this.#level = level;
    this.#logger = logger;
    this.#options = {
      maxRecords: 1_000_000,
      maxBytes: 64 * 1024 * 1024,
      maxRecordBytes: 1_048_588,
      maxTopics: 1000,
      maxPartitions: 1000,
      createTopics: true,
      retentionIntervalMs: 1000,
      now: steadyTime,
      ...options,
    };
    this.#groups = new ConsumerGroups(level, (topic) => this.#topic(topic).partitions.length);
  }

  /** Opens the store and finds what is in it. */
  async start(): Promise<void> {
    await this.#level.open();
    for await (const [key, value] of this.#level.iterator({ gte: 'topic/', lt: 'topic/~' })) {
      await this.#addTopic(JSON.parse(value.toString()) as TopicSpec, key.slice('topic/'.length));
    }
    await this.#groups.load();
    this.#running = true;
    this.#sweep = setInterval(() => {
      this.trim().catch((error: unknown) => this.#logger.error({ err: error }, 'retention failed'));
    }, this.#options.retentionIntervalMs);
    this.#sweep.unref();
  }

  async stop(): Promise<void> {
    this.#running = false;
    clearInterval(this.#sweep);
    for (const topic of this.#topics.values()) wake(topic);
    await this.#trimming.idle();
    await this.#level.close();
  }

  async createTopic(spec: TopicSpec): Promise<void> {
    this.#assertRunning();
    const existing = this.#topics.get(spec.topic);
    if (existing !== undefined) {
      existing.spec = { ...existing.spec, retentionMs: spec.retentionMs };
      return;
    }
    if (!this.#options.createTopics) throw new TopicFaultError(`topic ${spec.topic} does not exist`);
    await this.addTopic(spec);
  }

  /** Makes a topic whatever `createTopics` says. */
  async addTopic(spec: TopicSpec): Promise<void> {
    if (this.#topics.has(spec.topic)) return;
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(spec.topic)) throw new TopicFaultError('the topic has no valid name');
    if (this.#topics.size >= this.#options.maxTopics) throw new TopicFaultError('too many topics');
    if (spec.partitions < 1 || spec.partitions > this.#options.maxPartitions) {
      throw new TopicFaultError(
        `topic ${spec.topic}: 1 to ${this.#options.maxPartitions} partitions, not ${spec.partitions}`,
      );
    }
    await this.#addTopic(spec, spec.topic);
    await this.#level.put(`topic/${spec.topic}`, Buffer.from(JSON.stringify(spec)));
  }

  async #addTopic(spec: TopicSpec, name: string): Promise<void> {
    const partitions = Array.from(
      { length: spec.partitions },
      (_, partition) => new PartitionLog(this.#level, name, partition),
    );
    this.#topics.set(name, { spec, partitions, turn: 0, waiting: new Set() });
    for (const log of partitions) await log.load();
  }

  async topics(): Promise<readonly TopicState[]> {
    this.#assertRunning();
    return [...this.#topics.values()].map(({ spec, partitions }) => ({
      ...spec,
      offsets: partitions.map(({ oldest, next }) => ({ oldest, next })),
    }));
  }

  async produce(name: string, records: readonly KafkaRecord[]): Promise<void> {
    this.#assertRunning();
    const topic = this.#topic(name);
    if (records.length === 0) return;
    for (const { key, value } of records) {
      const bytes = (key?.length ?? 0) + value.length;
      if (bytes > this.#options.maxRecordBytes) {
        throw new RecordFaultError(`a record of ${bytes} bytes; at most ${this.#options.maxRecordBytes}`);
      }
    }
    const timestamp = this.#options.now();
    if (topic.partitions.length === 1) {
      await topic.partitions[0]?.append(records, timestamp);
    } else {
      await this.#appendEach(topic, records, timestamp);
    }
    wake(topic);
    if (this.#full()) await this.trim();
  }

  async #appendEach(topic: Topic, records: readonly KafkaRecord[], timestamp: number): Promise<void> {
    const keyless = topic.turn++ % topic.partitions.length;
    const parts = new Map<number, KafkaRecord[]>();
    for (const record of records) {
      const partition = record.key === undefined ? keyless : partitionOf(record.key, topic.partitions.length);
      const part = parts.get(partition);
      if (part === undefined) parts.set(partition, [record]);
      else part.push(record);
    }
    await Promise.all(
      [...parts].map(([partition, part]) => topic.partitions[partition]?.append(part, timestamp)),
    );
  }

  async read(request: ReadRequest): Promise<readonly ConsumedRecord[]> {
    const log = this.#topic(request.topic).partitions[request.partition];
    if (log === undefined)
      throw new TopicFaultError(`${request.topic} has no partition ${request.partition}`);
    return this.#await(request.topic, request.waitMs, () =>
      log.next > request.offset ? log.read(request.offset, request.maxBytes) : undefined,
    );
  }

  async join(request: JoinRequest): Promise<number> {
    const { topic, fromOldest } = request;
    const found = this.#topic(topic);
    const id = await this.#groups.join(request, (partition) => {
      const log = found.partitions[partition];
      return (fromOldest ? log?.oldest : log?.next) ?? 0;
    });
    wake(found);
    return id;
  }

  async poll(member: number, maxBytes: number, waitMs: number): Promise<readonly ConsumedRecord[]> {
    const topic = this.#groups.topicOf(member);
    return this.#await(topic, waitMs, async () => {
      for (const { partition, offset } of this.#groups.assignment(member)) {
        const log = this.#topic(topic).partitions[partition];
        if (log === undefined || log.next <= offset) continue;
        if (offset >= log.oldest || this.#groups.startsFromOldest(member)) return log.read(offset, maxBytes);
        // Retention has taken what was to be read next, and `offsetReset` says to go on with what comes.
        await this.#groups.commit(member, partition, log.next);
      }
      return undefined;
    });
  }

  async commit(member: number, partition: number, next: number): Promise<boolean> {
    this.#assertRunning();
    return this.#groups.commit(member, partition, next);
  }

  async leave(member: number): Promise<void> {
    if (!this.#running) return;
    const topic = this.#topics.get(this.#groups.topicOf(member));
    this.#groups.leave(member);
    if (topic !== undefined) wake(topic);
  }

  /** What `look` finds, now or when the topic's records or members change, until `waitMs` are over. */
  async #await(
    name: string,
    waitMs: number,
    look: () => Promise<ConsumedRecord[] | undefined> | undefined,
  ): Promise<readonly ConsumedRecord[]> {
    const deadline = performance.now() + Math.min(waitMs, MAX_WAIT_MS);
    for (;;) {
      this.#assertRunning();
      const found = await look();
      if (found !== undefined && found.length > 0) return found;
      const left = deadline - performance.now();
      if (left <= 0) return [];
      await new Promise<void>((resolve) => {
        const { waiting } = this.#topic(name);
        const done = (): void => {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, left);
        waiting.add(done);
      });
    }
  }

  #full(): boolean {
    const { records, bytes } = this.#kept();
    return records > this.#options.maxRecords || bytes > this.#options.maxBytes;
  }

  #kept(): { records: number; bytes: number } {
    let records = 0;
    let bytes = 0;
    for (const { partitions } of this.#topics.values()) {
      for (const log of partitions) {
        records += log.records;
        bytes += log.bytes;
      }
    }
    return { records, bytes };
  }

  /** Applies each topic's retention, then the bounds of the whole: the oldest batch of all goes first. */
  trim(): Promise<void> {
    return this.#trimming.run(async () => {
      const now = this.#options.now();
      for (const { spec, partitions } of this.#topics.values()) {
        if (spec.retentionMs < 0) continue;
        for (const log of partitions) await log.drop((timestamp) => timestamp < now - spec.retentionMs);
      }
      await this.#dropOldest();
    });
  }

  async #dropOldest(): Promise<void> {
    while (this.#full()) {
      const oldest = [...this.#topics.values()]
        .flatMap((topic) => topic.partitions)
        .reduce((first, log) => (log.oldestTimestamp < first.oldestTimestamp ? log : first));
      if (oldest.records === 0) return;
      let left = 1;
      const records = await oldest.drop(() => left-- > 0);
      // Once in ten seconds: under load this happens with each batch.
      if (this.#options.now() - this.#lastTrimWarning < 10_000) continue;
      this.#lastTrimWarning = this.#options.now();
      this.#logger.warn(
        { topic: oldest.topic, partition: oldest.partition, records },
        'the embedded broker is full: its oldest records go before their retention is over',
      );
    }
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new TopicFaultError(`topic ${name} does not exist`);
    return topic;
  }

  #assertRunning(): void {
    if (!this.#running) throw new BrokerFaultError('the embedded broker is not running');
  }
}

function wake(topic: Topic): void {
  for (const done of [...topic.waiting]) done();
}

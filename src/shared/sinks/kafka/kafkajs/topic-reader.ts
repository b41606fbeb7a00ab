/**
 * Reads a topic of a Kafka cluster.
 *
 * kafkajs reads for groups alone: a member of a group waits for the others at each join, needs to be allowed the group, and goes on at the oldest or the newest
 * without a word where its offset is not in the topic. What it reads with, its connections to a cluster (`kafkajs/src/cluster`), has a fetch of any offset,
 * which says so; it is what the library's own admin and consumer are handed.
 */

import type { Kafka } from 'kafkajs';
import type { Logger } from '../../../logging/logger.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import {
  OffsetRangeError,
  type ReadOptions,
  type ReadRecords,
  type TopicBounds,
  type TopicReader,
} from '../topic-reader.js';
import { BrokerFaultError, TopicFaultError } from '../types.js';
import { faultFrom, faultType } from './faults.js';
import { KafkaTopic } from './topic.js';

/** What a fetch answers of a partition. */
interface FetchedPartition {
  readonly highWatermark: string;
  readonly messages: readonly {
    readonly offset: string;
    readonly timestamp: string;
    readonly value: Buffer | null;
    readonly isControlRecord?: boolean;
  }[];
}

interface Broker {
  fetch(request: {
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly fetchOffset: string;
        readonly maxBytes: number;
      }[];
    }[];
  }): Promise<{ readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] }>;
}

interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, unknown>>;
  findBroker(of: { readonly nodeId: string }): Promise<Broker>;
}

/** Kafka's number for what is committed alone: transactions that were given up are left out by who reads, of which a topic of frames has none. */
const READ_COMMITTED = 1;
const METADATA_MAX_AGE_MS = 60_000;
const CREATE_CLUSTER = 'private:Kafka:createCluster';

/** Connections of one's own to the cluster of `kafka`. */
function clusterOf(kafka: Kafka): Cluster {
  const key = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === CREATE_CLUSTER);
  const create = key && (kafka as unknown as Record<symbol, (options: object) => Cluster>)[key];
  if (create === undefined) throw new Error('this version of kafkajs has no connections to a cluster');
  return create({ metadataMaxAge: METADATA_MAX_AGE_MS, allowAutoTopicCreation: false });
}

export class KafkaJsTopicReader implements TopicReader {
  readonly topic: string;
  readonly place: string;
  readonly #setting: string;
  readonly #kafka: Kafka;
  readonly #admin: KafkaTopic;
  #cluster: Promise<Cluster> | undefined;
  #closed = false;

  constructor({ kafka, logger }: { readonly kafka: Kafka; readonly logger: Logger }, url: KafkaTopicUrl) {
    this.topic = url.topic;
    this.#setting = url.setting;
    this.place = `${url.brokers.join(',')} (${url.setting})`;
    this.#kafka = kafka;
    this.#admin = new KafkaTopic({ kafka, logger }, url);
  }

  bounds(): Promise<TopicBounds> {
    const { topic } = this;
    return this.#admin.administer(`topic ${topic} does not answer`, async (admin) => {
      // Asked anew each time: offsets are asked of whoever led when that was last heard.
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] }).catch((error: unknown) => {
        if (faultType(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error;
        throw new TopicFaultError(`topic ${topic} is not there yet: a node with ${this.#setting} makes it`, {
          cause: error,
        });
      });
      const offsets = await admin.fetchTopicOffsets(topic);
      const first = offsets.find(({ partition }) => partition === 0);
      if (first === undefined) throw new TopicFaultError(`topic ${topic} has no partition 0`);
      const partitions = topics[0]?.partitions.length ?? offsets.length;
      return { partitions, oldest: Number(first.low), next: Number(first.high) };
    });
  }

  offsetAt(ms: number): Promise<number> {
    const { topic } = this;
    return this.#admin.administer(`topic ${topic} does not answer`, async (admin) => {
      const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, ms);
      const first = offsets.find(({ partition }) => partition === 0);
      if (first === undefined) throw new TopicFaultError(`topic ${topic} has no partition 0`);
      return Number(first.offset);
    });
  }

  async read(offset: number, options: ReadOptions): Promise<ReadRecords> {
    if (this.#closed) throw new BrokerFaultError('the reader is closed');
    const { topic } = this;
    try {
      this.#cluster ??= this.#connect();
      return await this.#fetch(await this.#cluster, offset, options);
    } catch (error) {
      if (faultType(error) === 'OFFSET_OUT_OF_RANGE')
        throw new OffsetRangeError(`topic ${topic} has no offset ${offset}`, { cause: error });
      // Whoever led may lead no more, and a connection that broke stays so.
      await this.#hangUp();
      throw faultFrom(error, `topic ${topic} cannot be read`);
    }
  }

  async #fetch(cluster: Cluster, offset: number, { maxBytes, waitMs }: ReadOptions): Promise<ReadRecords> {
    const { topic } = this;
    await cluster.refreshMetadataIfNecessary();
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [0]));
    if (nodeId === undefined) throw new TopicFaultError(`topic ${topic} has no partition 0`);
    const broker = await cluster.findBroker({ nodeId });
    const partitions = [{ partition: 0, fetchOffset: String(offset), maxBytes }];
    const { responses } = await broker.fetch({
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: READ_COMMITTED,
      topics: [{ topic, partitions }],
    });
    const [partition] = responses[0]?.partitions ?? [];
    if (partition === undefined) throw new BrokerFaultError(`the fetch of ${topic} was not answered`);
    const { messages, highWatermark } = partition;
    // A batch comes whole, also what is before the offset in it.
    const wanted = messages.filter((message) => Number(message.offset) >= offset);
    const last = wanted.at(-1);
    const records = wanted.flatMap(({ offset, timestamp, value, isControlRecord }) =>
      isControlRecord === true
        ? []
        : [{ offset: Number(offset), timestamp: Number(timestamp), value: value ?? undefined }],
    );
    return {
      records,
      next: last === undefined ? offset : Number(last.offset) + 1,
      end: Number(highWatermark),
    };
  }

  async #connect(): Promise<Cluster> {
    const cluster = clusterOf(this.#kafka);
    try {
      await cluster.connect();
      await cluster.addTargetTopic(this.topic);
      return cluster;
    } catch (error) {
      void cluster.disconnect().catch(() => {});
      throw error;
    }
  }

  async #hangUp(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.then((connected) => connected.disconnect()).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#hangUp(), this.#admin.close()]);
  }
}

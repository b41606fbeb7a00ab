/** Producer for one topic of a Kafka cluster. */

import type { Kafka, Message, Producer, RecordMetadata } from 'kafkajs';
import pTimeout from 'p-timeout';
import { raceSignal } from 'race-signal';
import type { DependencyHealth } from '../../../health.js';
import type { Logger } from '../../../logging/logger.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import { partitionOf } from '../embedded/partitioner.js';
import {
  BrokerFaultError,
  type KafkaProducer,
  type KafkaRecord,
  RecordFaultError,
  TopicFaultError,
} from '../types.js';
import { PRODUCER_RETRY, REQUEST_TIMEOUT_MS } from './client.js';
import { COMPRESSION_TYPES, type CompressionName } from './compression.js';
import { endsIdentity, faultFrom, faultType } from './faults.js';
import { encodeProduceRequestsFast, fastPartitioner, GroupedOnce } from './produce-request.js';
import { KafkaTopic } from './topic.js';
import { type Entry, type Shipment, UnfinishedBatch } from './unfinished.js';

/** Of a batch, and of a record in it besides key and value, at the most. */
const BATCH_BYTES = 100;
const RECORD_BYTES = 21;
/** Of a header besides name and value, at the most. */
const HEADER_BYTES = 10;
/** Times a producer keeps its identity for the sake of a shipment in doubt, while its topic answers. */
const MAX_DOUBTS = 20;
/**
 * Records after which a producer takes a new identity. Numbers end at 2^31 - 1, and the library does not get past that: of a
 * request that crosses it and fails it counts back to a number below 0, with which Kafka refuses this record and every later one.
 */
const MAX_NUMBERED = 2 ** 30;
/** The library waits for requests under way before it hangs up. */
const DISCONNECT_PATIENCE_MS = 2000;

/** What became of one partition's shipments: all acknowledged, or the first that was not and why. */
type Outcome = { readonly shipment: Shipment; readonly error: unknown } | undefined;

/**
 * Each partition's records go in requests of their own. The library takes several partitions of a broker in one, but remembers
 * of an answer only the first error in it: where one partition refused and another stored its records, it would count back the
 * numbers of both, and Kafka would take the next records of the second for repeats and drop them; where the leader of one
 * moved to a broker that had already answered for another, it would report success for records that it never sent.
 */
export class KafkaJsProducer implements KafkaProducer {
  readonly topic: string;
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #topic: KafkaTopic;
  readonly #compression: number;
  readonly #unfinished = new UnfinishedBatch();
  #producer: Producer | undefined;
  #online = false;
  #doubts = 0;
  #turn = 0;
  readonly #maxNumbered: number;
  #numbered = 0;

  constructor(
    { kafka, logger }: { kafka: Kafka; logger: Logger },
    url: KafkaTopicUrl,
    {
      compression = 'none',
      maxNumbered = MAX_NUMBERED,
    }: {
      readonly compression?: CompressionName;
      /**
       * Records sent as one producer, 2^30 at the most.
       * @default 2 ** 30
       */
      readonly maxNumbered?: number;
    } = {},
  ) {
    encodeProduceRequestsFast();
    this.topic = url.topic;
    this.#kafka = kafka;
    this.#logger = logger;
    this.#topic = new KafkaTopic({ kafka, logger }, url);
    this.#compression = COMPRESSION_TYPES[compression];
    this.#maxNumbered = maxNumbered;
  }

  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const connecting = this.#connect(signal);
    await raceSignal(connecting, signal);
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    await this.#topic.ensure();
    signal?.throwIfAborted();
    await this.#connected();
    // Nobody waits for it any more.
    if (signal?.aborted) await this.disconnect();
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== undefined && this.#online) return this.#producer;
    const kept = this.#producer;
    const producer =
      kept ??
      this.#kafka.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: fastPartitioner,
        // The library warns when an idempotent producer does not retry for ever. Here what it gives up is kept exactly as it
        // was, and goes out again with the same numbers.
        retry: PRODUCER_RETRY,
      });
    try {
      // One that was connected before keeps its identity and its sequence numbers.
      await producer.connect();
    } catch (error) {
      if (kept === undefined) void this.#hangUp(producer);
      throw faultFrom(error, `cannot produce to ${this.topic}`);
    }
    this.#producer = producer;
    this.#online = true;
    return producer;
  }

  async send(records: readonly KafkaRecord[]): Promise<void> {
    if (records.length === 0) return;
    const { entries, rest, sameShipments } = this.#unfinished.resume(records);
    const spent = this.#numbered >= this.#maxNumbered && this.#unfinished.inDoubt.length === 0;
    if (spent || !sameShipments || this.#doubts > MAX_DOUBTS) this.#discard();
    const producer = await this.#connected();
    const outcomes = await Promise.all(
      [...this.#shipments(entries).values()].map((shipments) => this.#sendInOrder(producer, shipments)),
    );
    const failures = outcomes.filter((outcome) => outcome !== undefined);
    if (failures.length === 0) {
      this.#unfinished.finish(rest);
      this.#doubts = 0;
      return;
    }
    throw await this.#failed(failures, entries, rest);
  }

  /** What is to be sent, by partition: first and unchanged what is in doubt, then in order what is not acknowledged. */
  #shipments(entries: readonly Entry[]): ReadonlyMap<number, readonly Shipment[]> {
    const { partitions, maxBatchBytes } = this.#topic;
    const shipments = new Map<number, Shipment[]>();
    const to = (partition: number): Shipment[] => {
      const known = shipments.get(partition);
      if (known !== undefined) return known;
      const none: Shipment[] = [];
      shipments.set(partition, none);
      return none;
    };
    const doubted = new Set<Entry>();
    for (const shipment of this.#unfinished.inDoubt) {
      to(shipment.partition).push(shipment);
      for (const entry of shipment.entries) doubted.add(entry);
    }
    // Records without a key stay together, so that they stay in order.
    const keyless = this.#turn++ % partitions;
    const open = new Map<number, { entries: Entry[]; bytes: number }>();
    for (const entry of entries) {
      if (entry.acknowledged || doubted.has(entry)) continue;
      const { key, value, headers } = entry.record;
      const partition = key === undefined ? keyless : partitionOf(key, partitions);
      const bytes = (key?.length ?? 0) + value.length + headerBytes(headers) + RECORD_BYTES;
      const last = open.get(partition);
      if (last !== undefined && last.bytes + bytes <= maxBatchBytes) {
        last.entries.push(entry);
        last.bytes += bytes;
      } else {
        const next = { entries: [entry], bytes: BATCH_BYTES + bytes };
        open.set(partition, next);
        to(partition).push({ partition, entries: next.entries });
      }
    }
    return shipments;
  }

  async #sendInOrder(producer: Producer, shipments: readonly Shipment[]): Promise<Outcome> {
    for (const shipment of shipments) {
      try {
        await this.#ship(producer, shipment);
      } catch (error) {
        return { shipment, error };
      }
      for (const entry of shipment.entries) entry.acknowledged = true;
    }
    return undefined;
  }

  async #ship(producer: Producer, { partition, entries }: Shipment): Promise<void> {
    this.#numbered += entries.length;
    const answers: readonly RecordMetadata[] = await producer.send({
      topic: this.topic,
      acks: -1,
      // What the broker waits for its replicas.
      timeout: REQUEST_TIMEOUT_MS - 1000,
      compression: this.#compression,
      messages: GroupedOnce.from(entries, ({ record }) => messageOf(record, partition)),
    });
    // The library resolves without a word when the topic has no such partition.
    if (!answers.some((answer) => answer.partition === partition)) throw new MissingPartitionError(partition);
  }

  /** The fault that stands for all `failures`. Nobody's else than a record's comes first: it is tried again as it is. */
  async #failed(
    failures: readonly NonNullable<Outcome>[],
    entries: readonly Entry[],
    rest: readonly Entry[],
  ): Promise<Error> {
    const faults = failures.map(({ shipment, error }) => ({
      shipment,
      error,
      fault: this.#faultOf(shipment, error),
    }));
    const doubtful = faults.filter(({ fault }) => !(fault instanceof RecordFaultError));
    const [only] = entries;
    // It may have been stored before it was refused. Other records would then go out with its numbers, and be taken for it.
    const { inDoubt } = this.#unfinished;
    const refusedInDoubt = faults.some(
      ({ shipment, fault }) => fault instanceof RecordFaultError && inDoubt.includes(shipment),
    );
    // A record that is refused alone does not come again, or as a new one.
    const refusedAlone = doubtful.length === 0 && entries.length === 1 && only?.acknowledged === false;
    this.#unfinished.keep(
      refusedAlone ? [] : entries,
      rest,
      doubtful.map(({ shipment }) => shipment),
    );
    if (refusedInDoubt) {
      this.#discard();
    } else if (doubtful.length > 0) {
      if (doubtful.some(({ error }) => endsIdentity(error) || error instanceof MissingPartitionError)) {
        this.#discard();
      } else {
        this.#doubts++;
        await this.#disconnectKept();
      }
    }
    const [first] = [...doubtful, ...faults];
    return first?.fault ?? new BrokerFaultError(`cannot produce to ${this.topic}`);
  }

  #faultOf({ entries }: Shipment, error: unknown): Error {
    const what = `cannot produce to ${this.topic}`;
    // Kafka does not say which: but that it refuses every record of this kind, each of which would be a dead letter.
    if (faultType(error) === 'INVALID_RECORD' && entries.some(({ record }) => record.key === undefined)) {
      const reason = 'a topic with cleanup.policy=compact takes no records without a key';
      return new TopicFaultError(`${what}: ${reason} (INVALID_RECORD)`, { cause: error });
    }
    return faultFrom(error, what);
  }

  /** Hangs up and keeps the identity: a connection on which something failed may never work again. */
  async #disconnectKept(): Promise<void> {
    const producer = this.#producer;
    if (producer === undefined) return;
    this.#online = false;
    if (!(await this.#hangUp(producer))) this.#discard();
  }

  /** A new producer next time, to which everything not acknowledged is new: the worst is a record twice. */
  #discard(): void {
    const producer = this.#producer;
    this.#producer = undefined;
    this.#doubts = 0;
    this.#numbered = 0;
    this.#unfinished.forgetDoubts();
    if (producer !== undefined && this.#online) void this.#hangUp(producer);
    this.#online = false;
  }

  /** Whether it was disconnected within the patience. Never rejects. */
  #hangUp(producer: Producer): Promise<boolean> {
    const disconnected = producer.disconnect().then(
      () => true,
      (error: unknown) => {
        this.#logger.debug({ err: error, topic: this.topic }, 'a producer did not disconnect');
        return false;
      },
    );
    return pTimeout(disconnected, { milliseconds: DISCONNECT_PATIENCE_MS, fallback: () => false });
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    return this.#topic.health(signal);
  }

  async disconnect(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    if (producer !== undefined && this.#online) await this.#hangUp(producer);
    this.#online = false;
    await this.#topic.close();
  }
}

class MissingPartitionError extends Error {
  override readonly name = 'MissingPartitionError';

  constructor(partition: number) {
    super(`the topic has no partition ${partition} any more`);
  }
}

function messageOf({ key, value, headers }: KafkaRecord, partition: number): Message {
  const message = { key: key === undefined ? null : bufferOf(key), value: bufferOf(value), partition };
  return headers === undefined ? message : { ...message, headers };
}

function headerBytes(headers: KafkaRecord['headers']): number {
  if (headers === undefined) return 0;
  return Object.entries(headers).reduce(
    (sum, [name, value]) => sum + HEADER_BYTES + name.length + value.length,
    0,
  );
}

/** The same memory: kafkajs takes nothing but Buffers. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

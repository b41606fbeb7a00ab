/** Consumer of one topic of a Kafka cluster, in a group. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';
import type { DependencyHealth } from '../../health.js';
import type { Logger } from '../../logging.js';
import type { ConsumedRecord, KafkaConsumer } from '../types.js';
import type { KafkaTopicUrl } from '../url.js';
import { RETRY } from './client.js';
import { faultFrom } from './faults.js';
import { KafkaTopic } from './topic.js';

type Handle = (records: readonly ConsumedRecord[]) => Promise<void>;

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
const HEARTBEAT_MS = 3000;

export class KafkaJsConsumer implements KafkaConsumer {
  readonly topic: string;
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #url: KafkaTopicUrl;
  readonly #group: string;
  readonly #topic: KafkaTopic;
  readonly #stopping = new AbortController();
  #consumer: Consumer | undefined;
  #running: Promise<void> | undefined;
  #failure = '';

  constructor({ kafka, logger }: { kafka: Kafka; logger: Logger }, url: KafkaTopicUrl, group: string) {
    this.topic = url.topic;
    this.#kafka = kafka;
    this.#logger = logger;
    this.#url = url;
    this.#group = group;
    this.#topic = new KafkaTopic({ kafka, logger }, url);
  }

  /** Resolves when consuming, or after the first vain attempt: a broker that is away is waited for. */
  async start(handle: Handle): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#running = this.#consume(handle, resolve);
    });
  }

  /** A consumer after the other: kafkajs ends one for good after some errors. */
  async #consume(handle: Handle, tried: () => void): Promise<void> {
    const { signal } = this.#stopping;
    let backoff = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      try {
        const { ended } = await this.#run(handle);
        this.#failure = '';
        backoff = FIRST_BACKOFF_MS;
        tried();
        const error = await ended;
        if (error !== undefined) throw error;
      } catch (error) {
        this.#failure = faultFrom(error, `cannot consume ${this.topic}`).message;
        this.#logger.warn({ err: error, topic: this.topic, retryInMs: backoff }, 'consuming failed');
      }
      tried();
      await this.#disconnect();
      await delay(backoff, undefined, { signal }).catch(() => {});
      backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
    }
  }

  /** Resolves when consuming, with a promise of the error that ended it (undefined: stopped). */
  async #run(handle: Handle): Promise<{ ended: Promise<Error | undefined> }> {
    await this.#topic.ensure();
    const consumer = this.#kafka.consumer(this.#config());
    this.#consumer = consumer;
    const ended = new Promise<Error | undefined>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
      this.#stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [this.topic], fromBeginning: this.#url.fromOldest });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: (payload) => this.#handleBatch(payload, handle),
    });
    return { ended };
  }

  #config(): ConsumerConfig {
    const { sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs } = this.#url;
    return {
      groupId: this.#group,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: 1000,
      retry: { ...RETRY, restartOnFailure: async () => false },
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeout: sessionTimeoutMs }),
      ...(heartbeatIntervalMs === undefined ? {} : { heartbeatInterval: heartbeatIntervalMs }),
      ...(rebalanceTimeoutMs === undefined ? {} : { rebalanceTimeout: rebalanceTimeoutMs }),
    };
  }

  /** Works on one batch until that succeeds, and keeps its place in the group meanwhile. */
  async #handleBatch(payload: EachBatchPayload, handle: Handle): Promise<void> {
    const { batch, isRunning, isStale } = payload;
    const records = batch.messages.flatMap((message): ConsumedRecord[] =>
      // A null value is a tombstone: nothing that this server knows.
      message.value === null
        ? []
        : [
            {
              topic: batch.topic,
              partition: batch.partition,
              offset: BigInt(message.offset),
              timestamp: Number(message.timestamp),
              value: message.value,
              ...(message.key === null ? {} : { key: message.key }),
            },
          ],
    );
    const heartbeat = setInterval(() => {
      payload.heartbeat().catch(() => {});
    }, this.#url.heartbeatIntervalMs ?? HEARTBEAT_MS);
    try {
      for (let backoff = FIRST_BACKOFF_MS; isRunning() && !isStale() && !this.#stopping.signal.aborted; ) {
        try {
          if (records.length > 0) await handle(records);
          break;
        } catch (error) {
          this.#logger.warn({ err: error, topic: this.topic, retryInMs: backoff }, 'a batch failed');
          await delay(backoff, undefined, { signal: this.#stopping.signal }).catch(() => {});
          backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
          if (this.#stopping.signal.aborted) return;
        }
      }
    } finally {
      clearInterval(heartbeat);
    }
    if (!isRunning() || isStale()) return;
    payload.resolveOffset(batch.lastOffset());
    await payload.commitOffsetsIfNecessary({
      topics: [
        {
          topic: batch.topic,
          partitions: [{ partition: batch.partition, offset: String(BigInt(batch.lastOffset()) + 1n) }],
        },
      ],
    });
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const health = await this.#topic.health(signal);
    return health.status === 200 && this.#failure !== ''
      ? { ...health, status: 503, error: this.#failure }
      : health;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#topic.close();
  }

  async #disconnect(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    await consumer?.disconnect().catch((error: unknown) => {
      this.#logger.debug({ err: error, topic: this.topic }, 'a consumer did not disconnect');
    });
  }
}

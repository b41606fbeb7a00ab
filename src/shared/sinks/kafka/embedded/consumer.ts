/** Consumer of one topic of the embedded broker. */

import { raceSignal } from 'race-signal';
import { Backoff } from '../../../async/backoff.js';
import { pause } from '../../../async/pause.js';
import { errorMessage } from '../../../errors.js';
import type { DependencyHealth } from '../../../health.js';
import type { Logger } from '../../../logging/logger.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import type { ConsumerMetrics } from '../consumer-metrics.js';
import type { ConsumedRecord, KafkaConsumer } from '../types.js';
import type { BrokerPort } from './port.js';
import { brokerHealth } from './producer.js';

export interface EmbeddedConsumerOptions {
  readonly group: string;
  /**
   * Longest poll, milliseconds.
   * @default 5_000
   */
  readonly pollMs?: number;
  /**
   * First wait after a failure, doubled up to 5 s; milliseconds.
   * @default 100
   */
  readonly backoffMs?: number;
}

const MAX_BATCH_BYTES = 1024 * 1024;
const MAX_BACKOFF_MS = 5000;

export class EmbeddedConsumer implements KafkaConsumer {
  readonly topic: string;
  readonly #broker: BrokerPort;
  readonly #logger: Logger;
  readonly #metrics: ConsumerMetrics | undefined;
  readonly #url: KafkaTopicUrl;
  readonly #options: Required<EmbeddedConsumerOptions>;
  readonly #close: () => Promise<void>;
  readonly #stopping = new AbortController();
  #member: number | undefined;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #failure = '';

  /** `close` ends what the consumer alone uses, such as a connection. */
  constructor(
    {
      broker,
      logger,
      metrics,
      close = async () => {},
    }: {
      broker: BrokerPort;
      logger: Logger;
      metrics?: ConsumerMetrics;
      close?: () => Promise<void>;
    },
    url: KafkaTopicUrl,
    options: EmbeddedConsumerOptions,
  ) {
    this.topic = url.topic;
    this.#broker = broker;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#url = url;
    this.#options = { pollMs: 5000, backoffMs: 100, ...options };
    this.#close = close;
  }

  /** Resolves once a member of the group, or after the first vain attempt: a broker that is away is waited for. */
  async start(handle: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void> {
    await this.#join().catch((error: unknown) => {
      this.#logger.warn({ err: error, topic: this.topic }, 'cannot consume yet, trying on');
    });
    this.#running = this.#consume(handle);
  }

  async #join(): Promise<number> {
    const { topic, partitions, retentionMs, fromOldest } = this.#url;
    await this.#broker.createTopic({ topic, partitions, retentionMs });
    this.#member = await this.#broker.join({ group: this.#options.group, topic, fromOldest });
    this.#metrics?.joins.inc({ topic });
    return this.#member;
  }

  async #consume(handle: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = new Backoff({ firstMs: this.#options.backoffMs, maxMs: MAX_BACKOFF_MS });
    while (!signal.aborted) {
      try {
        await this.#consumeBatch(handle);
        backoff.reset();
        this.#failure = '';
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = `cannot consume ${this.topic}: ${errorMessage(error)}`;
        const retryInMs = backoff.next();
        this.#logger.warn({ err: error, topic: this.topic, retryInMs }, 'consuming failed');
        await pause(retryInMs, { signal });
      }
    }
  }

  async #consumeBatch(handle: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    const member = this.#member ?? (await this.#join());
    const polled = this.#orForget(this.#broker.poll(member, MAX_BATCH_BYTES, this.#options.pollMs));
    const records = await raceSignal(polled, signal);
    const last = records.at(-1);
    if (last === undefined || signal.aborted) return;
    const { topic } = this;
    const { partition } = last;
    try {
      await handle(records);
    } catch (error) {
      this.#metrics?.batches.inc({ topic, outcome: 'failed' });
      throw error;
    }
    this.#metrics?.records.inc({ topic, outcome: 'handled' }, records.length);
    const committed = await this.#orForget(
      this.#broker.commit(member, partition, Number(last.offset) + 1),
    ).catch((error: unknown) => {
      this.#metrics?.batches.inc({ topic, outcome: 'uncommitted' });
      throw error;
    });
    this.#metrics?.batches.inc({ topic, outcome: committed ? 'committed' : 'uncommitted' });
  }

  /** When the broker refuses, membership is over: the next round joins anew. */
  async #orForget<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      this.#member = undefined;
      throw error;
    }
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const health = await brokerHealth(this.#broker, this.#url, signal);
    return health.status !== 200 || this.#failure === ''
      ? health
      : { ...health, status: 503, error: this.#failure };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    if (this.#member !== undefined) await this.#broker.leave(this.#member).catch(() => {});
    await this.#close();
  }
}

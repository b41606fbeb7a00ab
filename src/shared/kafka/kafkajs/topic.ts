/** The topic of a URL on a real cluster: made when missing, asked for when health is. */

import type { Admin, Kafka } from 'kafkajs';
import { errorMessage } from '../../errors.js';
import type { DependencyHealth } from '../../health.js';
import type { Logger } from '../../logging.js';
import type { KafkaTopicUrl } from '../url.js';
import { faultFrom } from './faults.js';

/** One connection for administration, opened when first needed and again after a failure. */
export class KafkaTopic {
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #url: KafkaTopicUrl;
  #admin: Promise<Admin> | undefined;

  constructor({ kafka, logger }: { kafka: Kafka; logger: Logger }, url: KafkaTopicUrl) {
    this.#kafka = kafka;
    this.#logger = logger;
    this.#url = url;
  }

  /** Resolves when the topic is there. Rejects with a fault. */
  async ensure(): Promise<void> {
    const { topic, partitions, replication, retentionMs, segmentBytes } = this.#url;
    await this.#administer(`topic ${topic} can be neither found nor made`, async (admin) => {
      if ((await admin.listTopics()).includes(topic)) {
        await this.#warnOfPartitions(admin);
        return;
      }
      // False: somebody else made it meanwhile.
      const made = await admin.createTopics({
        waitForLeaders: true,
        topics: [
          {
            topic,
            numPartitions: partitions,
            replicationFactor: replication,
            configEntries: [
              { name: 'retention.ms', value: String(retentionMs) },
              { name: 'segment.bytes', value: String(segmentBytes) },
            ],
          },
        ],
      });
      if (made) this.#logger.info({ topic, partitions, replication, retentionMs }, 'topic made');
    });
  }

  async #warnOfPartitions(admin: Admin): Promise<void> {
    const { setting, topic, partitions } = this.#url;
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const actual = topics[0]?.partitions.length ?? 0;
    if (actual !== partitions) {
      this.#logger.warn({ setting, topic, partitions, actual }, 'the topic has another number of partitions');
    }
  }

  /** 503 when there is no answer until the signal, or a partition has no leader. */
  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const { setting, topic, brokers } = this.#url;
    const resource = `kafka ${topic}`;
    const message = `${brokers.join(',')} (${setting})`;
    try {
      const leaderless = await this.#until(
        signal,
        this.#administer(`topic ${topic} does not answer`, async (admin) => {
          const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
          return topics[0]?.partitions.filter(({ leader }) => leader < 0).length ?? 0;
        }),
      );
      if (leaderless === 0) return { resource, status: 200, message };
      return { resource, status: 503, error: `${leaderless} partitions have no leader`, message };
    } catch (error) {
      return { resource, status: 503, error: errorMessage(error), message };
    }
  }

  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    await (await admin?.catch(() => undefined))?.disconnect().catch(() => {});
  }

  async #administer<T>(what: string, work: (admin: Admin) => Promise<T>): Promise<T> {
    this.#admin ??= this.#connect();
    const admin = this.#admin;
    try {
      return await work(await admin);
    } catch (error) {
      if (this.#admin === admin) await this.close();
      throw faultFrom(error, what);
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.#kafka.admin();
    await admin.connect();
    return admin;
  }

  #until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => reject(new Error('no answer in time'));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }
}

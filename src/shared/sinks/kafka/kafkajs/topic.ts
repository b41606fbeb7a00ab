/** The topic of a URL on a real cluster: made when missing, compared when not, asked for when health is. */

import type { Admin, ITopicMetadata, Kafka } from 'kafkajs';
import pTimeout from 'p-timeout';
import { raceSignal } from 'race-signal';
import { pause } from '../../../async/pause.js';
import { SingleFlight } from '../../../async/single-flight.js';
import { errorMessage } from '../../../errors.js';
import type { DependencyHealth } from '../../../health.js';
import type { Logger } from '../../../logging/logger.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import { TopicFaultError } from '../types.js';
import { faultFrom, faultType } from './faults.js';
import { kafkajs } from './library.js';

/** Kafka's default of `max.message.bytes`. */
const MAX_MESSAGE_BYTES = 1_048_588;
const COMPARED = ['retention.ms', 'segment.bytes', 'max.message.bytes'];
/** How long a topic just made may take to be known everywhere. */
const CREATION_TIMEOUT_MS = 10_000;
const CREATION_LOOK_MS = 100;
const CLOSE_MS = 1000;

/** One connection for administration, opened when first needed and again after a failure. */
export class KafkaTopic {
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #url: KafkaTopicUrl;
  #admin: Promise<Admin> | undefined;
  #compared = false;
  readonly #asked = new SingleFlight<void>();
  #partitions: number | undefined;
  #maxBatchBytes = MAX_MESSAGE_BYTES;

  constructor({ kafka, logger }: { kafka: Kafka; logger: Logger }, url: KafkaTopicUrl) {
    this.#kafka = kafka;
    this.#logger = logger;
    this.#url = url;
  }

  /** As last heard of; the URL's before that. */
  get partitions(): number {
    return this.#partitions ?? this.#url.partitions;
  }

  /** The largest batch that the topic takes. */
  get maxBatchBytes(): number {
    return this.#maxBatchBytes;
  }

  /** Resolves when the topic is there. Rejects with a fault. */
  async ensure(): Promise<void> {
    const { topic } = this.#url;
    await this.administer(`topic ${topic} can be neither found nor made`, async (admin) => {
      const found = (await this.#find(admin)) ?? (await this.#make(admin));
      if (found !== undefined) await this.#compare(admin, found);
    });
  }

  /** Undefined when there is no such topic. */
  async #find(admin: Admin): Promise<ITopicMetadata | undefined> {
    const { topic } = this.#url;
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const [found] = topics;
      if (found !== undefined) this.#partitions = Math.max(1, found.partitions.length);
      return found;
    } catch (error) {
      if (faultType(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined;
      throw error;
    }
  }

  /** Gives the topic, also when somebody else made it meanwhile, if it is known already. */
  async #make(admin: Admin): Promise<ITopicMetadata | undefined> {
    const { setting, topic, partitions, replication, retentionMs, segmentBytes } = this.#url;
    let made: boolean;
    try {
      made = await admin.createTopics({
        // Its own wait fails where the broker that it asks has not heard of the topic yet.
        waitForLeaders: false,
        timeout: CREATION_TIMEOUT_MS,
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
    } catch (error) {
      if (faultType(error) !== 'INVALID_REPLICATION_FACTOR') throw error;
      const { brokers } = await admin.describeCluster();
      throw new TopicFaultError(
        `topic ${topic} cannot be made: ${setting} asks for replication=${replication}, and the cluster has ${brokers.length} ` +
          `broker${brokers.length === 1 ? '' : 's'}`,
        { cause: error },
      );
    }
    if (!made) return this.#find(admin);
    this.#partitions = partitions;
    this.#logger.info({ topic, partitions, replication, retentionMs, segmentBytes }, 'topic made');
    return this.#led(admin);
  }

  /** The topic just made, once every partition has a leader; its limit of a batch is the cluster's. A wait in vain is no fault. */
  async #led(admin: Admin): Promise<ITopicMetadata | undefined> {
    const deadline = performance.now() + CREATION_TIMEOUT_MS;
    while (this.#admin !== undefined && performance.now() < deadline) {
      try {
        const found = await this.#find(admin);
        if (found?.partitions.every(({ leader }) => leader >= 0)) return found;
      } catch (error) {
        if (faultType(error) !== 'LEADER_NOT_AVAILABLE') return undefined;
      }
      await pause(CREATION_LOOK_MS);
    }
    return undefined;
  }

  /** Says once in which ways the topic differs from its setting. It is never altered: others may count on how it is. */
  async #compare(admin: Admin, { partitions }: ITopicMetadata): Promise<void> {
    const { setting, topic } = this.#url;
    let configs: ReadonlyMap<string, number>;
    try {
      configs = await this.#configs(admin);
    } catch (error) {
      this.#logger.debug({ err: error, topic }, 'the settings of a topic cannot be read');
      configs = new Map();
    }
    const limits = [configs.get('max.message.bytes'), configs.get('segment.bytes')];
    this.#maxBatchBytes = Math.min(...limits.map((limit) => limit ?? MAX_MESSAGE_BYTES));
    if (this.#compared) return;
    this.#compared = true;
    const pairs: readonly (readonly [string, number, number | undefined])[] = [
      ['partitions', this.#url.partitions, partitions.length],
      ['replication', this.#url.replication, partitions[0]?.replicas.length],
      ['retention', this.#url.retentionMs, configs.get('retention.ms')],
      ['segment_bytes', this.#url.segmentBytes, configs.get('segment.bytes')],
    ];
    for (const [parameter, configured, actual] of pairs) {
      if (actual === undefined || actual === configured) continue;
      this.#logger.warn(
        { setting, topic, parameter, configured, actual },
        `the topic differs from ${setting} and is left as it is: ${parameter} is ${actual}, not ${configured}`,
      );
    }
  }

  async #configs(admin: Admin): Promise<ReadonlyMap<string, number>> {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        { type: kafkajs().ConfigResourceTypes.TOPIC, name: this.#url.topic, configNames: COMPARED },
      ],
    });
    const entries = resources[0]?.configEntries ?? [];
    return new Map(entries.map(({ configName, configValue }) => [configName, Number(configValue)]));
  }

  /** 503 when there is no answer until the signal, or a partition has no leader. */
  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const { setting, topic, brokers } = this.#url;
    const resource = `kafka ${topic}`;
    const message = `${brokers.join(',')} (${setting})`;
    // Whoever asks while a question is out gets its answer: a cluster that hangs is not asked over and over.
    const asked = this.#asked.run(() => this.#ask());
    try {
      await raceSignal(asked, signal, { translateError: () => new Error('no answer in time') });
      return { resource, status: 200, message };
    } catch (error) {
      return { resource, status: 503, error: errorMessage(error), message };
    }
  }

  async #ask(): Promise<void> {
    const { topic } = this.#url;
    await this.administer(`topic ${topic} does not answer`, async (admin) => {
      if ((await this.#find(admin)) === undefined) throw new TopicFaultError('it does not exist');
    });
  }

  /** Hangs up. What a broker that does not answer holds up is left behind after a second. */
  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    if (admin === undefined) return;
    const disconnected = admin.then((connected) => connected.disconnect()).catch(() => {});
    await pTimeout(disconnected, { milliseconds: CLOSE_MS, message: false });
  }

  /** Rejects with a fault whose message begins with `what`. */
  async administer<T>(what: string, work: (admin: Admin) => Promise<T>): Promise<T> {
    this.#admin ??= this.#connect();
    const admin = this.#admin;
    try {
      return await work(await admin);
    } catch (error) {
      // Said of what was answered. Hanging up would end what others asked on the same connection, such as to make the topic.
      if (error instanceof TopicFaultError) throw error;
      // Not waited for: it hangs up when what others asked is answered or given up.
      if (this.#admin === admin) void this.close();
      throw faultFrom(error, what);
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
    } catch (error) {
      void admin.disconnect().catch(() => {});
      throw error;
    }
    return admin;
  }
}

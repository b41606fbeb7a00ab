/** Producer for one topic of a Kafka cluster. */

import type { Kafka, Message, Producer } from 'kafkajs';
import type { DependencyHealth } from '../../health.js';
import type { Logger } from '../../logging.js';
import { type KafkaProducer, type KafkaRecord, RecordFaultError } from '../types.js';
import type { KafkaTopicUrl } from '../url.js';
import { REQUEST_TIMEOUT_MS, RETRY } from './client.js';
import { faultFrom } from './faults.js';
import { encodeProduceRequestsFast, fastPartitioner, GroupedOnce } from './produce-request.js';
import { KafkaTopic } from './topic.js';

export class KafkaJsProducer implements KafkaProducer {
  readonly topic: string;
  readonly #kafka: Kafka;
  readonly #logger: Logger;
  readonly #topic: KafkaTopic;
  #producer: Producer | undefined;

  constructor({ kafka, logger }: { kafka: Kafka; logger: Logger }, url: KafkaTopicUrl) {
    encodeProduceRequestsFast();
    this.topic = url.topic;
    this.#kafka = kafka;
    this.#logger = logger;
    this.#topic = new KafkaTopic({ kafka, logger }, url);
  }

  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#topic.ensure();
    signal?.throwIfAborted();
    await this.#connected();
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer;
    const producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: fastPartitioner,
      // The library warns when an idempotent producer does not retry for ever. This one is thrown away at the end of
      // its retries, which is as safe.
      retry: RETRY,
    });
    try {
      await producer.connect();
    } catch (error) {
      await producer.disconnect().catch(() => {});
      throw faultFrom(error, `cannot produce to ${this.topic}`);
    }
    this.#producer = producer;
    return producer;
  }

  async send(records: readonly KafkaRecord[]): Promise<void> {
    if (records.length === 0) return;
    const producer = await this.#connected();
    try {
      await producer.send({
        topic: this.topic,
        acks: -1,
        timeout: REQUEST_TIMEOUT_MS - 1000,
        messages: GroupedOnce.from(records, messageOf),
      });
    } catch (error) {
      const fault = faultFrom(error, `cannot produce to ${this.topic}`);
      if (!(fault instanceof RecordFaultError)) await this.#discard(producer);
      throw fault;
    }
  }

  /**
   * After a failure nobody knows whether the broker took the batch. The library would give the next batch the same
   * sequence numbers, and a broker that did take the failed one would call the next a duplicate and acknowledge it
   * unseen: records lost in silence. A new producer has a new identity, so the worst is a record twice.
   */
  async #discard(producer: Producer): Promise<void> {
    if (this.#producer === producer) this.#producer = undefined;
    await producer.disconnect().catch((error: unknown) => {
      this.#logger.debug({ err: error, topic: this.topic }, 'a failed producer did not disconnect');
    });
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    return this.#topic.health(signal);
  }

  async disconnect(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.disconnect();
    await this.#topic.close();
  }
}

function messageOf({ key, value }: KafkaRecord): Message {
  return { key: key === undefined ? null : bufferOf(key), value: bufferOf(value) };
}

/** The same memory: kafkajs takes nothing but Buffers. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

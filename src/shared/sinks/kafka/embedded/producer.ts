/** Producer for one topic of the embedded broker. */

import { errorMessage } from '../../../errors.js';
import type { DependencyHealth } from '../../../health.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import type { KafkaProducer, KafkaRecord } from '../types.js';
import type { BrokerPort } from './port.js';

export class EmbeddedProducer implements KafkaProducer {
  readonly topic: string;
  readonly #broker: BrokerPort;
  readonly #url: KafkaTopicUrl;
  readonly #close: () => Promise<void>;

  /** `close` ends what the producer alone uses, such as a connection. */
  constructor(broker: BrokerPort, url: KafkaTopicUrl, close: () => Promise<void> = async () => {}) {
    this.topic = url.topic;
    this.#broker = broker;
    this.#url = url;
    this.#close = close;
  }

  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { topic, partitions, retentionMs } = this.#url;
    await this.#broker.createTopic({ topic, partitions, retentionMs });
  }

  async send(records: readonly KafkaRecord[]): Promise<void> {
    await this.#broker.produce(this.topic, records);
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    return brokerHealth(this.#broker, this.#url, signal);
  }

  async disconnect(): Promise<void> {
    await this.#close();
  }
}

/** Healthy when the broker answers and has the topic. */
export async function brokerHealth(
  broker: BrokerPort,
  { setting, topic }: KafkaTopicUrl,
  signal: AbortSignal,
): Promise<DependencyHealth> {
  const resource = `kafka ${topic}`;
  try {
    const topics = await abortable(broker.topics(), signal);
    if (topics.some((state) => state.topic === topic)) {
      return { resource, status: 200, message: 'embedded broker' };
    }
    return {
      resource,
      status: 503,
      error: `topic ${topic} does not exist`,
      message: `embedded broker (${setting})`,
    };
  } catch (error) {
    return { resource, status: 503, error: errorMessage(error), message: `embedded broker (${setting})` };
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new Error('no answer in time'));
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

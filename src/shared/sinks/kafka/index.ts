/** Producers, consumers and readers for the topics that settings name, on a Kafka cluster or the embedded broker. */

import { ConfigurationError } from '../../errors.js';
import type { Logger } from '../../logging/logger.js';
import type { KafkaTopicKey } from '../../messages/topics.js';
import type { Secrets } from '../../secrets/secrets.js';
import type { Settings } from '../../settings/table.js';
import type { KafkaTopicUrl } from '../../settings/values/kafka-topic.js';
import type { WatchedPem } from '../../tls/watch.js';
import { type ConsumerMetrics, startConsumerMetrics } from './consumer-metrics.js';
import { EmbeddedBrokerClient } from './embedded/client.js';
import { EmbeddedConsumer } from './embedded/consumer.js';
import { EmbeddedProducer } from './embedded/producer.js';
import { EmbeddedTopicReader } from './embedded/topic-reader.js';
import { createKafkaClient, PRODUCER_RETRY } from './kafkajs/client.js';
import { compressionProblem } from './kafkajs/compression.js';
import { KafkaJsConsumer } from './kafkajs/consumer.js';
import { KafkaJsProducer } from './kafkajs/producer.js';
import { KafkaJsTopicReader } from './kafkajs/topic-reader.js';
import type { TopicReader } from './topic-reader.js';
import type { KafkaConsumer, KafkaProducer } from './types.js';

export interface KafkaOptions {
  readonly logger: Logger;
  /** Local socket of the embedded broker; needed for `memory://`. */
  readonly brokerSocketPath: string | undefined;
  /** The files of `kafkaFiles`, where they are watched. */
  readonly tls?: WatchedPem | undefined;
  /** The password in a file, where that is watched. */
  readonly secrets?: Pick<Secrets, 'kafkaPassword'> | undefined;
}

export interface ConsumerOptions extends KafkaOptions {
  /** Consumer group (WIRE §3: `p2p.<clientName>`, first generation `p2p`). */
  readonly group: string;
  /**
   * Shared by all consumers of the process.
   * @default none are kept
   */
  readonly metrics?: ConsumerMetrics;
}

/** Producer for the topic in `settings[key]`, not yet connected. Throws ConfigurationError. */
export function createProducer(
  settings: Settings,
  key: KafkaTopicKey,
  { logger, brokerSocketPath, tls, secrets }: KafkaOptions,
): KafkaProducer {
  const url = topicUrl(settings, key, logger);
  if (url.scheme === 'memory') {
    const client = embeddedClient(url, brokerSocketPath);
    return new EmbeddedProducer(client, url, () => client.close());
  }
  const compression = settings.p2p_kafka_compression;
  const problem = compressionProblem(compression);
  if (problem !== undefined) throw new ConfigurationError([`p2p_kafka_compression: ${problem}`]);
  const kafka = createKafkaClient(url, settings, logger, { retry: PRODUCER_RETRY, watched: tls, secrets });
  return new KafkaJsProducer({ kafka, logger }, url, { compression });
}

/** Consumer of the topic in `settings[key]`, not yet started. Throws ConfigurationError. */
export function createConsumer(
  settings: Settings,
  key: KafkaTopicKey,
  { logger, brokerSocketPath, group, metrics, tls, secrets }: ConsumerOptions,
): KafkaConsumer {
  const url = topicUrl(settings, key, logger);
  const parts = { logger, ...(metrics === undefined ? {} : { metrics }) };
  if (metrics !== undefined) startConsumerMetrics(metrics, url.topic);
  if (url.scheme === 'memory') {
    const broker = embeddedClient(url, brokerSocketPath);
    return new EmbeddedConsumer({ broker, ...parts, close: () => broker.close() }, url, { group });
  }
  const kafka = createKafkaClient(url, settings, logger, { watched: tls, secrets });
  return new KafkaJsConsumer({ kafka, ...parts }, url, { group });
}

/** Reader of the topic in `settings[key]`, which connects to nobody yet. Throws ConfigurationError. */
export function createTopicReader(
  settings: Settings,
  key: KafkaTopicKey,
  { logger, brokerSocketPath, tls, secrets }: KafkaOptions,
): TopicReader {
  const url = topicUrl(settings, key, logger);
  if (url.scheme === 'memory') {
    const broker = embeddedClient(url, brokerSocketPath);
    return new EmbeddedTopicReader(broker, url.topic, () => broker.close());
  }
  const kafka = createKafkaClient(url, settings, logger, { watched: tls, secrets });
  return new KafkaJsTopicReader({ kafka, logger }, url);
}

function topicUrl(settings: Settings, key: KafkaTopicKey, logger: Logger): KafkaTopicUrl {
  const url = settings[key];
  if (url === undefined) throw new ConfigurationError([`${key}: must not be empty`]);
  if (url.unknownParameters.length > 0) {
    logger.warn({ setting: key, parameters: url.unknownParameters }, 'parameters of a Kafka URL are unknown');
  }
  return url;
}

function embeddedClient(url: KafkaTopicUrl, socketPath: string | undefined): EmbeddedBrokerClient {
  if (socketPath === undefined) {
    throw new ConfigurationError([`${url.setting}: memory:// needs the embedded broker, which does not run`]);
  }
  return new EmbeddedBrokerClient({ socketPath });
}

/** The Kafka topics of the settings together. */

import { KAFKA_TOPICS } from '../messages/topics.js';
import type { Settings } from './table.js';
import type { KafkaTopicUrl } from './values/kafka-topic.js';

/** Those that are set. */
export const kafkaTopics = (settings: Settings): readonly KafkaTopicUrl[] =>
  KAFKA_TOPICS.flatMap(({ setting }) => settings[setting.key] ?? []);

/** Whether any topic of `settings` is on a Kafka cluster. */
export const onCluster = (settings: Settings): boolean =>
  kafkaTopics(settings).some(({ scheme }) => scheme === 'kafka');

/** Whether any topic of `settings` is on the embedded broker. */
export const needsEmbeddedBroker = (settings: Settings): boolean =>
  kafkaTopics(settings).some(({ scheme }) => scheme === 'memory');

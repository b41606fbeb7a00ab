/** Every Kafka topic of the server. What lists them, as settings, metrics and the command line do, reads it here. */

import * as table from './announced-topics.js';
import { inOrderOfIds } from './ids.js';
import type { AnnouncedTopic, KafkaTopic } from './kafka-topic.js';
import * as others from './other-topics.js';

export * from './announced-topics.js';
export * from './other-topics.js';

/** Key of the setting of a Kafka topic. */
export type KafkaTopicKey =
  | (typeof table)[keyof typeof table]['setting']['key']
  | (typeof others)[keyof typeof others]['setting']['key'];

/** Those to which announcements go, by their ids. */
export const ANNOUNCED_TOPICS = inOrderOfIds<AnnouncedTopic<KafkaTopicKey>>(Object.values(table));

/** All of them: those to which announcements go, those that others fill, that of our frames. */
export const KAFKA_TOPICS: readonly KafkaTopic<KafkaTopicKey>[] = [
  ...ANNOUNCED_TOPICS,
  others.rejectedTransactions,
  others.invalidBlocks,
  others.invalidSubtrees,
  others.notifications,
];

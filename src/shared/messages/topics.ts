/**
 * The table of Kafka topics to which announcements go. A record carries its topic as the id, to disk too. A new topic is one row, and the
 * setting that names it.
 */

import { KafkaBlockTopicMessage, KafkaSubtreeTopicMessage } from '../generated/kafkamessage.js';
import type { KafkaSettingKey } from '../sinks/kafka/index.js';
import { byId, type Identified } from './ids.js';

/** What a record's value says, in protobuf's names. */
export interface AnnouncedFields {
  /** Display order, lower-case hex. */
  readonly hash: string;
  readonly URL: string;
  readonly peer_id: string;
}

export interface KafkaTopic extends Identified {
  /** Metric label and name in log lines and readiness; the cluster's is in the setting. */
  readonly name: string;
  readonly setting: KafkaSettingKey;
  readonly codec: { encode(fields: AnnouncedFields): { finish(): Uint8Array } };
}

export const blocks: KafkaTopic = {
  id: 1,
  name: 'blocks',
  setting: 'kafka_blocksConfig',
  codec: KafkaBlockTopicMessage,
};

export const subtrees: KafkaTopic = {
  id: 2,
  name: 'subtrees',
  setting: 'kafka_subtreesConfig',
  codec: KafkaSubtreeTopicMessage,
};

export const KAFKA_TOPICS: readonly KafkaTopic[] = [blocks, subtrees];

export const KAFKA_TOPICS_BY_ID = byId(KAFKA_TOPICS);

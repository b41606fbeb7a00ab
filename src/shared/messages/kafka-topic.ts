/** What is particular to a Kafka topic is one object of these types. */

import type { KafkaBlockTopicMessage, MessageFns } from '../generated/kafkamessage.js';
import type { Identified } from './ids.js';
import type { KafkaTopicSetting } from './topic-setting.js';

/** Formats of a record's value: today's, that of 21 February to 24 April 2025, and that before. */
export const RECORD_FORMATS = ['protobuf', 'protobuf-bytes', 'raw'] as const;
export type RecordFormat = (typeof RECORD_FORMATS)[number];

export interface KafkaTopic<K extends string = string> {
  /** Metric label, and name in log lines and readiness; the cluster's is in the setting. */
  readonly name: string;
  readonly setting: KafkaTopicSetting<K>;
  /** What a record's value says, for a person. Throws on what is no value of the topic in `format`. */
  readonly read: (value: Uint8Array, format: RecordFormat) => unknown;
}

/** A topic to which announcements go. A record carries its id, to disk too. */
export interface AnnouncedTopic<K extends string = string> extends KafkaTopic<K>, Identified {
  /** 1 to 255, never another's, also of a topic that is gone. */
  readonly id: number;
  readonly name: string;
  /** Of a record's value in today's format. Teranode's are all alike but for their names. */
  readonly codec: Pick<MessageFns<KafkaBlockTopicMessage>, 'encode' | 'decode'>;
}

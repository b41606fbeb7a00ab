/** Kafka records of what is announced (WIRE §3). */

import { KafkaBlockTopicMessage, KafkaSubtreeTopicMessage } from '../generated/kafkamessage.js';
import { type HashHex, hashToBytes } from '../hash.js';
import type { AnnouncedRecord } from '../pipeline/types.js';

const NOTHING = new Uint8Array(0);

export interface Announcement {
  /** Lower-case, display order. */
  readonly hash: string;
  readonly dataHubUrl: string;
  readonly peerId: string;
}

/** The record for `topic`: protobuf with the hash's hex digits as key, or raw without a key. */
export function announcedRecord(
  topic: AnnouncedRecord['topic'],
  { hash, dataHubUrl, peerId }: Announcement,
  format: 'protobuf' | 'raw',
): AnnouncedRecord {
  const bytes = hashToBytes(hash as HashHex);
  if (format === 'raw') {
    const value = Buffer.concat([bytes, Buffer.from(dataHubUrl)]);
    return { topic, hash: bytes, key: NOTHING, value, url: dataHubUrl };
  }
  const codec = topic === 'blocks' ? KafkaBlockTopicMessage : KafkaSubtreeTopicMessage;
  const value = codec.encode({ hash, URL: dataHubUrl, peer_id: peerId }).finish();
  return { topic, hash: bytes, key: Buffer.from(hash, 'latin1'), value, url: dataHubUrl };
}

/** Kafka records of what is announced (WIRE §3). */

import { type HashHex, hashToBytes } from '../bitcoin/hash.js';
import { EarlyKafkaAnnouncement } from '../generated/kafkamessage.js';
import type { AnnouncedRecord } from '../pipeline/types.js';
import type { Settings } from '../settings/table.js';
import type { KafkaTopic } from './topics.js';

const NOTHING = new Uint8Array(0);

export interface Announcement {
  /** Lower-case, display order. */
  readonly hash: string;
  readonly dataHubUrl: string;
  readonly peerId: string;
}

/** The record for `topic`: in today's format with the hash's hex digits as key, in those of before without one. */
export function announcedRecord(
  topic: KafkaTopic,
  { hash, dataHubUrl, peerId }: Announcement,
  format: Settings['kafka_record_format'],
): AnnouncedRecord {
  const bytes = hashToBytes(hash as HashHex);
  const record = { topic: topic.id, hash: bytes, key: NOTHING, url: dataHubUrl };
  switch (format) {
    case 'raw':
      return { ...record, value: Buffer.concat([bytes, Buffer.from(dataHubUrl)]) };
    case 'protobuf-bytes': {
      const early = EarlyKafkaAnnouncement.encode({ hash: Buffer.from(bytes), URL: dataHubUrl });
      return { ...record, value: early.finish() };
    }
    case 'protobuf': {
      const value = topic.codec.encode({ hash, URL: dataHubUrl, peer_id: peerId }).finish();
      return { ...record, key: Buffer.from(hash, 'latin1'), value };
    }
  }
}

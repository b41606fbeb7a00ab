/** Kafka records of what is announced (WIRE §3). */

import { type HashHex, hashFromBytes, hashToBytes } from '../bitcoin/hash.js';
import { EarlyKafkaAnnouncement } from '../generated/kafkamessage.js';
import type { EntryRecord } from '../journal/entry.js';
import type { AnnouncedTopic, RecordFormat } from './kafka-topic.js';

const NOTHING = new Uint8Array(0);
const HASH_BYTES = 32;

/** A record for Kafka, encoded, and what it is about. */
export interface AnnouncedRecord extends EntryRecord {
  /** Data hub of the announcer, for BlockFound. */
  readonly dataHubUrl: string;
}

interface Announcement {
  /** Lower-case, display order. */
  readonly hash: string;
  readonly dataHubUrl: string;
  readonly peerId: string;
}

/** A topic to which announcements go: whatever its messages are, their records are alike. */
export function announcedTopic<K extends string>(row: Omit<AnnouncedTopic<K>, 'read'>): AnnouncedTopic<K> {
  return { ...row, read: (value, format) => readAnnouncement(row.codec, value, format) };
}

/** The record for `topic`: in today's format with the hash's hex digits as key, in those of before without one. */
export function announcedRecord(
  topic: Pick<AnnouncedTopic, 'id' | 'codec'>,
  { hash, dataHubUrl, peerId }: Announcement,
  format: RecordFormat,
): AnnouncedRecord {
  const bytes = hashToBytes(hash as HashHex);
  const record = { topic: topic.id, hash: bytes, key: NOTHING, dataHubUrl };
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

function readAnnouncement(
  codec: AnnouncedTopic['codec'],
  value: Uint8Array,
  format: RecordFormat,
): Readonly<Record<string, unknown>> {
  switch (format) {
    case 'raw':
      return {
        hash: hashFromBytes(value.subarray(0, HASH_BYTES)),
        URL: Buffer.from(value.subarray(HASH_BYTES)).toString('utf8'),
      };
    case 'protobuf-bytes': {
      const { hash, URL } = EarlyKafkaAnnouncement.decode(value);
      return { hash: hashFromBytes(hash), URL };
    }
    case 'protobuf':
      return { ...codec.decode(value) };
  }
}

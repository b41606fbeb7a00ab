/** Kafka records of what is announced (WIRE §3). */

import { type HashHex, hashToBytes } from '../hash.js';
import type { AnnouncedRecord } from '../pipeline/types.js';
import type { KafkaTopic } from './topics.js';

const NOTHING = new Uint8Array(0);

export interface Announcement {
  /** Lower-case, display order. */
  readonly hash: string;
  readonly dataHubUrl: string;
  readonly peerId: string;
}

/** The record for `topic`: protobuf with the hash's hex digits as key, or raw without a key. */
export function announcedRecord(
  topic: KafkaTopic,
  { hash, dataHubUrl, peerId }: Announcement,
  format: 'protobuf' | 'raw',
): AnnouncedRecord {
  const bytes = hashToBytes(hash as HashHex);
  if (format === 'raw') {
    const value = Buffer.concat([bytes, Buffer.from(dataHubUrl)]);
    return { topic: topic.id, hash: bytes, key: NOTHING, value, url: dataHubUrl };
  }
  const value = topic.codec.encode({ hash, URL: dataHubUrl, peer_id: peerId }).finish();
  return { topic: topic.id, hash: bytes, key: Buffer.from(hash, 'latin1'), value, url: dataHubUrl };
}

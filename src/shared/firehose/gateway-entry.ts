/**
 * An entry of a gateway's journal: a frame, and where its record stands in the topic. What on a node is the record for Kafka is here the one it came from: `hash`
 * is SHA-256 of its value, `key` its offset (8 bytes, big-endian). It belongs to no topic that anything is written to.
 */

import { decodeEntry, type Entry, encodeEntry } from '../journal/entry.js';

const NO_TOPIC = 0;
const NOTHING = new Uint8Array(0);

/** Where a record stands. */
export interface RecordPlace {
  readonly offset: number;
  /** SHA-256 of its value. */
  readonly hash: Uint8Array;
}

/** Throws RangeError where it is longer than an entry may be. */
export function encodeGatewayEntry(
  entry: Omit<Entry, 'record' | 'repeatKey'>,
  { offset, hash }: RecordPlace,
): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(offset));
  return encodeEntry({ ...entry, repeatKey: '', record: { topic: NO_TOPIC, hash, key, value: NOTHING } });
}

/** Where the record of a gateway's entry stands; undefined of an entry that is no gateway's. */
export function recordPlaceOf(entry: Uint8Array): RecordPlace | undefined {
  const { record } = decodeEntry(entry);
  if (record === undefined || record.topic !== NO_TOPIC || record.key.length !== 8) return undefined;
  const { key, hash } = record;
  const offset = Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE();
  return { offset: Number(offset), hash };
}

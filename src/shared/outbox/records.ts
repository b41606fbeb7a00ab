/**
 * Records as the outbox stores them, several in one value: a count, then for each the time of receipt (double), the
 * hash (32 bytes), the lengths of key and value (32-bit), key, value. Little-endian.
 */

/** What waits for Kafka. */
export interface OutboxRecord {
  /** Unix ms. */
  readonly receivedAt: number;
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /** Empty in the first generation: the record goes without a key. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const HASH_BYTES = 32;
const HEAD_BYTES = 8 + HASH_BYTES + 8;

/** Bytes of `record` in the outbox. */
export const recordBytes = ({ key, value }: OutboxRecord): number => HEAD_BYTES + key.length + value.length;

export function encodeRecords(records: readonly OutboxRecord[]): Buffer {
  const size = records.reduce((sum, record) => sum + recordBytes(record), 4);
  const bytes = Buffer.allocUnsafe(size);
  let at = bytes.writeUInt32LE(records.length, 0);
  for (const { receivedAt, hash, key, value } of records) {
    at = bytes.writeDoubleLE(receivedAt, at);
    bytes.set(hash, at);
    at = bytes.writeUInt32LE(key.length, at + HASH_BYTES);
    at = bytes.writeUInt32LE(value.length, at);
    bytes.set(key, at);
    bytes.set(value, at + key.length);
    at += key.length + value.length;
  }
  return bytes;
}

/** Views into `bytes`. Throws RangeError when it is cut short. */
export function decodeRecords(bytes: Buffer): OutboxRecord[] {
  const count = bytes.readUInt32LE(0);
  const records: OutboxRecord[] = [];
  let at = 4;
  for (let i = 0; i < count; i++) {
    const keyAt = at + HEAD_BYTES;
    const valueAt = keyAt + bytes.readUInt32LE(at + 8 + HASH_BYTES);
    const end = valueAt + bytes.readUInt32LE(at + 12 + HASH_BYTES);
    if (end > bytes.length) throw new RangeError('records of the outbox are cut short');
    records.push({
      receivedAt: bytes.readDoubleLE(at),
      hash: bytes.subarray(at + 8, at + 8 + HASH_BYTES),
      key: bytes.subarray(keyAt, valueAt),
      value: bytes.subarray(valueAt, end),
    });
    at = end;
  }
  return records;
}

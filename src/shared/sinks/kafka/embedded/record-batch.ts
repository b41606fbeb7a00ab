/**
 * Records in one piece of memory, as the embedded broker stores and sends them: a count, then for each record the
 * key's length plus one (0: no key), the value's length, key, value. Lengths are 32-bit little-endian.
 */

import type { KafkaRecord } from '../types.js';

/** Bytes of `records` once encoded. */
function encodedSize(records: readonly KafkaRecord[]): number {
  let size = 4;
  for (const { key, value } of records) size += 8 + (key?.length ?? 0) + value.length;
  return size;
}

/** Encodes behind `reserve` bytes that the caller fills. */
export function encodeRecords(records: readonly KafkaRecord[], reserve = 0): Buffer {
  const bytes = Buffer.allocUnsafe(reserve + encodedSize(records));
  let at = bytes.writeUInt32LE(records.length, reserve);
  for (const { key, value } of records) {
    at = bytes.writeUInt32LE(key === undefined ? 0 : key.length + 1, at);
    at = bytes.writeUInt32LE(value.length, at);
    if (key !== undefined) {
      bytes.set(key, at);
      at += key.length;
    }
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

/** The records from `offset` on, as views. Throws RangeError when the bytes are no batch. */
export function decodeRecords(bytes: Buffer, offset = 0): KafkaRecord[] {
  const count = bytes.readUInt32LE(offset);
  if (count > bytes.length) throw new RangeError(`${count} records in ${bytes.length} bytes`);
  const records: KafkaRecord[] = [];
  let at = offset + 4;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('a record passes the end of its batch');
    at += length;
    return bytes.subarray(at - length, at);
  };
  for (let i = 0; i < count; i++) {
    const keyLength = bytes.readUInt32LE(at);
    const valueLength = bytes.readUInt32LE(at + 4);
    at += 8;
    const key = keyLength === 0 ? undefined : take(keyLength - 1);
    const value = take(valueLength);
    records.push(key === undefined ? { value } : { key, value });
  }
  return records;
}

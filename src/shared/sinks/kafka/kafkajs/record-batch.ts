/**
 * Kafka's record batch, format 2 (KIP-98; "Record Batch" of Kafka's protocol guide), without transactions and times of
 * single records. Written into one buffer of the right size, where kafkajs makes and joins several a record.
 */

import { crc32c } from '../../../crc32.js';

/** What is written of a record. */
export interface BatchRecord {
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** In ASCII. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface BatchHead {
  /** Of the idempotent producer; -1 without. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  /** Unix ms, of every record. */
  readonly timestamp: number;
}

/** Kafka's number of the codec, and what packs the records. */
export interface Compression {
  readonly codec: number;
  compress(records: Buffer): Promise<Buffer>;
}

const MAGIC = 2;
const LENGTH_AT = 8;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const RECORDS_AT = 61;
/** Attributes, and the time's distance from the batch's: a zero each. */
const ZEROS = 2;

/** Bytes of a signed number that is not negative, zigzag and in groups of seven bits. */
function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x2000) return 2;
  if (value < 0x10_0000) return 3;
  return value < 0x800_0000 ? 4 : 5;
}

function writeVarint(into: Buffer, value: number, offset: number): number {
  let at = offset;
  // Of 31 bits at the most, so doubled it fits what is unsigned.
  let rest = (value << 1) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80;
  into[at++] = rest;
  return at;
}

const fieldBytes = (bytes: Uint8Array | null | undefined): number =>
  bytes == null ? 1 : varintBytes(bytes.length) + bytes.length;

function writeField(into: Buffer, bytes: Uint8Array | null | undefined, offset: number): number {
  if (bytes == null) {
    // A length of -1.
    into[offset] = 1;
    return offset + 1;
  }
  const at = writeVarint(into, bytes.length, offset);
  into.set(bytes, at);
  return at + bytes.length;
}

function headersBytes(headers: BatchRecord['headers']): number {
  if (headers === undefined) return 1;
  let count = 0;
  let size = 0;
  for (const name in headers) {
    const value = headers[name] as string;
    size += varintBytes(name.length) + name.length + varintBytes(value.length) + value.length;
    count++;
  }
  return varintBytes(count) + size;
}

function writeHeaders(into: Buffer, headers: BatchRecord['headers'], offset: number): number {
  if (headers === undefined) {
    into[offset] = 0;
    return offset + 1;
  }
  let at = writeVarint(into, Object.keys(headers).length, offset);
  for (const name in headers) {
    for (const text of [name, headers[name] as string]) {
      at = writeVarint(into, text.length, at);
      at += into.write(text, at, 'latin1');
    }
  }
  return at;
}

const bodyBytes = ({ key, value, headers }: BatchRecord, index: number): number =>
  ZEROS + varintBytes(index) + fieldBytes(key) + fieldBytes(value) + headersBytes(headers);

function writeRecords(into: Buffer, records: readonly BatchRecord[], offset: number): void {
  let at = offset;
  for (let index = 0; index < records.length; index++) {
    const record = records[index] as BatchRecord;
    at = writeVarint(into, bodyBytes(record, index), at);
    into[at++] = 0;
    into[at++] = 0;
    at = writeVarint(into, index, at);
    at = writeField(into, record.key, at);
    at = writeField(into, record.value, at);
    at = writeHeaders(into, record.headers, at);
  }
}

/**
 * A batch of `records`, behind `room` bytes that are the caller's to fill. Throws RangeError on no records, and what
 * `compression` throws.
 */
export async function encodeRecordBatch(
  records: readonly BatchRecord[],
  { producerId, producerEpoch, firstSequence, timestamp }: BatchHead,
  { room = 0, compression }: { readonly room?: number; readonly compression?: Compression } = {},
): Promise<Buffer<ArrayBuffer>> {
  if (records.length === 0) throw new RangeError('a record batch without records');
  let size = 0;
  records.forEach((record, index) => {
    const body = bodyBytes(record, index);
    size += varintBytes(body) + body;
  });
  let bytes: Buffer<ArrayBuffer>;
  if (compression === undefined) {
    bytes = Buffer.allocUnsafe(room + RECORDS_AT + size);
    writeRecords(bytes, records, room + RECORDS_AT);
  } else {
    const plain = Buffer.allocUnsafe(size);
    writeRecords(plain, records, 0);
    const packed = await compression.compress(plain);
    bytes = Buffer.allocUnsafe(room + RECORDS_AT + packed.length);
    packed.copy(bytes, room + RECORDS_AT);
  }
  bytes.writeBigInt64BE(0n, room);
  bytes.writeInt32BE(bytes.length - room - LENGTH_AT - 4, room + LENGTH_AT);
  // The leader's epoch is for brokers.
  bytes.writeInt32BE(0, room + 12);
  bytes[room + 16] = MAGIC;
  let at = bytes.writeInt16BE(compression?.codec ?? 0, room + ATTRIBUTES_AT);
  at = bytes.writeInt32BE(records.length - 1, at);
  at = bytes.writeBigInt64BE(BigInt(timestamp), at);
  at = bytes.writeBigInt64BE(BigInt(timestamp), at);
  at = bytes.writeBigInt64BE(producerId, at);
  at = bytes.writeInt16BE(producerEpoch, at);
  at = bytes.writeInt32BE(firstSequence, at);
  bytes.writeInt32BE(records.length, at);
  bytes.writeUInt32BE(crc32c(bytes, room + ATTRIBUTES_AT), room + CRC_AT);
  return bytes;
}

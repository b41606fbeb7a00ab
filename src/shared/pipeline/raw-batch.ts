/**
 * A batch of heard messages in one ArrayBuffer, from main to a checker. Main only copies bytes.
 *
 * u32 count; for each: u8 kind, u8 own, u8 standing, u8 author length, f64 receivedAt, u32 data length, author (ASCII), data. Little-endian.
 * The propagation source stays with main, which alone needs it.
 */

import { standingAt, standingIndex } from './standing.js';
import type { RawMessage } from './types.js';

export type BatchMessage = Omit<RawMessage, 'source'>;

const COUNT_BYTES = 4;
const HEAD_BYTES = 16;
const AUTHOR_MAX = 255;

/** Bytes that `message` takes in a batch. */
export function rawMessageBytes(message: BatchMessage): number {
  return HEAD_BYTES + message.author.length + message.data.length;
}

/** Throws RangeError on a kind past 255 or an author past 255 ASCII characters. */
export function encodeRawBatch(messages: readonly BatchMessage[]): ArrayBuffer {
  let size = COUNT_BYTES;
  for (const message of messages) size += rawMessageBytes(message);
  const buffer = new ArrayBuffer(size);
  const bytes = Buffer.from(buffer);
  bytes.writeUInt32LE(messages.length, 0);
  let at = COUNT_BYTES;
  for (const { kind, own, standing, author, receivedAt, data } of messages) {
    if (author.length > AUTHOR_MAX) throw new RangeError('the author is no peer ID');
    bytes.writeUInt8(kind, at);
    bytes[at + 1] = own ? 1 : 0;
    bytes[at + 2] = standingIndex(standing);
    bytes[at + 3] = author.length;
    bytes.writeDoubleLE(receivedAt, at + 4);
    bytes.writeUInt32LE(data.length, at + 12);
    at += HEAD_BYTES;
    bytes.write(author, at, 'latin1');
    at += author.length;
    bytes.set(data, at);
    at += data.length;
  }
  return buffer;
}

/** The messages of a batch; `data` are views into it. Throws RangeError on a batch cut short. */
export function decodeRawBatch(batch: ArrayBuffer): BatchMessage[] {
  const bytes = Buffer.from(batch);
  const count = bytes.readUInt32LE(0);
  const messages: BatchMessage[] = [];
  let at = COUNT_BYTES;
  for (let index = 0; index < count; index++) {
    const authorLength = bytes.readUInt8(at + 3);
    const dataLength = bytes.readUInt32LE(at + 12);
    const authorAt = at + HEAD_BYTES;
    const dataAt = authorAt + authorLength;
    const end = dataAt + dataLength;
    if (end > bytes.length) throw new RangeError('the batch is cut short');
    messages.push({
      kind: bytes.readUInt8(at),
      own: bytes[at + 1] === 1,
      standing: standingAt(bytes.readUInt8(at + 2)),
      author: bytes.toString('latin1', authorAt, dataAt),
      receivedAt: bytes.readDoubleLE(at + 4),
      data: bytes.subarray(dataAt, end),
    });
    at = end;
  }
  return messages;
}

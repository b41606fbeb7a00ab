/**
 * A batch of messages that have come, in one ArrayBuffer, from main to a checker. Main only copies bytes.
 *
 * u32 count; for each: u8 kind, u8 flags, u8 standing, u8 author length, f64 receivedAt, u32 data length, author (ASCII); with flag
 * SIGNED u32 length of what was signed, u32 offset of the data in it, 32 bytes of key, 64 of signature, what was signed; without,
 * the data. Little-endian. The propagation source stays with main, which alone needs it.
 */

import { standingAt, standingIndex } from './standing.js';
import type { RawMessage } from './types.js';

const KEY_LENGTH = 32;
const SIGNATURE_LENGTH = 64;
const COUNT_BYTES = 4;
const HEAD_BYTES = 16;
const SIGNED_HEAD_BYTES = 8 + KEY_LENGTH + SIGNATURE_LENGTH;
const AUTHOR_MAX = 255;
const SIGNED = 1;

function sizeOf({ author, data, signed }: RawMessage): number {
  return (
    HEAD_BYTES +
    author.length +
    (signed === undefined ? data.length : SIGNED_HEAD_BYTES + signed.bytes.length)
  );
}

/** Throws RangeError on a kind past 255 or an author past 255 ASCII characters. */
export function encodeRawBatch(messages: readonly RawMessage[]): ArrayBuffer {
  let size = COUNT_BYTES;
  for (const message of messages) size += sizeOf(message);
  const buffer = new ArrayBuffer(size);
  const bytes = Buffer.from(buffer);
  bytes.writeUInt32LE(messages.length, 0);
  let at = COUNT_BYTES;
  for (const { kind, standing, author, receivedAt, data, signed } of messages) {
    if (author.length > AUTHOR_MAX) throw new RangeError('the author is no peer ID');
    bytes.writeUInt8(kind, at);
    bytes[at + 1] = signed === undefined ? 0 : SIGNED;
    bytes[at + 2] = standingIndex(standing);
    bytes[at + 3] = author.length;
    bytes.writeDoubleLE(receivedAt, at + 4);
    bytes.writeUInt32LE(data.length, at + 12);
    at += HEAD_BYTES;
    bytes.write(author, at, 'latin1');
    at += author.length;
    let body = data;
    if (signed !== undefined) {
      body = signed.bytes;
      bytes.writeUInt32LE(body.length, at);
      bytes.writeUInt32LE(signed.dataAt, at + 4);
      bytes.set(signed.key, at + 8);
      bytes.set(signed.signature, at + 8 + KEY_LENGTH);
      at += SIGNED_HEAD_BYTES;
    }
    bytes.set(body, at);
    at += body.length;
  }
  return buffer;
}

/** The messages of a batch; their bytes are views into it. Throws RangeError on a batch cut short. */
export function decodeRawBatch(batch: ArrayBuffer): RawMessage[] {
  const bytes = Buffer.from(batch);
  const count = bytes.readUInt32LE(0);
  const messages: RawMessage[] = [];
  let at = COUNT_BYTES;
  for (let index = 0; index < count; index++) {
    const authorAt = at + HEAD_BYTES;
    const bodyAt = authorAt + bytes.readUInt8(at + 3);
    const dataLength = bytes.readUInt32LE(at + 12);
    let dataAt = bodyAt;
    let end = bodyAt + dataLength;
    let signed: RawMessage['signed'];
    if (bytes.readUInt8(at + 1) === SIGNED) {
      const keyAt = bodyAt + 8;
      const signatureAt = keyAt + KEY_LENGTH;
      const signedAt = signatureAt + SIGNATURE_LENGTH;
      const inSigned = bytes.readUInt32LE(bodyAt + 4);
      dataAt = signedAt + inSigned;
      end = signedAt + bytes.readUInt32LE(bodyAt);
      signed = {
        key: bytes.subarray(keyAt, signatureAt),
        signature: bytes.subarray(signatureAt, signedAt),
        bytes: bytes.subarray(signedAt, end),
        dataAt: inSigned,
      };
    }
    if (end > bytes.length || dataAt + dataLength > end) throw new RangeError('the batch is cut short');
    // Written out: a spread takes longer than all the rest.
    messages.push({
      kind: bytes.readUInt8(at),
      standing: standingAt(bytes.readUInt8(at + 2)),
      author: bytes.toString('latin1', authorAt, bodyAt),
      receivedAt: bytes.readDoubleLE(at + 4),
      data: bytes.subarray(dataAt, dataAt + dataLength),
      signed,
    });
    at = end;
  }
  return messages;
}

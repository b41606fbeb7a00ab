/**
 * The frames of one batch as the outbox stores them, with the repeat keys that an earlier version remembered there: the time
 * of storing (double), the number of keys and of frames (32-bit), the keys (16 bytes each), then for each frame receivedAt
 * (double), kind, own, length of JSON (32-bit), JSON. Sequence numbers follow from the first, which is in the key.
 */

import type { Frame } from '../frames/types.js';

export interface StoredFrames {
  readonly frames: readonly Frame[];
  /** 16 bytes each, as latin1 text. */
  readonly repeatKeys: readonly string[];
  /** Unix ms. */
  readonly storedAt: number;
}

const HEAD_BYTES = 16;
const KEY_BYTES = 16;
const FRAME_HEAD_BYTES = 14;

export function encodeFrames({ frames, repeatKeys, storedAt }: StoredFrames): Buffer {
  const size = frames.reduce(
    (sum, frame) => sum + FRAME_HEAD_BYTES + frame.json.length,
    HEAD_BYTES + repeatKeys.length * KEY_BYTES,
  );
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeDoubleLE(storedAt, 0);
  bytes.writeUInt32LE(repeatKeys.length, 8);
  let at = bytes.writeUInt32LE(frames.length, 12);
  for (const key of repeatKeys) at += bytes.write(key, at, KEY_BYTES, 'latin1');
  for (const { receivedAt, kind, own, json } of frames) {
    at = bytes.writeDoubleLE(receivedAt, at);
    at = bytes.writeUInt8(kind, at);
    at = bytes.writeUInt8(own ? 1 : 0, at);
    at = bytes.writeUInt32LE(json.length, at);
    bytes.set(json, at);
    at += json.length;
  }
  return bytes;
}

/** Views into `bytes`. Throws RangeError when it is cut short. */
export function decodeFrames(bytes: Buffer, firstSeq: number): StoredFrames {
  const keyCount = bytes.readUInt32LE(8);
  const count = bytes.readUInt32LE(12);
  let at = HEAD_BYTES;
  const repeatKeys: string[] = [];
  for (let i = 0; i < keyCount; i++, at += KEY_BYTES) {
    if (at + KEY_BYTES > bytes.length) throw new RangeError('frames of the outbox are cut short');
    repeatKeys.push(bytes.toString('latin1', at, at + KEY_BYTES));
  }
  const frames: Frame[] = [];
  for (let i = 0; i < count; i++) {
    const jsonAt = at + FRAME_HEAD_BYTES;
    const end = jsonAt + bytes.readUInt32LE(at + 10);
    if (end > bytes.length) throw new RangeError('frames of the outbox are cut short');
    frames.push({
      seq: firstSeq + i,
      receivedAt: bytes.readDoubleLE(at),
      kind: bytes.readUInt8(at + 8),
      own: bytes.readUInt8(at + 9) === 1,
      json: bytes.subarray(jsonAt, end),
    });
    at = end;
  }
  return { frames, repeatKeys, storedAt: bytes.readDoubleLE(0) };
}

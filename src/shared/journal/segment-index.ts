/**
 * The sparse index of a segment that is full: where in the file which positions, sequence numbers and times are. Made as the segment is written, and by a
 * scan where it is missing or damaged.
 *
 * `<first position>.index`, little-endian: "TP2PINDX", u32 version, u32 number of points, f64 bytes of the segment, the points (f64 offset, position, sequence
 * number, time each), u32 CRC-32C of what is before.
 */

import { crc32c } from '../crc32.js';
import { type FileCalls, readUpTo, withFile, writeAll } from './files.js';
import type { BatchHead, Position } from './layout.js';

const MAGIC = Buffer.from('TP2PINDX');
const VERSION = 1;
const HEAD_BYTES = 24;
const POINT_BYTES = 32;
/** Bytes of the segment from one point to the next. */
const EVERY_BYTES = 256 * 1024;
const MAX_BYTES = 16 * 1_048_576;

/** A batch in a segment, and the numbers of its first entry. */
export interface IndexPoint {
  /** Of its head in the file. */
  readonly offset: number;
  readonly position: Position;
  readonly seq: number;
  /** Unix ms by the journal's time. */
  readonly time: number;
}

export class SegmentIndex {
  readonly points: IndexPoint[] = [];

  /** Takes the next batch into account. */
  add(offset: number, { position, seq, time }: BatchHead): void {
    const last = this.points.at(-1);
    if (last === undefined || offset >= last.offset + EVERY_BYTES) {
      this.points.push({ offset, position, seq, time });
    }
  }

  /** The last point at which `key` is no more than `value`; undefined where there is none. */
  before(key: 'position' | 'seq' | 'time', value: number): IndexPoint | undefined {
    return this.points.findLast((point) => point[key] <= value);
  }
}

/** Writes the index of a segment of `bytes`. Throws what the file system throws. */
export function writeIndex(files: FileCalls, path: string, { points }: SegmentIndex, bytes: number): void {
  const whole = Buffer.alloc(HEAD_BYTES + points.length * POINT_BYTES + 4);
  MAGIC.copy(whole);
  whole.writeUInt32LE(VERSION, 8);
  whole.writeUInt32LE(points.length, 12);
  whole.writeDoubleLE(bytes, 16);
  let at = HEAD_BYTES;
  for (const { offset, position, seq, time } of points) {
    whole.writeDoubleLE(offset, at);
    whole.writeDoubleLE(position, at + 8);
    whole.writeDoubleLE(seq, at + 16);
    whole.writeDoubleLE(time, at + 24);
    at += POINT_BYTES;
  }
  whole.writeUInt32LE(crc32c(whole, 0, at), at);
  withFile(files, path, 'wx+', (fd) => writeAll(files, fd, whole, whole.length, 0));
}

/** The index at `path` of a segment of `bytes`; undefined where there is none that is whole. */
export function readIndex(files: FileCalls, path: string, bytes: number): SegmentIndex | undefined {
  let whole: Buffer;
  try {
    whole = withFile(files, path, 'r', (fd) =>
      readUpTo(files, fd, Math.min(files.stat(fd).size, MAX_BYTES), 0),
    );
  } catch {
    return undefined;
  }
  const end = whole.length - 4;
  if (end < HEAD_BYTES || whole.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) !== 0) return undefined;
  if (whole.readUInt32LE(end) !== crc32c(whole, 0, end) || whole.readUInt32LE(8) !== VERSION)
    return undefined;
  if (whole.readDoubleLE(16) !== bytes || end !== HEAD_BYTES + whole.readUInt32LE(12) * POINT_BYTES)
    return undefined;
  const index = new SegmentIndex();
  for (let at = HEAD_BYTES; at < end; at += POINT_BYTES) {
    index.points.push({
      offset: whole.readDoubleLE(at),
      position: whole.readDoubleLE(at + 8),
      seq: whole.readDoubleLE(at + 16),
      time: whole.readDoubleLE(at + 24),
    });
  }
  return index;
}

/**
 * The journal's files. A segment is a head and batches, a batch is a head and entries (`entry.ts`). Little-endian.
 *
 * Segment `<first position, 16 digits>.journal`: its head twice, 64 bytes each, for what a flipped bit in it would cost: "TP2PJRNL", u32 version, u32 flags (none is known: 0), 8
 * bytes of epoch, f64 first position, f64 first sequence number, f64 time, u32 mark (random, in every batch's head), 8 zero bytes, u32 CRC-32C of what is
 * before.
 *
 * Batch: u32 mark, u32 CRC-32C of the head behind it, u32 CRC-32C of the entries, u32 bytes and u32 number of entries, u32 of them with a frame, f64 id, f64
 * first position, f64 first sequence number, f64 time, u32 of them with a repeat key, u32 zero.
 */

import { crc32c } from '../crc32.js';

/** Number of an entry, from 0 on, below 2^53. Never given twice within an epoch, and never less than in the epoch before. */
export type Position = number;

export const SEGMENT_HEAD_BYTES = 128;
const COPY_BYTES = 64;
const MAGIC = Buffer.from('TP2PJRNL');
export const SEGMENT_VERSION = 1;

export const BATCH_HEAD_BYTES = 64;
/** Entries of one batch at the most, bytes. */
export const MAX_BATCH_BYTES = 32 * 1_048_576;

const DIGITS = 16;
const SUFFIX = '.journal';
const INDEX_SUFFIX = '.index';

export interface SegmentHead {
  /** 16 hex digits. */
  readonly epoch: string;
  readonly position: Position;
  readonly seq: number;
  /** Unix ms by the journal's time when it was made: no entry in it is of an earlier one, none before it of a later. */
  readonly time: number;
  readonly mark: number;
}

export interface BatchHead {
  readonly id: number;
  readonly position: Position;
  readonly seq: number;
  /** Unix ms by the journal's time. */
  readonly time: number;
  readonly count: number;
  /** Entries with a frame: those that have a sequence number. */
  readonly frames: number;
  readonly repeats: number;
  /** Of the entries. */
  readonly bytes: number;
  readonly crc: number;
}

const digits = (position: Position): string => String(position).padStart(DIGITS, '0');

export const segmentName = (first: Position): string => digits(first) + SUFFIX;

export const indexName = (first: Position): string => digits(first) + INDEX_SUFFIX;

/** First position of the segment called `name`; undefined where it is no segment's name. */
function firstOf(name: string): Position | undefined {
  return /^\d{16}\.journal$/.test(name) ? Number(name.slice(0, DIGITS)) : undefined;
}

/** First positions of the segments among `names`, ascending. */
export function segmentsAmong(names: readonly string[]): Position[] {
  const found: Position[] = [];
  for (const name of names) {
    const first = firstOf(name);
    if (first !== undefined) found.push(first);
  }
  return found.sort((a, b) => a - b);
}

export function encodeSegmentHead({ epoch, position, seq, time, mark }: SegmentHead): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(SEGMENT_VERSION, 8);
  bytes.write(epoch, 16, 'hex');
  bytes.writeDoubleLE(position, 24);
  bytes.writeDoubleLE(seq, 32);
  bytes.writeDoubleLE(time, 40);
  bytes.writeUInt32LE(mark, 48);
  bytes.writeUInt32LE(crc32c(bytes, 0, 60), 60);
  bytes.copy(bytes, COPY_BYTES, 0, COPY_BYTES);
  return bytes;
}

/** A version of the segment's layout that this one does not read. */
export class NewerVersionError extends Error {
  override readonly name = 'NewerVersionError';
}

/** The head that a segment begins with; undefined where both copies are damaged. Throws NewerVersionError. */
export function decodeSegmentHead(bytes: Buffer): SegmentHead | undefined {
  for (const at of [0, COPY_BYTES]) {
    if (bytes.length < at + COPY_BYTES || bytes.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) !== 0)
      continue;
    if (bytes.readUInt32LE(at + 60) !== crc32c(bytes, at, at + 60)) continue;
    const version = bytes.readUInt32LE(at + 8);
    const flags = bytes.readUInt32LE(at + 12);
    if (version !== SEGMENT_VERSION || flags !== 0)
      throw new NewerVersionError(`version ${version}, flags ${flags}`);
    return {
      epoch: bytes.toString('hex', at + 16, at + 24),
      position: bytes.readDoubleLE(at + 24),
      seq: bytes.readDoubleLE(at + 32),
      time: bytes.readDoubleLE(at + 40),
      mark: bytes.readUInt32LE(at + 48),
    };
  }
  return undefined;
}

/** Writes a batch's head in front of its entries, which are in `bytes` already. */
export function writeBatchHead(bytes: Buffer, mark: number, head: Omit<BatchHead, 'crc'>): void {
  bytes.writeUInt32LE(mark, 0);
  bytes.writeUInt32LE(crc32c(bytes, BATCH_HEAD_BYTES, BATCH_HEAD_BYTES + head.bytes), 8);
  bytes.writeUInt32LE(head.bytes, 12);
  bytes.writeUInt32LE(head.count, 16);
  bytes.writeUInt32LE(head.frames, 20);
  bytes.writeDoubleLE(head.id, 24);
  bytes.writeDoubleLE(head.position, 32);
  bytes.writeDoubleLE(head.seq, 40);
  bytes.writeDoubleLE(head.time, 48);
  bytes.writeUInt32LE(head.repeats, 56);
  bytes.writeUInt32LE(0, 60);
  bytes.writeUInt32LE(crc32c(bytes, 8, BATCH_HEAD_BYTES), 4);
}

/** The head of a batch at `at`, where 64 bytes are; undefined where there is none of this segment's. */
export function readBatchHead(bytes: Buffer, at: number, mark: number): BatchHead | undefined {
  if (bytes.readUInt32LE(at) !== mark) return undefined;
  if (bytes.readUInt32LE(at + 4) !== crc32c(bytes, at + 8, at + BATCH_HEAD_BYTES)) return undefined;
  return {
    crc: bytes.readUInt32LE(at + 8),
    bytes: bytes.readUInt32LE(at + 12),
    count: bytes.readUInt32LE(at + 16),
    frames: bytes.readUInt32LE(at + 20),
    id: bytes.readDoubleLE(at + 24),
    position: bytes.readDoubleLE(at + 32),
    seq: bytes.readDoubleLE(at + 40),
    time: bytes.readDoubleLE(at + 48),
    repeats: bytes.readUInt32LE(at + 56),
  };
}

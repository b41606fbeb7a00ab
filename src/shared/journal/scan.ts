/** Walks over the batches of a segment, and over damage to the next whole one. */

import { crc32c } from '../crc32.js';
import { type FileCalls, readUpTo } from './files.js';
import { BATCH_HEAD_BYTES, type BatchHead, MAX_BATCH_BYTES, type Position, readBatchHead } from './layout.js';

export interface FoundBatch {
  readonly type: 'batch';
  /** Where its head begins in the file. */
  readonly offset: number;
  readonly head: BatchHead;
  /** Its entries, whose checksum is right; none where only heads are looked at. */
  readonly entries: Buffer;
}

/** Entries `from` to before `to` cannot be read. What is behind them can be. */
export interface FoundDamage {
  readonly type: 'damage';
  readonly from: Position;
  readonly to: Position;
  /** Sequence number of the entry at `to`. */
  readonly seq: number;
}

/** No whole batch follows. */
export interface FoundEnd {
  readonly type: 'end';
  readonly offset: number;
  /** `none`: the file ends here. `cut`: with the beginning of a batch. `garbage`: with what is none. */
  readonly rest: 'none' | 'cut' | 'garbage';
}

export type Found = FoundBatch | FoundDamage | FoundEnd;

export interface ScanOptions {
  readonly files: FileCalls;
  readonly fd: number;
  /** Of the segment. */
  readonly mark: number;
  /** Where to begin, at a batch's head. */
  readonly offset: number;
  /** Position of the first entry there. */
  readonly expected: Position;
  /** Bytes of the file that count. */
  readonly size: number;
  /** Bytes read at a time; 1 MiB unless told. */
  readonly windowBytes?: number;
  /** Look at the heads of batches alone, which have a checksum of their own; not unless told. */
  readonly headsOnly?: boolean;
}

const WINDOW_BYTES = 1_048_576;
const NOTHING = Buffer.alloc(0);

class CutOffError extends Error {
  override readonly name = 'CutOffError';
}

export class SegmentScan {
  readonly #options: Required<ScanOptions>;
  /** Of the next batch. */
  offset: number;
  /** Position of the entry that comes next. */
  expected: Position;
  #window: Buffer = Buffer.alloc(0);
  /** Where the window begins in the file. */
  #windowAt = 0;

  constructor(options: ScanOptions) {
    this.#options = { windowBytes: WINDOW_BYTES, headsOnly: false, ...options };
    this.offset = options.offset;
    this.expected = options.expected;
  }

  /** What comes next. Entries are views into memory of their own, which nothing is written into later. Throws what reading throws. */
  next(): Found {
    const { offset } = this;
    try {
      return this.#next();
    } catch (error) {
      // What lies behind the committed end may be cut off at any time.
      if (error instanceof CutOffError) return { type: 'end', offset, rest: 'cut' };
      throw error;
    }
  }

  #next(): Found {
    const { size, headsOnly } = this.#options;
    const { offset, expected } = this;
    if (offset === size) return { type: 'end', offset, rest: 'none' };
    if (offset + BATCH_HEAD_BYTES > size) return { type: 'end', offset, rest: 'cut' };
    const head = this.#headAt(offset);
    if (head === undefined) return this.#resync();
    if (head.position > expected) {
      this.expected = head.position;
      return { type: 'damage', from: expected, to: head.position, seq: head.seq };
    }
    const end = offset + BATCH_HEAD_BYTES + head.bytes;
    if (end > size) return { type: 'end', offset, rest: 'cut' };
    if (headsOnly) {
      this.offset = end;
      this.expected = expected + head.count;
      return { type: 'batch', offset, head, entries: NOTHING };
    }
    const at = this.#ensure(offset, BATCH_HEAD_BYTES + head.bytes) + BATCH_HEAD_BYTES;
    this.offset = end;
    this.expected = expected + head.count;
    if (crc32c(this.#window, at, at + head.bytes) !== head.crc) {
      return { type: 'damage', from: expected, to: this.expected, seq: head.seq + head.frames };
    }
    return { type: 'batch', offset, head, entries: this.#window.subarray(at, at + head.bytes) };
  }

  /** The head of a batch that may be there: none before what is expected, none of an impossible length. */
  #headAt(offset: number): BatchHead | undefined {
    const { mark } = this.#options;
    const at = this.#ensure(offset, BATCH_HEAD_BYTES);
    const head = readBatchHead(this.#window, at, mark);
    return head === undefined || head.position < this.expected || head.bytes > MAX_BATCH_BYTES
      ? undefined
      : head;
  }

  /** Has `length` bytes from `offset` on in the window, and gives where in it. They are in the file. */
  #ensure(offset: number, length: number): number {
    const { files, fd, size, windowBytes } = this.#options;
    if (offset < this.#windowAt || offset + length > this.#windowAt + this.#window.length) {
      const bytes = Math.min(Math.max(length, windowBytes), size - offset);
      this.#window = readUpTo(files, fd, bytes, offset);
      this.#windowAt = offset;
      if (this.#window.length < length) throw new CutOffError('the segment is shorter by now');
    }
    return offset - this.#windowAt;
  }

  /** From a batch whose head is damaged to the next whose head is not. */
  #resync(): Found {
    const { size, mark } = this.#options;
    const { offset: from, expected } = this;
    const wanted = Buffer.alloc(4);
    wanted.writeUInt32LE(mark);
    for (let offset = from + 1; offset + BATCH_HEAD_BYTES <= size; offset++) {
      const at = this.#ensure(offset, BATCH_HEAD_BYTES);
      const found = this.#window.indexOf(wanted, at);
      if (found === -1 || found + BATCH_HEAD_BYTES > this.#window.length) {
        // A head may begin in the last bytes of the window.
        const skipped = this.#window.length - (BATCH_HEAD_BYTES - 1);
        offset = Math.max(offset, this.#windowAt + skipped - 1);
        continue;
      }
      offset = this.#windowAt + found;
      const head = this.#headAt(offset);
      if (head === undefined) continue;
      this.offset = offset;
      if (head.position === expected) return this.#next();
      this.expected = head.position;
      return { type: 'damage', from: expected, to: head.position, seq: head.seq };
    }
    return { type: 'end', offset: from, rest: 'garbage' };
  }
}

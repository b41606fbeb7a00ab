/** The segment to which a journal appends: begun, gone on with, and sealed. */

import { randomBytes } from 'node:crypto';
import type { Logger } from '../logging/logger.js';
import { type FileCalls, writeAll } from './files.js';
import {
  type BatchHead,
  encodeSegmentHead,
  type Position,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
  writeBatchHead,
} from './layout.js';
import type { JournalOptions } from './options.js';
import { SegmentIndex, writeIndex } from './segment-index.js';
import { type Segments, segmentOf } from './segments.js';
import type { Clocks } from './steady-age.js';

/** How often it is looked whether the file is still there. */
const LOOK_EVERY_MS = 1000;
const PROBE_BYTES = 4096;

export interface SegmentWriterComponents {
  readonly logger: Logger;
  readonly files: FileCalls;
  readonly clocks: Clocks;
  readonly segments: Segments;
}

export class SegmentWriter {
  readonly #components: SegmentWriterComponents;
  readonly #options: Pick<JournalOptions, 'fsync' | 'segmentBytes' | 'segmentMs' | 'repeats'>;
  #fd: number | undefined;
  #mark = 0;
  /** Of the file: where the next batch goes. */
  #offset = 0;
  #index = new SegmentIndex();
  /** When (monotonic) the segment was begun, and looked at. */
  #begunAt = 0;
  #lookedAt = 0;
  /** Something may be in the file behind the last batch. */
  #torn = false;
  /** The next batch begins a new segment, whatever this one has. */
  #full = false;

  constructor(
    components: SegmentWriterComponents,
    options: Pick<JournalOptions, 'fsync' | 'segmentBytes' | 'segmentMs' | 'repeats'>,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /** Begins a segment, and seals the one before. Throws what the file system throws: then everything is as before. */
  begin(numbers: Omit<SegmentHead, 'mark'>): void {
    const { files, clocks, segments } = this.#components;
    const { fsync } = this.#options;
    const mark = randomBytes(4).readUInt32LE();
    const head: SegmentHead = { ...numbers, mark };
    const first = head.position;
    const path = segments.pathOf(first);
    this.#removeEmpty(first);
    // An attempt that failed may have left one that could not be removed.
    segments.discard(path);
    const fd = files.open(path, 'wx+');
    try {
      writeAll(files, fd, encodeSegmentHead(head), SEGMENT_HEAD_BYTES, 0);
      if (fsync) {
        files.sync(fd);
        files.syncDirectory(segments.directory);
      }
    } catch (error) {
      files.close(fd);
      segments.discard(path);
      throw error;
    }
    this.#seal();
    this.#fd = fd;
    this.#mark = mark;
    this.#offset = SEGMENT_HEAD_BYTES;
    this.#begunAt = clocks.monotonic();
    this.#index = new SegmentIndex();
    this.#full = false;
    this.#torn = false;
    if (!fsync) segments.unsynced.add(first);
    segments.add(segmentOf(first, head, SEGMENT_HEAD_BYTES));
  }

  /** Goes on in the last segment, whose index is `index`, from `offset` on. Throws what the file system throws. */
  goOn(offset: number, index: SegmentIndex): void {
    const { files, clocks, segments } = this.#components;
    const segment = segments.newest;
    if (segment === undefined) throw new Error('there is no segment');
    this.#fd = files.open(segments.pathOf(segment.first), 'r+');
    if (segment.bytes > offset) files.truncate(this.#fd, offset);
    if (!this.#options.fsync) segments.unsynced.add(segment.first);
    segment.bytes = offset;
    this.#mark = segment.head?.mark ?? 0;
    this.#offset = offset;
    this.#index = index;
    const age = Math.max(0, clocks.wall() - (segment.head?.time ?? 0));
    this.#begunAt = clocks.monotonic() - age;
  }

  /** One that would have the name of the next, and has no entry. */
  #removeEmpty(first: Position): void {
    const { segments } = this.#components;
    const { list, newest } = segments;
    if (newest?.first !== first) return;
    this.close();
    segments.cut(list.length - 1);
    segments.discard(segments.indexPathOf(first));
  }

  /** Ends the present segment: nothing is written into it any more. */
  #seal(): void {
    const { logger, files, clocks, segments } = this.#components;
    const segment = segments.newest;
    if (this.#fd === undefined || segment === undefined) return;
    this.close();
    segment.neededUntil = clocks.monotonic() + this.#options.repeats.windowMs;
    const path = segments.indexPathOf(segment.first);
    try {
      segments.discard(path);
      writeIndex(files, path, this.#index, segment.bytes);
    } catch (error) {
      // Whoever needs it makes it anew.
      segments.discard(path);
      logger.debug({ err: error, path }, 'the index of a segment could not be written');
    }
  }

  /** Whether a batch of `length` bytes begins another segment. `now`: monotonic. Throws what the file system throws. */
  mustBegin(length: number, now: number): boolean {
    const { logger, files, segments } = this.#components;
    const { segmentBytes, segmentMs } = this.#options;
    if (this.#fd === undefined || this.#full) return true;
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      if (files.stat(this.#fd).links === 0) {
        logger.error(
          { directory: segments.directory, segment: segments.newest?.first },
          'the segment that is written was deleted: what is in it can no longer be read',
        );
        return true;
      }
    }
    if (this.#offset === SEGMENT_HEAD_BYTES) return false;
    return this.#offset + length > segmentBytes || now - this.#begunAt >= segmentMs;
  }

  /**
   * Writes a batch, `length` of `bytes`, whose entries are there already, behind the place of their head. With `fsync` it is on the disk then. Throws what the
   * file system throws: then some of it may be in the file, until it is cut off.
   */
  write(bytes: Buffer, head: BatchHead, length: number): void {
    writeBatchHead(bytes, this.#mark, head);
    this.#torn = true;
    writeAll(this.#components.files, this.#file(), bytes, length, this.#offset);
    if (this.#options.fsync) this.#sync();
    this.#torn = false;
  }

  /** What was written last counts. */
  accept(head: BatchHead, length: number): void {
    this.#index.add(this.#offset, head);
    this.#offset += length;
    const { newest } = this.#components.segments;
    if (newest === undefined) return;
    newest.bytes = this.#offset;
    newest.repeats += head.repeats;
  }

  /** Writes something and cuts it off again. Throws what the file system throws. */
  probe(): void {
    this.#torn = true;
    writeAll(this.#components.files, this.#file(), Buffer.alloc(PROBE_BYTES), PROBE_BYTES, this.#offset);
    if (this.#options.fsync) this.#sync();
    this.cutOff();
  }

  #file(): number {
    if (this.#fd === undefined) throw new Error('no segment is open');
    return this.#fd;
  }

  #sync(): void {
    try {
      this.#components.files.sync(this.#file());
    } catch (error) {
      // The system may have dropped what it could not write, and say of the next attempt that all is well.
      this.#full = true;
      throw error;
    }
  }

  /** This file grows no more; the next may. */
  giveUp(): void {
    this.#full = true;
  }

  /** Cuts off what a failed write left. Throws what the file system throws. */
  cutOff(): void {
    if (!this.#torn) return;
    if (this.#fd !== undefined) this.#components.files.truncate(this.#fd, this.#offset);
    this.#torn = false;
  }

  tryCutOff(): void {
    try {
      this.cutOff();
    } catch (error) {
      this.#components.logger.debug({ err: error }, 'the rest of a failed write could not be cut off');
    }
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    try {
      this.#components.files.close(fd);
    } catch (error) {
      this.#components.logger.debug({ err: error }, 'a segment did not close');
    }
  }
}

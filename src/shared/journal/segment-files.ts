/** The segments of a journal as whoever reads them finds them: which there are, opened one at a time, and where in each what is. */

import { join } from 'node:path';
import { isMissing, isUnreadable } from './errors.js';
import { type FileCalls, readUpTo } from './files.js';
import {
  decodeSegmentHead,
  indexName,
  type Position,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
  segmentName,
  segmentsAmong,
} from './layout.js';
import { type Found, type ScanOptions, SegmentScan } from './scan.js';
import { readIndex, SegmentIndex } from './segment-index.js';

/** A batch's head in a segment, and the position of the first entry there. */
export interface ScanStart {
  readonly offset: number;
  readonly position: Position;
}

export interface OpenSegment {
  readonly first: Position;
  readonly fd: number;
  /** Undefined where it is damaged: nothing in it can be read. */
  readonly head: SegmentHead | undefined;
  /** Where the last reading ended. */
  at: ScanStart;
}

/** Where in a segment what is, as far as it has been looked at. */
interface KnownIndex {
  readonly index: SegmentIndex;
  /** Where to look on; undefined where the index is whole. */
  upTo: ScanStart | undefined;
}

export class SegmentFiles {
  readonly #files: FileCalls;
  readonly #directory: string;
  /** First positions, ascending. */
  #firsts: readonly Position[] = [];
  readonly #heads = new Map<Position, SegmentHead | undefined>();
  readonly #indexes = new Map<Position, KnownIndex>();
  #open: OpenSegment | undefined;

  constructor({ directory, files }: { readonly directory: string; readonly files: FileCalls }) {
    this.#directory = directory;
    this.#files = files;
  }

  /** First positions of those there were when they were last listed, ascending. */
  get firsts(): readonly Position[] {
    return this.#firsts;
  }

  /** Looks which there are. Throws what the file system throws. */
  list(): readonly Position[] {
    this.#firsts = segmentsAmong(this.#files.list(this.#directory));
    for (const known of [this.#heads, this.#indexes]) {
      for (const first of known.keys()) if (!this.#firsts.includes(first)) known.delete(first);
    }
    return this.#firsts;
  }

  /** The segment in which `position` is, opened; undefined where all there are begin behind it. */
  open(position: Position): OpenSegment | undefined {
    for (;;) {
      let first = this.#firsts.findLast((each) => each <= position);
      if (first === undefined) {
        this.list();
        first = this.#firsts.findLast((each) => each <= position);
        if (first === undefined) return undefined;
      }
      if (this.#open?.first === first) return this.#open;
      try {
        this.close();
        const fd = this.#files.open(join(this.#directory, segmentName(first)), 'r');
        const at = { offset: SEGMENT_HEAD_BYTES, position: first };
        this.#open = { first, fd, head: this.#headIn(fd, first), at };
        return this.#open;
      } catch (error) {
        if (!isMissing(error)) throw error;
        // Deleted meanwhile: the next one begins behind the position.
        this.list();
      }
    }
  }

  close(): void {
    if (this.#open !== undefined) this.#files.close(this.#open.fd);
    this.#open = undefined;
  }

  /** First position of the segment behind the one that begins at `first`. */
  following(first: Position): Position | undefined {
    const known = this.#firsts.find((each) => each > first);
    if (known !== undefined) return known;
    return this.list().find((each) => each > first);
  }

  /** Whether another has taken the name of one that was deleted. */
  isReplaced({ first, fd }: OpenSegment): boolean {
    if (this.#files.stat(fd).links > 0) return false;
    this.close();
    this.#indexes.delete(first);
    this.#heads.delete(first);
    return this.list().includes(first);
  }

  /** Heads of those there are, ascending, but for damaged ones. */
  heads(): SegmentHead[] {
    return this.list().flatMap((first) => this.#headOf(first) ?? []);
  }

  #headOf(first: Position): SegmentHead | undefined {
    const known = this.#heads.get(first);
    if (known !== undefined) return known;
    try {
      const fd = this.#files.open(join(this.#directory, segmentName(first)), 'r');
      try {
        const head = this.#headIn(fd, first);
        this.#heads.set(first, head);
        return head;
      } finally {
        this.#files.close(fd);
      }
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #headIn(fd: number, first: Position): SegmentHead | undefined {
    const head = decodeSegmentHead(readUpTo(this.#files, fd, SEGMENT_HEAD_BYTES, 0));
    return head?.position === first ? head : undefined;
  }

  /** Walks over a segment from `start` on. */
  scan(
    { fd, head }: OpenSegment,
    { offset, position }: ScanStart,
    options: Pick<ScanOptions, 'windowBytes' | 'headsOnly'> = {},
  ): SegmentScan {
    return new SegmentScan({
      files: this.#files,
      fd,
      mark: head?.mark ?? 0,
      offset,
      expected: position,
      size: this.#files.stat(fd).size,
      ...options,
    });
  }

  /** Where in a segment what is, before `end`. */
  indexOf(segment: OpenSegment, end: Position): SegmentIndex {
    const { first, fd } = segment;
    let known = this.#indexes.get(first);
    if (known === undefined) {
      const path = join(this.#directory, indexName(first));
      const stored = readIndex(this.#files, path, this.#files.stat(fd).size);
      const start = { offset: SEGMENT_HEAD_BYTES, position: first };
      known = { index: stored ?? new SegmentIndex(), upTo: stored === undefined ? start : undefined };
      this.#indexes.set(first, known);
    }
    if (known.upTo !== undefined) this.#extend(known, segment, known.upTo, end);
    return known.index;
  }

  #extend(known: KnownIndex, segment: OpenSegment, from: ScanStart, end: Position): void {
    const scan = this.scan(segment, from, { headsOnly: true });
    for (let found = nextOf(scan); found !== undefined && found.type !== 'end'; found = nextOf(scan)) {
      if (found.type === 'damage') continue;
      // What is behind the end may yet be cut off.
      if (found.head.position >= end) break;
      known.index.add(found.offset, found.head);
      known.upTo = { offset: scan.offset, position: scan.expected };
    }
  }
}

/** What comes next; undefined where the disk no longer gives it: then the rest of the segment is missing. */
export function nextOf(scan: SegmentScan): Found | undefined {
  try {
    return scan.next();
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

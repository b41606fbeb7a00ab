/** Reads a journal's files, from any process or thread, beside the one that writes them. */

import { join } from 'node:path';
import { entryLengthAt, FRAME, type JournalledEntry } from './entry.js';
import { isMissing, isUnreadable } from './errors.js';
import { FILES, type FileCalls, readUpTo } from './files.js';
import {
  decodeSegmentHead,
  indexName,
  type Position,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
  segmentName,
  segmentsAmong,
} from './layout.js';
import { type Found, type FoundBatch, SegmentScan } from './scan.js';
import { readIndex, SegmentIndex } from './segment-index.js';

/** Entries `from` to before `to`, which are damaged, deleted or not kept any more. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
}

export interface ReadEntries {
  /** In which the numbers are; empty where there is no entry. */
  readonly epoch: string;
  /** Missing before the entries. */
  readonly gap: Gap | undefined;
  /** Without a gap, all of one segment. */
  readonly entries: readonly JournalledEntry[];
  /** From where to read on. */
  readonly next: Position;
}

export interface JournalReaderOptions {
  readonly directory: string;
  readonly files?: FileCalls;
}

interface OpenSegment {
  readonly first: Position;
  readonly fd: number;
  /** Undefined where it is damaged: nothing in it can be read. */
  readonly head: SegmentHead | undefined;
  /** A batch's head, and the position of the first entry there: where the last reading ended. */
  at: { readonly offset: number; readonly position: Position };
}

/** Where in a segment what is, as far as it has been looked at. */
interface KnownIndex {
  readonly index: SegmentIndex;
  /** Where to look on; undefined where the index is whole. */
  upTo: { readonly offset: number; readonly position: Position } | undefined;
}

const MIN_WINDOW_BYTES = 64 * 1024;

export class JournalReader {
  readonly #files: FileCalls;
  readonly #directory: string;
  /** First positions, ascending. */
  #firsts: readonly Position[] = [];
  readonly #heads = new Map<Position, SegmentHead | undefined>();
  readonly #indexes = new Map<Position, KnownIndex>();
  #open: OpenSegment | undefined;

  constructor({ directory, files = FILES }: JournalReaderOptions) {
    this.#directory = directory;
    this.#files = files;
  }

  /**
   * Entries from `from` on and before `end`, until `maxBytes` are passed; at least one where there is any. `end` is what the writer says is committed: what is
   * missing before it is a gap. With an infinite one the reading goes as far as there are whole batches. Throws what reading a file throws.
   */
  read(from: Position, end: Position, maxBytes: number): ReadEntries {
    let at = from;
    let gap: Gap | undefined;
    const missing = (to: Position): void => {
      if (to <= at) return;
      gap = { from: gap?.from ?? at, to };
      at = to;
    };
    while (at < end) {
      const segment = this.#segmentOf(at);
      if (segment === undefined) {
        const [oldest] = this.#firsts;
        if (oldest === undefined && end === Number.POSITIVE_INFINITY) break;
        missing(Math.min(oldest ?? end, end));
        continue;
      }
      const { entries, reached, gapTo } = this.#readSegment(segment, at, end, maxBytes);
      if (gapTo !== undefined) missing(Math.min(gapTo, end));
      if (entries.length > 0) return { epoch: segment.head?.epoch ?? '', gap, entries, next: reached };
      at = Math.max(at, reached);
      if (at >= end) break;
      // The segment has no more, unless it is another by now: one without an entry may have been begun anew.
      if (this.#isReplaced(segment)) continue;
      const following = this.#following(segment.first);
      if (following === undefined && end === Number.POSITIVE_INFINITY) break;
      missing(Math.min(following ?? end, end));
    }
    return { epoch: '', gap, entries: [], next: at };
  }

  /**
   * The first position at which an entry with a frame has the sequence number `seq` or a later one; the oldest kept where it is older, `end` where nothing is.
   */
  seekSeq(seq: number, end: Position): Position {
    return this.#seek('seq', seq, end);
  }

  /** The first position whose batch was appended at `ms` (unix ms, the journal's time) or later; the oldest kept where it is older, `end` where none is. */
  seekTime(ms: number, end: Position): Position {
    return this.#seek('time', ms, end);
  }

  #seek(key: 'seq' | 'time', value: number, end: Position): Position {
    this.#list();
    const heads = this.#firsts.flatMap((first) => this.#headOf(first) ?? []);
    // A time may be in several segments: the first of them has it.
    const isBefore = (head: SegmentHead) => (key === 'seq' ? head.seq <= value : head.time < value);
    const index = Math.max(0, heads.findLastIndex(isBefore));
    for (const { position } of heads.slice(index)) {
      const segment = this.#segmentOf(position);
      if (segment?.head === undefined) continue;
      const found = this.#seekIn(segment, key, value, end);
      if (found !== undefined) return found;
    }
    return end;
  }

  #seekIn(segment: OpenSegment, key: 'seq' | 'time', value: number, end: Position): Position | undefined {
    const start = this.#indexOf(segment, end).before(key, key === 'seq' ? value : value - 1);
    const scan = this.#scan(segment, start ?? { offset: SEGMENT_HEAD_BYTES, position: segment.first });
    for (let found = nextOf(scan); found !== undefined && found.type !== 'end'; found = nextOf(scan)) {
      if (found.type === 'damage') continue;
      const { head } = found;
      if (head.position >= end) return end;
      if (key === 'time' && head.time >= value) return head.position;
      if (key === 'seq' && head.seq + head.frames > value) {
        return entriesOf(found).find((entry) => entry.isFrame && entry.seq >= value)?.position;
      }
    }
    return undefined;
  }

  /** First position kept; undefined where there is no segment. */
  get oldest(): Position | undefined {
    this.#list();
    return this.#firsts[0];
  }

  close(): void {
    if (this.#open !== undefined) this.#files.close(this.#open.fd);
    this.#open = undefined;
  }

  #readSegment(
    segment: OpenSegment,
    from: Position,
    end: Position,
    maxBytes: number,
  ): { entries: JournalledEntry[]; reached: Position; gapTo: Position | undefined } {
    const entries: JournalledEntry[] = [];
    const next = this.#firsts.find((first) => first > segment.first) ?? Number.POSITIVE_INFINITY;
    const limit = Math.min(end, next);
    if (segment.head === undefined) return { entries, reached: from, gapTo: undefined };
    if (segment.at.position > from) {
      segment.at = this.#indexOf(segment, end).before('position', from) ?? {
        offset: SEGMENT_HEAD_BYTES,
        position: segment.first,
      };
    }
    let scan = this.#scan(segment, segment.at, Math.max(maxBytes, MIN_WINDOW_BYTES));
    let isCareful = false;
    let reached = from;
    let gapTo: Position | undefined;
    let bytes = 0;
    while ((bytes < maxBytes || entries.length === 0) && reached < limit) {
      const found = nextOf(scan);
      if (found === undefined && entries.length === 0 && !isCareful) {
        // What is before the place that the disk does not give is as good as ever.
        isCareful = true;
        scan = this.#scan(segment, { offset: scan.offset, position: scan.expected }, 1);
        continue;
      }
      if (found === undefined || found.type === 'end') break;
      if (found.type === 'damage') {
        if (found.to <= reached) continue;
        if (entries.length > 0) break;
        reached = Math.min(found.to, limit);
        gapTo = reached;
        continue;
      }
      if (found.head.position >= limit) break;
      if (scan.expected <= limit) segment.at = { offset: scan.offset, position: scan.expected };
      if (scan.expected <= from) continue;
      for (const { position, seq, bytes: entry } of entriesOf(found)) {
        if (position < from || position >= limit) continue;
        entries.push({ position, seq, bytes: entry });
        bytes += entry.length;
      }
      reached = Math.min(scan.expected, limit);
    }
    return { entries, reached, gapTo };
  }

  #scan(
    { fd, head }: OpenSegment,
    { offset, position }: { readonly offset: number; readonly position: Position },
    windowBytes?: number,
  ): SegmentScan {
    return new SegmentScan({
      files: this.#files,
      fd,
      mark: head?.mark ?? 0,
      offset,
      expected: position,
      size: this.#files.stat(fd).size,
      ...(windowBytes === undefined ? {} : { windowBytes }),
    });
  }

  /** Where in a segment what is, before `end`. */
  #indexOf(segment: OpenSegment, end: Position): SegmentIndex {
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

  #extend(
    known: KnownIndex,
    segment: OpenSegment,
    from: { readonly offset: number; readonly position: Position },
    end: Position,
  ): void {
    const scan = this.#scan(segment, from);
    for (let found = nextOf(scan); found !== undefined && found.type !== 'end'; found = nextOf(scan)) {
      if (found.type === 'damage') continue;
      // What is behind the end may yet be cut off.
      if (found.head.position >= end) break;
      known.index.add(found.offset, found.head);
      known.upTo = { offset: scan.offset, position: scan.expected };
    }
  }

  /** The segment in which `position` is, opened; undefined where all there are begin behind it. */
  #segmentOf(position: Position): OpenSegment | undefined {
    for (;;) {
      let first = this.#firsts.findLast((each) => each <= position);
      if (first === undefined) {
        this.#list();
        first = this.#firsts.findLast((each) => each <= position);
        if (first === undefined) return undefined;
      }
      if (this.#open?.first === first) return this.#open;
      try {
        this.close();
        const path = join(this.#directory, segmentName(first));
        const fd = this.#files.open(path, 'r');
        const at = { offset: SEGMENT_HEAD_BYTES, position: first };
        this.#open = { first, fd, head: this.#headIn(fd, first), at };
        return this.#open;
      } catch (error) {
        if (!isMissing(error)) throw error;
        // Deleted meanwhile: the next one begins behind the position.
        this.#list();
      }
    }
  }

  /** First position of the segment behind the one that begins at `first`. */
  #following(first: Position): Position | undefined {
    const known = this.#firsts.find((each) => each > first);
    if (known !== undefined) return known;
    this.#list();
    return this.#firsts.find((each) => each > first);
  }

  #list(): void {
    this.#firsts = segmentsAmong(this.#files.list(this.#directory));
    for (const known of [this.#heads, this.#indexes]) {
      for (const first of known.keys()) if (!this.#firsts.includes(first)) known.delete(first);
    }
  }

  #isReplaced({ first, fd }: OpenSegment): boolean {
    if (this.#files.stat(fd).links > 0) return false;
    this.close();
    this.#indexes.delete(first);
    this.#heads.delete(first);
    this.#list();
    return this.#firsts.includes(first);
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
}

/** What comes next; undefined where the disk no longer gives it: then the rest of the segment is missing. */
function nextOf(scan: SegmentScan): Found | undefined {
  try {
    return scan.next();
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

/** The entries of a batch, in order. */
function entriesOf({ head, entries }: FoundBatch): (JournalledEntry & { readonly isFrame: boolean })[] {
  const found: (JournalledEntry & { readonly isFrame: boolean })[] = [];
  let { seq } = head;
  let at = 0;
  for (let index = 0; index < head.count; index++) {
    const length = entryLengthAt(entries, at);
    const isFrame = ((entries[at + 5] as number) & FRAME) !== 0;
    found.push({
      position: head.position + index,
      seq,
      bytes: entries.subarray(at, at + length),
      isFrame,
    });
    if (isFrame) seq++;
    at += length;
  }
  return found;
}

/** Reads a journal's files, from any process or thread, beside the one that writes them. */

import { entryLengthAt, FRAME, type JournalledEntry } from './entry.js';
import { FILES, type FileCalls } from './files.js';
import { type Position, SEGMENT_HEAD_BYTES, type SegmentHead } from './layout.js';
import type { FoundBatch } from './scan.js';
import { nextOf, type OpenSegment, type ScanStart, SegmentFiles } from './segment-files.js';

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

const MIN_WINDOW_BYTES = 64 * 1024;

export class JournalReader {
  readonly #segments: SegmentFiles;

  constructor({ directory, files = FILES }: JournalReaderOptions) {
    this.#segments = new SegmentFiles({ directory, files });
  }

  /**
   * Entries from `from` on and before `end`, until `maxBytes` are passed; at least one where there is any. `end` is what the writer says is committed: what is
   * missing before it is a gap. With an infinite one the reading goes as far as there are whole batches. Throws what reading a file throws.
   */
  read(from: Position, end: Position, maxBytes: number): ReadEntries {
    const segments = this.#segments;
    let at = from;
    let gap: Gap | undefined;
    const missing = (to: Position): void => {
      if (to <= at) return;
      gap = { from: gap?.from ?? at, to };
      at = to;
    };
    while (at < end) {
      const segment = segments.open(at);
      if (segment === undefined) {
        const [oldest] = segments.firsts;
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
      if (segments.isReplaced(segment)) continue;
      const following = segments.following(segment.first);
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
    const heads = this.heads();
    // A time may be in several segments: the first of them has it.
    const isBefore = (head: SegmentHead) => (key === 'seq' ? head.seq <= value : head.time < value);
    const index = Math.max(0, heads.findLastIndex(isBefore));
    for (const { position } of heads.slice(index)) {
      const segment = this.#segments.open(position);
      if (segment?.head === undefined) continue;
      const found = this.#seekIn(segment, key, value, end);
      if (found !== undefined) return found;
    }
    return end;
  }

  #seekIn(segment: OpenSegment, key: 'seq' | 'time', value: number, end: Position): Position | undefined {
    const start = this.#segments.indexOf(segment, end).before(key, key === 'seq' ? value : value - 1);
    // It is at the most as far as from one point of the index to the next.
    const windowBytes = MIN_WINDOW_BYTES;
    const scan = this.#segments.scan(segment, start ?? beginningOf(segment), { windowBytes });
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

  /**
   * The first entry before `end` that is not before what is looked for; undefined where all are. `isBefore` holds for the entries of a beginning of the journal,
   * and is asked of few of them.
   */
  seek(isBefore: (entry: JournalledEntry) => boolean, end: Position): JournalledEntry | undefined {
    const isBeforeAt = (position: Position): boolean => {
      const [entry] = this.read(position, end, 1).entries;
      return entry !== undefined && isBefore(entry);
    };
    let from = lastWhere(this.#segments.list(), isBeforeAt);
    if (from === undefined) return this.read(this.oldest ?? end, end, 1).entries[0];
    const segment = this.#segments.open(from);
    if (segment !== undefined) {
      const points = this.#segments.indexOf(segment, end).points.map(({ position }) => position);
      from = lastWhere(points, isBeforeAt) ?? from;
    }
    while (from < end) {
      const { entries, next } = this.read(from, end, MIN_WINDOW_BYTES);
      const found = entries.find((entry) => !isBefore(entry));
      if (found !== undefined || next === from) return found;
      from = next;
    }
    return undefined;
  }

  /** A position before `position` at which a batch begins, some 256 KiB of entries before at the most; undefined where nothing older can be read. */
  pointBefore(position: Position): Position | undefined {
    const first = this.heads().findLast((head) => head.position < position)?.position;
    if (first === undefined) return undefined;
    const segment = this.#segments.open(first);
    if (segment?.first !== first) return first;
    return this.#segments.indexOf(segment, position).before('position', position - 1)?.position ?? first;
  }

  /** First position kept; undefined where there is no segment. */
  get oldest(): Position | undefined {
    return this.#segments.list()[0];
  }

  /** Heads of the segments, ascending, but for damaged ones. */
  heads(): SegmentHead[] {
    return this.#segments.heads();
  }

  close(): void {
    this.#segments.close();
  }

  #readSegment(
    segment: OpenSegment,
    from: Position,
    end: Position,
    maxBytes: number,
  ): { entries: JournalledEntry[]; reached: Position; gapTo: Position | undefined } {
    const entries: JournalledEntry[] = [];
    const next = this.#segments.firsts.find((first) => first > segment.first) ?? Number.POSITIVE_INFINITY;
    const limit = Math.min(end, next);
    if (segment.head === undefined) return { entries, reached: from, gapTo: undefined };
    segment.at = this.#nearest(segment, from, end);
    const windowBytes = Math.max(maxBytes, MIN_WINDOW_BYTES);
    let scan = this.#segments.scan(segment, segment.at, { windowBytes });
    let isCareful = false;
    let reached = from;
    let gapTo: Position | undefined;
    let bytes = 0;
    while ((bytes < maxBytes || entries.length === 0) && reached < limit) {
      const found = nextOf(scan);
      if (found === undefined && entries.length === 0 && !isCareful) {
        // What is before the place that the disk does not give is as good as ever.
        isCareful = true;
        const start = { offset: scan.offset, position: scan.expected };
        scan = this.#segments.scan(segment, start, { windowBytes: 1 });
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

  /** Where to begin so that little is read before `from`: where the last reading ended, or at a point of the index. */
  #nearest(segment: OpenSegment, from: Position, end: Position): ScanStart {
    const { at } = segment;
    if (at.position === from) return at;
    const point = this.#segments.indexOf(segment, end).before('position', from);
    if (at.position < from) return point === undefined || point.position < at.position ? at : point;
    return point ?? beginningOf(segment);
  }
}

const beginningOf = ({ first }: OpenSegment): ScanStart => ({ offset: SEGMENT_HEAD_BYTES, position: first });

/** The last of `positions` for which `holds` does, where it holds for a beginning of them; undefined where for none. */
function lastWhere(
  positions: readonly Position[],
  holds: (position: Position) => boolean,
): Position | undefined {
  let [from, to] = [0, positions.length];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if (holds(positions[middle] as Position)) from = middle + 1;
    else to = middle;
  }
  return positions[from - 1];
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

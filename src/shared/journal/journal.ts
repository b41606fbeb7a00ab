/**
 * The journal: everything accepted, once, in order. One owner writes it, with plain synchronous file calls; whoever reads it does so from the files
 * (`reader.ts`), up to the end that the owner tells.
 *
 * A batch is stored whole or not at all. What a failed write left is cut off before anything else is written; where even that fails, nothing is stored
 * until it succeeds. Numbers are never given twice within an epoch: a new one begins where that could happen, because the machine went down with writes that
 * had not waited for the disk, or because the directory was restored, copied, or has lost its end.
 */

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { monotonic, wall } from '../clock.js';
import { errorMessage } from '../errors.js';
import { giveUpSpare } from '../files/spare-space.js';
import type { Logger } from '../logging/logger.js';
import { bootId } from '../process/boot.js';
import { entryLengthAt, FRAME, MIN_ENTRY_BYTES, REPEAT } from './entry.js';
import { isFull, isMissing, isTooLarge, JournalFailingError, JournalUnusableError } from './errors.js';
import { FILES, type FileCalls, readUpTo, withFile, writeAll } from './files.js';
import { type EpochStart, type Head, type Numbers, readHead, type StoredHead, writeHead } from './head.js';
import {
  BATCH_HEAD_BYTES,
  type BatchHead,
  decodeSegmentHead,
  encodeSegmentHead,
  indexName,
  MAX_BATCH_BYTES,
  NewerVersionError,
  type Position,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
  segmentName,
  segmentsAmong,
  writeBatchHead,
} from './layout.js';
import type { Gap } from './reader.js';
import { type Remembered, repeatsIn } from './repeats.js';
import { type FoundBatch, type FoundDamage, type FoundEnd, SegmentScan } from './scan.js';
import { SegmentIndex, writeIndex } from './segment-index.js';
import { type Clocks, SteadyAge } from './steady-age.js';

export interface JournalOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Wait for the disk with every batch (`p2p_outbox_fsync`). */
  readonly fsync: boolean;
  /** Bytes and age, ms, of a segment from which on the next batch begins another. */
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Age, ms, and bytes in all from which on the oldest segments go (`p2p_feed_retention`, `p2p_feed_retention_bytes`). */
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** Announcements that are found again at the next start: the newest `max` of `windowMs`. No segment goes that has one of them. */
  readonly repeats: { readonly windowMs: number; readonly max: number };
  /** Numbers of the first entry of a journal that is new. */
  readonly birth?: EpochStart;
  /** What tells this run of the machine from others; asked of the system unless given. */
  readonly boot?: string;
  readonly files?: FileCalls;
  readonly clocks?: Clocks;
}

/** What was found when the journal was opened. */
export interface Opened {
  /** Oldest first. */
  readonly repeats: readonly Remembered[];
  /** Entries at the end that are damaged or deleted. Others are found by reading. */
  readonly gaps: readonly Gap[];
  /** Why a new epoch began; undefined where the last goes on, or the journal is new. */
  readonly newEpoch: string | undefined;
}

export interface JournalBatch {
  /** A whole number below 2^53 that no other batch has, of earlier runs either: a batch that is offered again is known by it. */
  readonly id: number;
  /** Encoded, in order. */
  readonly entries: readonly Uint8Array[];
}

export interface Appended {
  readonly firstPosition: Position;
  /** Of the first entry with a frame. */
  readonly firstSeq: number;
  /** It was found in the journal, and not stored again. */
  readonly alreadyStored: boolean;
}

/** A batch in the journal's tail. */
export interface StoredBatch {
  readonly firstPosition: Position;
  readonly firstSeq: number;
  readonly count: number;
}

interface Segment {
  readonly first: Position;
  /** Undefined where it is damaged. */
  readonly head: SegmentHead | undefined;
  bytes: number;
  repeats: number;
  /** Until when (monotonic) repeats in it are needed. */
  neededUntil: number;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Batches whose ids are known: far more than are under way at a time. */
const IDS = 1024;
const RETAIN_EVERY_MS = 60_000;
const LOOK_EVERY_MS = 1000;
const FIRST_SCRATCH_BYTES = 64 * 1024;
/** What a batch of the usual size leaves of the memory that a large one took. */
const MAX_SCRATCH_BYTES = 1_048_576;
const PROBE_BYTES = 4096;

/** What the journal's end was found to be: the numbers of the next entry, and what is known of those before. */
class Tail {
  /** Where the next batch goes in the last segment; undefined where that takes none. */
  offset: number | undefined;
  /** Why numbers may have been given that would be given again. */
  unsure: string | undefined;
  gaps: Gap[] = [];
  /** Of the last segment. */
  repeats: Remembered[] = [];
  /** Bytes in which there may have been entries, and where the last of them began. */
  #lostBytes = 0;
  #lostAt = 0;

  constructor(
    public position: Position,
    public seq: number,
    public time: number,
  ) {}

  /** What was in `bytes` from `first` on cannot be read. */
  lose(first: Position, bytes: number, why: string): void {
    this.#lostBytes += bytes;
    this.#lostAt = first;
    this.offset = undefined;
    this.unsure = why;
  }

  /** Passes what is lost: up to `end` where that is known, else so far that no number that may have been given is given again. */
  pass(end: Numbers | undefined): void {
    const { position: from } = this;
    const to = Math.max(from, this.#lostAt) + Math.ceil(this.#lostBytes / MIN_ENTRY_BYTES);
    const passed = end ?? { position: this.#lostBytes === 0 ? from : to, seq: this.seq + to - from };
    if (end !== undefined) this.unsure = undefined;
    if (passed.position <= from) return;
    this.gaps.push({ from, to: passed.position });
    this.position = passed.position;
    this.seq = passed.seq;
  }

  copy(): Tail {
    const copy = new Tail(this.position, this.seq, this.time);
    copy.offset = this.offset;
    copy.gaps = [...this.gaps];
    copy.repeats = this.repeats;
    return copy;
  }
}

function reasonOf(stored: StoredHead | undefined, powerLost: boolean, { unsure }: Tail): string | undefined {
  if (stored === undefined) return 'its head is missing';
  if (!stored.genuine) return 'the directory was restored or copied';
  if (powerLost && !stored.fsync) return 'the machine went down with writes that had not waited for the disk';
  return unsure;
}

export class Journal {
  readonly #logger: Logger;
  readonly #options: JournalOptions;
  readonly #files: FileCalls;
  readonly #clocks: Clocks;
  #segments: Segment[] = [];
  #epochs: readonly EpochStart[] = [];
  #cursors: readonly string[] = [];
  #index = new SegmentIndex();
  #fd: number | undefined;
  #mark = 0;
  /** Of the file that is written: where the next batch goes. */
  #offset = 0;
  #position: Position = 0;
  #seq = 0;
  #time = 0;
  /** When (monotonic) the present segment was begun, looked at, and retention ran last. */
  #begunAt = 0;
  #lookedAt = 0;
  #retainedAt = 0;
  /** Something may be in the file behind the last batch. */
  #torn = false;
  /** The next batch begins a new segment, whatever this one has. */
  #full = false;
  #ids = new Map<number, StoredBatch>();
  /** Segments of which the disk may not have everything. */
  readonly #unsynced = new Set<Position>();
  #scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);
  #failure: Error | undefined;
  #pressure: number | undefined;
  #shortened = false;
  #age: SteadyAge;
  #opened = false;
  readonly #boot: string;

  /** The lowest position that somebody still needs, asked before a segment goes, and never between a batch and its answer. */
  pins: () => Position = () => Number.POSITIVE_INFINITY;
  /** Asks whoever needs entries before `to` to keep them elsewhere, where they take too much room; true when nobody needs them here any more. */
  release: (to: Position) => boolean = () => false;

  constructor({ logger }: { readonly logger: Logger }, options: JournalOptions) {
    this.#logger = logger;
    this.#options = options;
    this.#files = options.files ?? FILES;
    this.#clocks = options.clocks ?? { wall: wall.date, monotonic };
    this.#age = new SteadyAge(this.#clocks, 0);
    this.#boot = options.boot ?? bootId();
  }

  get epoch(): string {
    return this.#epochs.at(-1)?.epoch ?? '';
  }

  /** Position behind the last entry. */
  get end(): Position {
    return this.#position;
  }

  /** Sequence number of the next entry with a frame. */
  get nextSeq(): number {
    return this.#seq;
  }

  /** Numbers of the oldest entry kept; those of the next where there is none. */
  get oldest(): { readonly position: Position; readonly seq: number } {
    const [oldest] = this.#segments;
    return { position: oldest?.first ?? this.#position, seq: oldest?.head?.seq ?? this.#seq };
  }

  /** Names of the cursors there were, as far as that was written down: one that is missing was deleted. */
  get cursors(): readonly string[] {
    return this.#cursors;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Why nothing can be stored now; undefined when it can. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** When (unix ms) a full disk last shortened the history; undefined once the disk has taken a whole segment since. */
  get pressure(): number | undefined {
    return this.#pressure;
  }

  /**
   * Finds what is there, cuts off the beginning of a batch that a death left at the end, and makes ready to append. Throws JournalUnusableError, which names
   * the directory.
   */
  open(): Opened {
    const { directory } = this.#options;
    try {
      return this.#openOnce();
    } catch (error) {
      this.#closeFile();
      if (isFull(error) && giveUpSpare(dirname(directory), errorMessage(error))) {
        this.#logger.warn(
          { directory },
          'the disk is full: the space kept for opening the journal is given up',
        );
        try {
          return this.#openOnce();
        } catch (again) {
          this.#closeFile();
          throw this.#unusable(again);
        }
      }
      throw this.#unusable(error);
    }
  }

  #unusable(error: unknown): Error {
    if (error instanceof JournalUnusableError) return error;
    const { directory } = this.#options;
    const what = error instanceof NewerVersionError ? 'is of a newer version' : 'cannot be opened';
    return new JournalUnusableError(`DATADIR: the journal ${directory} ${what}: ${errorMessage(error)}`, {
      cause: error,
    });
  }

  #openOnce(): Opened {
    const { directory, fsync, repeats: kept } = this.#options;
    const files = this.#files;
    files.makeDirectory(directory);
    const stored = readHead(files, directory);
    this.#segments = this.#findSegments();
    const [only] = this.#segments;
    if (stored === undefined && this.#segments.length === 1 && only?.bytes === SEGMENT_HEAD_BYTES) {
      // Whoever made the journal died before it was whole.
      files.remove(join(directory, segmentName(only.first)));
      this.#segments = [];
    }
    this.#epochs = this.#knownEpochs(stored?.epochs ?? []);
    this.#cursors = stored?.cursors ?? [];
    const isNew = this.#epochs.length === 0;
    // Without a head that can be read nobody knows; a power loss may well have taken it.
    const powerLost = stored === undefined || (stored.state === 'open' && stored.boot !== this.#boot);
    const tail = this.#findEnd(stored, powerLost);
    this.#position = tail.position;
    this.#seq = tail.seq;
    this.#time = tail.time;
    this.#age = new SteadyAge(this.#clocks, tail.time);
    const repeats = this.#collectRepeats(tail.repeats);
    const reason = isNew ? undefined : reasonOf(stored, powerLost, tail);
    if (isNew || reason !== undefined) this.#beginEpoch(isNew);
    if (tail.offset === undefined || reason !== undefined || isNew) this.#begin();
    else this.#goOn(tail.offset);
    if (stored?.state === 'open' && !stored.fsync) {
      for (const { first } of this.#segments) this.#unsynced.add(first);
    }
    if (fsync) this.#syncAll();
    this.#writeHead('open');
    if (reason !== undefined) {
      this.#logger.warn({ directory, epoch: this.epoch, reason }, 'a new epoch of the journal begins');
    }
    this.#failure = undefined;
    this.#opened = true;
    return {
      repeats: repeats.slice(Math.max(0, repeats.length - kept.max)),
      gaps: tail.gaps,
      newEpoch: reason,
    };
  }

  #beginEpoch(isNew: boolean): void {
    const epoch = (isNew ? this.#options.birth?.epoch : undefined) ?? randomBytes(8).toString('hex');
    this.#epochs = [...this.#epochs, { epoch, position: this.#position, seq: this.#seq }];
  }

  #findSegments(): Segment[] {
    const { directory } = this.#options;
    const files = this.#files;
    const firsts = segmentsAmong(files.list(directory));
    return firsts.flatMap((first, index) => {
      const path = join(directory, segmentName(first));
      const { head, bytes } = withFile(files, path, 'r', (fd) => ({
        head: decodeSegmentHead(readUpTo(files, fd, SEGMENT_HEAD_BYTES, 0)),
        bytes: files.stat(fd).size,
      }));
      const isWhole = head !== undefined && bytes >= SEGMENT_HEAD_BYTES;
      if (!isWhole && bytes <= SEGMENT_HEAD_BYTES && index === firsts.length - 1) {
        // Whoever made it died before it was whole, so that nothing was ever in it.
        files.remove(path);
        return [];
      }
      return {
        first,
        head: head?.position === first ? head : undefined,
        bytes,
        repeats: 0,
        neededUntil: Number.NEGATIVE_INFINITY,
      };
    });
  }

  /** Those of the head and, where that is gone or older than they are, of the segments. */
  #knownEpochs(stored: readonly EpochStart[]): EpochStart[] {
    const epochs = [...stored];
    for (const { head } of this.#segments) {
      if (head === undefined || epochs.some(({ epoch }) => epoch === head.epoch)) continue;
      epochs.push({ epoch: head.epoch, position: head.position, seq: head.seq });
    }
    return epochs.sort((a, b) => a.position - b.position);
  }

  /** Where the next entry goes, and what is damaged or missing before. */
  #findEnd(stored: StoredHead | undefined, powerLost: boolean): Tail {
    const { birth, directory } = this.#options;
    const segments = this.#segments;
    const index = segments.findLastIndex(({ head }) => head !== undefined);
    const last = segments[index];
    const begin = stored === undefined ? birth : undefined;
    const tail: Tail =
      last?.head === undefined
        ? new Tail(begin?.position ?? 0, begin?.seq ?? 0, 0)
        : this.#scanLast(last, last.head, powerLost);
    if (powerLost && !stored?.fsync) {
      // The disk has not got them: nothing in them was promised to stay.
      for (const { first } of segments.splice(index + 1)) this.#remove(join(directory, segmentName(first)));
      return tail;
    }
    for (const { first, bytes } of segments.slice(index + 1)) {
      tail.lose(first, bytes, 'its newest segment is damaged');
    }
    if (stored !== undefined && stored.newest > (segments.at(-1)?.first ?? -1)) {
      const bytes = Math.max(this.#options.segmentBytes, MAX_BATCH_BYTES);
      tail.lose(stored.newest, bytes, 'its newest segment is missing');
    }
    tail.pass(stored?.end);
    return tail;
  }

  #scanLast(segment: Segment, head: SegmentHead, powerLost: boolean): Tail {
    const { directory } = this.#options;
    const { first, bytes: size } = segment;
    const tail = new Tail(head.position, head.seq, head.time);
    tail.offset = SEGMENT_HEAD_BYTES;
    /** As it is behind the last whole batch. */
    let whole = tail.copy();
    this.#index = new SegmentIndex();
    const end = this.#scan(segment, (found, scan) => {
      if (found.type === 'damage') {
        tail.gaps.push({ from: found.from, to: found.to });
        tail.seq = found.seq;
      } else {
        this.#index.add(found.offset, found.head);
        this.#know(found.head);
        repeatsIn(found, tail.repeats);
        segment.repeats += found.head.repeats;
        tail.seq = found.head.seq + found.head.frames;
        tail.time = found.head.time;
      }
      tail.position = scan.expected;
      tail.offset = scan.offset;
      if (found.type === 'batch') whole = tail.copy();
    });
    let kept = tail;
    // What was under way when the power went may be anything, and nobody was told that it is stored, or it was not promised to stay.
    if (powerLost) kept = whole;
    else if (end?.rest === 'garbage') tail.lose(tail.position, size - end.offset, 'its end is damaged');
    const cut = size - (kept.offset ?? size);
    if (cut > 0)
      this.#logger.info({ directory, segment: first, bytes: cut }, 'an unfinished batch is cut off');
    return kept;
  }

  /** All that is in a segment. */
  #scan(
    segment: Segment,
    visit: (found: FoundBatch | FoundDamage, scan: SegmentScan) => void,
  ): FoundEnd | undefined {
    const { head, first, bytes: size } = segment;
    if (head === undefined) return undefined;
    return withFile(this.#files, join(this.#options.directory, segmentName(first)), 'r', (fd) => {
      const start = { offset: SEGMENT_HEAD_BYTES, expected: first };
      const scan = new SegmentScan({ files: this.#files, fd, mark: head.mark, size, ...start });
      for (;;) {
        const found = scan.next();
        if (found.type === 'end') return found;
        visit(found, scan);
      }
    });
  }

  /** Repeats of the time that is kept, the oldest first: `newest` and what is in segments before the last. */
  #collectRepeats(newest: readonly Remembered[]): Remembered[] {
    const { windowMs, max } = this.#options.repeats;
    const now = this.#clocks.wall();
    const lists = [newest];
    let count = newest.length;
    for (let index = this.#segments.length - 2; index >= 0 && count < max; index--) {
      const segment = this.#segments[index] as Segment;
      const until = this.#segments[index + 1]?.head?.time ?? now;
      if (now - until >= windowMs) break;
      const found: Remembered[] = [];
      const heads: BatchHead[] = [];
      this.#scan(segment, (each) => {
        if (each.type !== 'batch') return;
        repeatsIn(each, found);
        heads.push(each.head);
        segment.repeats += each.head.repeats;
      });
      this.#knowEarlier(heads);
      segment.neededUntil = this.#clocks.monotonic() + Math.min(windowMs, until + windowMs - now);
      lists.push(found);
      count += found.length;
    }
    return lists.reverse().flatMap((list) => list.filter(({ at }) => now - at < windowMs));
  }

  /** Goes on in the last segment, from `offset` on. */
  #goOn(offset: number): void {
    const segment = this.#segments.at(-1) as Segment;
    const path = join(this.#options.directory, segmentName(segment.first));
    this.#fd = this.#files.open(path, 'r+');
    if (segment.bytes > offset) this.#files.truncate(this.#fd, offset);
    if (!this.#options.fsync) this.#unsynced.add(segment.first);
    segment.bytes = offset;
    this.#mark = segment.head?.mark ?? 0;
    this.#offset = offset;
    const age = Math.max(0, this.#clocks.wall() - (segment.head?.time ?? 0));
    this.#begunAt = this.#clocks.monotonic() - age;
  }

  /** Begins a segment at the end. Throws what the file system throws: then everything is as before. */
  #begin(): void {
    const { directory, fsync } = this.#options;
    const files = this.#files;
    const time = Math.max(this.#time, this.#clocks.wall());
    const mark = randomBytes(4).readUInt32LE();
    const head: SegmentHead = { epoch: this.epoch, position: this.#position, seq: this.#seq, time, mark };
    const first = head.position;
    const path = join(directory, segmentName(first));
    this.#removeEmpty(first);
    // An attempt that failed may have left one that could not be removed.
    this.#remove(path);
    const fd = files.open(path, 'wx+');
    try {
      writeAll(files, fd, encodeSegmentHead(head), SEGMENT_HEAD_BYTES, 0);
      if (fsync) {
        files.sync(fd);
        files.syncDirectory(directory);
      }
    } catch (error) {
      files.close(fd);
      this.#remove(path);
      throw error;
    }
    this.#seal();
    this.#fd = fd;
    this.#mark = mark;
    this.#offset = SEGMENT_HEAD_BYTES;
    this.#begunAt = this.#clocks.monotonic();
    this.#index = new SegmentIndex();
    this.#full = false;
    this.#torn = false;
    if (!fsync) this.#unsynced.add(first);
    this.#segments.push({
      first,
      head,
      bytes: SEGMENT_HEAD_BYTES,
      repeats: 0,
      neededUntil: Number.NEGATIVE_INFINITY,
    });
  }

  /** One that would have the name of the next, and has no entry. */
  #removeEmpty(first: Position): void {
    if (this.#segments.at(-1)?.first !== first) return;
    this.#closeFile();
    this.#segments.pop();
    this.#remove(join(this.#options.directory, indexName(first)));
  }

  /** Ends the present segment: nothing is written into it any more. */
  #seal(): void {
    const segment = this.#segments.at(-1);
    if (this.#fd === undefined || segment === undefined) return;
    this.#closeFile();
    segment.neededUntil = this.#clocks.monotonic() + this.#options.repeats.windowMs;
    const path = join(this.#options.directory, indexName(segment.first));
    try {
      this.#remove(path);
      writeIndex(this.#files, path, this.#index, segment.bytes);
    } catch (error) {
      // Whoever needs it makes it anew.
      this.#remove(path);
      this.#logger.debug({ err: error, path }, 'the index of a segment could not be written');
    }
  }

  #closeFile(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    try {
      this.#files.close(fd);
    } catch (error) {
      this.#logger.debug({ err: error }, 'a segment did not close');
    }
  }

  /** Whatever comes of it. */
  #remove(path: string): void {
    try {
      this.#files.remove(path);
    } catch (error) {
      if (!isMissing(error))
        this.#logger.debug({ err: error, path }, 'a file of the journal was not removed');
    }
  }

  #writeHead(state: Head['state'], wait = true): void {
    const { directory, fsync } = this.#options;
    const newest = this.#segments.at(-1)?.first ?? 0;
    const end = state === 'closed' ? { end: { position: this.#position, seq: this.#seq } } : {};
    const of = { epochs: this.#epochs, cursors: this.#cursors };
    const head = { ...of, state, fsync, boot: this.#boot, newest, ...end };
    writeHead(this.#files, directory, head, wait);
  }

  /** Writes down which cursors there are, at the latest when it is closed. Never throws. The journal is open. */
  noteCursors(names: readonly string[]): void {
    if (names.length === this.#cursors.length && names.every((name) => this.#cursors.includes(name))) return;
    this.#cursors = [...names];
    try {
      this.#writeHead('open');
    } catch (error) {
      this.#logger.debug({ err: error }, 'the head of the journal could not be written');
    }
  }

  /** Where a cursor of `epoch` at `position` stands: what was lost behind it in a former epoch is passed. Undefined where it is of no epoch that is known. */
  resolve({
    epoch,
    position,
  }: {
    readonly epoch: string;
    readonly position: Position;
  }): Position | undefined {
    const index = this.#epochs.findLastIndex((start) => start.epoch === epoch);
    if (index === -1) return undefined;
    const next = this.#epochs[index + 1];
    if (next !== undefined) return Math.min(position, next.position);
    return position <= this.#position ? position : undefined;
  }

  /** A batch in the tail, by its id: it was stored, and perhaps nobody was told. */
  find(id: number): StoredBatch | undefined {
    return this.#ids.get(id);
  }

  /** Batches before all that are known: one that was offered again may be the last of its segment. */
  #knowEarlier(heads: readonly BatchHead[]): void {
    const headroom = IDS - this.#ids.size;
    if (headroom <= 0) return;
    const later = this.#ids;
    this.#ids = new Map();
    for (const head of heads.slice(-headroom)) this.#know(head);
    for (const [id, batch] of later) this.#ids.set(id, batch);
  }

  #know({ id, position, seq, count }: Pick<BatchHead, 'id' | 'position' | 'seq' | 'count'>): void {
    this.#ids.set(id, { firstPosition: position, firstSeq: seq, count });
    if (this.#ids.size <= IDS) return;
    for (const oldest of this.#ids.keys()) {
      this.#ids.delete(oldest);
      break;
    }
  }

  /**
   * Stores a batch, all of it or nothing. With `fsync` it is on the disk then. Throws JournalFailingError where it cannot, and nothing of it counts as stored;
   * RangeError where its entries are more than 32 MiB.
   */
  append({ id, entries }: JournalBatch): Appended {
    const known = this.#ids.get(id);
    if (known !== undefined) {
      return { firstPosition: known.firstPosition, firstSeq: known.firstSeq, alreadyStored: true };
    }
    if (!this.#opened) throw new JournalFailingError('the journal is not open');
    const firstPosition = this.#position;
    const firstSeq = this.#seq;
    if (entries.length === 0) return { firstPosition, firstSeq, alreadyStored: false };
    const head = this.#gather(id, entries);
    const now = this.#clocks.monotonic();
    // Before the batch counts: whoever is asked what they need has not heard of it yet.
    if (now - this.#retainedAt >= RETAIN_EVERY_MS) this.retain();
    this.#store(head, now);
    const length = BATCH_HEAD_BYTES + head.bytes;
    const segment = this.#segments.at(-1) as Segment;
    this.#index.add(this.#offset, head);
    this.#know(head);
    this.#offset += length;
    segment.bytes = this.#offset;
    segment.repeats += head.repeats;
    this.#position += head.count;
    this.#seq += head.frames;
    this.#time = head.time;
    if (length > MAX_SCRATCH_BYTES) this.#scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);
    return { firstPosition, firstSeq, alreadyStored: false };
  }

  /** Puts the entries into the scratch, behind the place of their head. */
  #gather(id: number, entries: readonly Uint8Array[]): Writable<BatchHead> {
    let bytes = 0;
    for (const entry of entries) bytes += entry.length;
    if (bytes > MAX_BATCH_BYTES) throw new RangeError(`a batch of ${bytes} bytes`);
    const length = BATCH_HEAD_BYTES + bytes;
    if (length > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(2 * length);
    const scratch = this.#scratch;
    let at = BATCH_HEAD_BYTES;
    let frames = 0;
    let repeats = 0;
    for (const entry of entries) {
      scratch.set(entry, at);
      if (entryLengthAt(scratch, at) !== entry.length)
        throw new RangeError('an entry is not as long as it says');
      const flags = entry[5] as number;
      if ((flags & FRAME) !== 0) frames++;
      if ((flags & REPEAT) !== 0) repeats++;
      at += entry.length;
    }
    const { position, seq } = { position: this.#position, seq: this.#seq };
    return { id, position, seq, time: this.#time, count: entries.length, frames, repeats, bytes, crc: 0 };
  }

  /** Writes what is in the scratch. A full disk takes the oldest history first. Throws JournalFailingError. */
  #store(head: Writable<BatchHead>, now: number): void {
    const files = this.#files;
    const length = BATCH_HEAD_BYTES + head.bytes;
    for (;;) {
      try {
        this.#cutOff();
        if (this.#mustBegin(length, now)) this.#beginNext();
        head.time = Math.max(this.#time, this.#clocks.wall());
        writeBatchHead(this.#scratch, this.#mark, head);
        this.#torn = true;
        writeAll(files, this.#file(), this.#scratch, length, this.#offset);
        if (this.#options.fsync) this.#sync();
        this.#torn = false;
        if (this.#failure !== undefined) this.#heal();
        return;
      } catch (error) {
        this.#tryCutOff();
        if (isFull(error) && this.#shorten()) continue;
        // This file grows no more; the next may.
        if (isTooLarge(error)) this.#full = true;
        throw this.#fail(error);
      }
    }
  }

  #file(): number {
    if (this.#fd === undefined) throw new Error('no segment is open');
    return this.#fd;
  }

  #sync(): void {
    try {
      this.#files.sync(this.#file());
    } catch (error) {
      // The system may have dropped what it could not write, and say of the next attempt that all is well.
      this.#full = true;
      throw error;
    }
  }

  #mustBegin(length: number, now: number): boolean {
    const { segmentBytes, segmentMs } = this.#options;
    if (this.#fd === undefined || this.#full) return true;
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      if (this.#files.stat(this.#fd).links === 0) {
        this.#logger.error(
          { directory: this.#options.directory, segment: this.#segments.at(-1)?.first },
          'the segment that is written was deleted: what is in it can no longer be read',
        );
        return true;
      }
    }
    if (this.#offset === SEGMENT_HEAD_BYTES) return false;
    return this.#offset + length > segmentBytes || now - this.#begunAt >= segmentMs;
  }

  #beginNext(): void {
    this.#begin();
    if (!this.#shortened) this.#pressure = undefined;
    this.#shortened = false;
    try {
      // Where nobody waits for the disk, this must not either: it may have to write a whole segment first.
      this.#writeHead('open', this.#options.fsync);
    } catch (error) {
      // It is only less able to tell that segments were deleted.
      this.#logger.debug({ err: error }, 'the head of the journal could not be written');
    }
    this.retain();
  }

  /** Cuts off what a failed write left. Throws what the file system throws. */
  #cutOff(): void {
    if (!this.#torn) return;
    if (this.#fd !== undefined) this.#files.truncate(this.#fd, this.#offset);
    this.#torn = false;
  }

  #tryCutOff(): void {
    try {
      this.#cutOff();
    } catch (error) {
      this.#logger.debug({ err: error }, 'the rest of a failed write could not be cut off');
    }
  }

  #fail(error: unknown): Error {
    const { directory } = this.#options;
    const before = this.#failure;
    const failure = new JournalFailingError(`the journal cannot be written: ${errorMessage(error)}`, {
      cause: error,
    });
    this.#failure = failure;
    if (before === undefined) {
      this.#logger.error(
        { err: error, directory },
        'the journal cannot be written: announcements are refused until it can',
      );
    }
    return failure;
  }

  #heal(): void {
    this.#failure = undefined;
    this.#logger.info({ directory: this.#options.directory }, 'the journal can be written again');
  }

  /** Finds out whether what failed works again, without a batch: `failure` says. */
  mend(): void {
    if (this.#failure === undefined || !this.#opened) return;
    try {
      this.#cutOff();
      if (this.#mustBegin(0, this.#clocks.monotonic())) this.#beginNext();
      this.#torn = true;
      writeAll(this.#files, this.#file(), Buffer.alloc(PROBE_BYTES), PROBE_BYTES, this.#offset);
      if (this.#options.fsync) this.#sync();
      this.#cutOff();
      this.#heal();
    } catch (error) {
      this.#tryCutOff();
      this.#fail(error);
    }
  }

  /** Lets the oldest segments go that are too old or too much. By itself at each new segment, and once a minute where something is appended. */
  retain(): void {
    try {
      this.#retain();
    } catch (error) {
      this.#logger.warn({ err: error }, 'old segments of the journal could not be looked at');
    }
  }

  #retain(): void {
    const { retentionMs, retentionBytes } = this.#options;
    this.#retainedAt = this.#clocks.monotonic();
    const before = this.#age.now() - retentionMs;
    let bytes = this.bytes;
    while (this.#segments.length > 1) {
      const isTooMuch = bytes > retentionBytes;
      if (!isTooMuch && this.#endTime() >= before) return;
      bytes -= this.#segments[0]?.bytes ?? 0;
      if (!this.#dropOldest(isTooMuch)) return;
    }
  }

  /** No entry of the oldest segment is of a later time. */
  #endTime(): number {
    const next = this.#segments.slice(1).find(({ head }) => head !== undefined);
    return next?.head?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Deletes the oldest segment, unless somebody needs it. `isTooMuch`: who does is asked to keep it elsewhere. */
  #dropOldest(isTooMuch: boolean): boolean {
    const { directory, repeats } = this.#options;
    const [oldest, next] = this.#segments;
    if (oldest === undefined || next === undefined) return false;
    if (oldest.repeats > 0 && oldest.neededUntil > this.#clocks.monotonic()) {
      const newer = this.#segments.reduce((sum, segment) => sum + segment.repeats, -oldest.repeats);
      if (newer < repeats.max) return false;
    }
    if (this.pins() < next.first && !(isTooMuch && this.release(next.first))) return false;
    try {
      this.#files.remove(join(directory, segmentName(oldest.first)));
    } catch (error) {
      if (!isMissing(error)) {
        this.#logger.warn({ err: error, directory, segment: oldest.first }, 'a segment could not be deleted');
        return false;
      }
    }
    this.#remove(join(directory, indexName(oldest.first)));
    this.#unsynced.delete(oldest.first);
    this.#segments.shift();
    this.#logger.debug({ directory, segment: oldest.first }, 'a segment is past its time');
    return true;
  }

  /** Makes room on a full disk; false where nothing can go. */
  #shorten(): boolean {
    const { directory } = this.#options;
    try {
      if (!this.#dropOldest(false)) return false;
    } catch (error) {
      this.#logger.warn({ err: error, directory }, 'no old segment of the journal could be deleted');
      return false;
    }
    if (this.#pressure === undefined) {
      this.#logger.warn({ directory }, 'the disk is full: the oldest of the journal’s history goes');
    }
    this.#pressure = this.#clocks.wall();
    this.#shortened = true;
    return true;
  }

  #syncAll(): void {
    const { directory } = this.#options;
    for (const first of this.#unsynced) {
      try {
        withFile(this.#files, join(directory, segmentName(first)), 'r+', (fd) => this.#files.sync(fd));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    if (this.#unsynced.size > 0) this.#files.syncDirectory(directory);
    this.#unsynced.clear();
  }

  /** Has the disk take everything, and marks the journal as closed in order. */
  close(): void {
    if (!this.#opened) return;
    this.#opened = false;
    try {
      this.#cutOff();
      this.#syncAll();
      this.#writeHead('closed');
    } catch (error) {
      const { directory } = this.#options;
      this.#logger.warn({ err: error, directory }, 'the journal’s last writes may not be on the disk');
    }
    this.#closeFile();
  }
}

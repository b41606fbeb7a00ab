/**
 * The journal: everything accepted, once, in order. One owner writes it, with plain synchronous file calls; whoever reads it does so from the files
 * (`reader.ts`), up to the end that the owner tells.
 *
 * A batch is stored whole or not at all. What a failed write left is cut off before anything else is written; where even that fails, nothing is stored
 * until it succeeds. Numbers are never given twice within an epoch: a new one begins where that could happen, because the machine went down with writes that
 * had not waited for the disk, or because the directory was restored, copied, or has lost its end (`recovery.ts`).
 */

import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { monotonic, wall } from '../clock.js';
import { errorMessage } from '../errors.js';
import { giveUpSpare } from '../files/spare-space.js';
import type { Logger } from '../logging/logger.js';
import { bootId } from '../process/boot.js';
import { BatchBuffer } from './batch-buffer.js';
import { BatchIds, type StoredBatch } from './batch-ids.js';
import { placeInEpochs } from './epochs.js';
import { isFull, isTooLarge, JournalFailingError, JournalUnusableError } from './errors.js';
import { FILES, type FileCalls } from './files.js';
import { type EpochStart, type Head, type Numbers, writeHead } from './head.js';
import { BATCH_HEAD_BYTES, type BatchHead, NewerVersionError, type Position } from './layout.js';
import type { JournalOptions } from './options.js';
import type { Gap } from './reader.js';
import { Recovery } from './recovery.js';
import type { Remembered } from './repeats.js';
import { Retention } from './retention.js';
import { SegmentWriter } from './segment-writer.js';
import { Segments } from './segments.js';
import type { Clocks } from './steady-age.js';

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

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class Journal {
  readonly #logger: Logger;
  readonly #options: JournalOptions;
  readonly #files: FileCalls;
  readonly #clocks: Clocks;
  readonly #segments: Segments;
  readonly #writer: SegmentWriter;
  readonly #retention: Retention;
  readonly #recovery: () => Recovery;
  /** What tells this run of the machine from others. */
  readonly #boot: string;
  readonly #ids = new BatchIds();
  readonly #buffer = new BatchBuffer();
  #epochs: readonly EpochStart[] = [];
  #cursors: readonly string[] = [];
  /** Numbers of the next entry, and time of the last. */
  #position: Position = 0;
  #seq = 0;
  #time = 0;
  #failure: Error | undefined;
  #opened = false;

  /** The lowest position that somebody still needs, asked before a segment goes, and never between a batch and its answer. */
  pins: () => Position = () => Number.POSITIVE_INFINITY;
  /** Asks whoever needs entries before `to` to keep them elsewhere, where they take too much room; true when nobody needs them here any more. */
  release: (to: Position) => boolean = () => false;

  constructor({ logger }: { readonly logger: Logger }, options: JournalOptions) {
    const { directory, files = FILES, clocks = { wall: wall.date, monotonic }, boot = bootId() } = options;
    this.#logger = logger;
    this.#options = options;
    this.#files = files;
    this.#clocks = clocks;
    const segments = new Segments({ logger, files }, directory);
    this.#segments = segments;
    this.#writer = new SegmentWriter({ logger, files, clocks, segments }, options);
    const pins = () => this.pins();
    const release = (to: Position) => this.release(to);
    this.#retention = new Retention({ logger, files, clocks, segments, pins, release }, options);
    const ids = this.#ids;
    this.#recovery = () => new Recovery({ logger, files, clocks, segments, ids }, { ...options, boot });
    this.#boot = boot;
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
  get oldest(): Numbers {
    const [oldest] = this.#segments.list;
    return { position: oldest?.first ?? this.#position, seq: oldest?.head?.seq ?? this.#seq };
  }

  /** Names of the cursors there were, as far as that was written down: one that is missing was deleted. */
  get cursors(): readonly string[] {
    return this.#cursors;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments.bytes;
  }

  /** Why nothing can be stored now; undefined when it can. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** When (unix ms) a full disk last shortened the history; undefined once the disk has taken a whole segment since. */
  get pressure(): number | undefined {
    return this.#retention.pressure;
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
      this.#writer.close();
      if (isFull(error) && giveUpSpare(dirname(directory), errorMessage(error))) {
        this.#logger.warn(
          { directory },
          'the disk is full: the space kept for opening the journal is given up',
        );
        try {
          return this.#openOnce();
        } catch (again) {
          this.#writer.close();
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
    const segments = this.#segments;
    this.#files.makeDirectory(directory);
    const { head, epochs, tail, index, repeats, newEpoch } = this.#recovery().run();
    this.#epochs = epochs;
    this.#cursors = head?.cursors ?? [];
    this.#position = tail.position;
    this.#seq = tail.seq;
    this.#time = tail.time;
    this.#retention.start(tail.time);
    const isNew = epochs.length === 0;
    if (isNew || newEpoch !== undefined) this.#beginEpoch(isNew);
    if (tail.offset === undefined || newEpoch !== undefined || isNew) this.#beginSegment();
    else this.#writer.goOn(tail.offset, index);
    if (head?.state === 'open' && !head.fsync) {
      for (const { first } of segments.list) segments.unsynced.add(first);
    }
    if (fsync) segments.syncAll();
    this.#writeHead('open');
    if (newEpoch !== undefined) {
      this.#logger.warn(
        { directory, epoch: this.epoch, reason: newEpoch },
        'a new epoch of the journal begins',
      );
    }
    this.#failure = undefined;
    this.#opened = true;
    return { repeats: repeats.slice(Math.max(0, repeats.length - kept.max)), gaps: tail.gaps, newEpoch };
  }

  #beginEpoch(isNew: boolean): void {
    const epoch = (isNew ? this.#options.birth?.epoch : undefined) ?? randomBytes(8).toString('hex');
    this.#epochs = [...this.#epochs, { epoch, position: this.#position, seq: this.#seq }];
  }

  #beginSegment(): void {
    const time = Math.max(this.#time, this.#clocks.wall());
    this.#writer.begin({ epoch: this.epoch, position: this.#position, seq: this.#seq, time });
  }

  #writeHead(state: Head['state'], wait = true): void {
    const { directory, fsync } = this.#options;
    const newest = this.#segments.newest?.first ?? 0;
    const end = state === 'closed' ? { end: { position: this.#position, seq: this.#seq } } : {};
    const of = { epochs: this.#epochs, cursors: this.#cursors };
    const head = { ...of, state, fsync, boot: this.#boot, newest, ...end };
    writeHead(this.#files, directory, head, wait);
  }

  /** Writes down which cursors there are, at the latest when it is closed. Never throws. The journal is open. */
  noteCursors(names: readonly string[]): void {
    if (names.length === this.#cursors.length && names.every((name) => this.#cursors.includes(name))) return;
    this.#cursors = [...names];
    this.#tryWriteHead(true);
  }

  #tryWriteHead(wait: boolean): void {
    try {
      this.#writeHead('open', wait);
    } catch (error) {
      // It is only less able to tell that segments or cursors were deleted.
      this.#logger.debug({ err: error }, 'the head of the journal could not be written');
    }
  }

  /** Where a cursor of `epoch` at `position` stands: what was lost behind it in a former epoch is passed. Undefined where it is of no epoch that is known. */
  resolve(cursor: { readonly epoch: string; readonly position: Position }): Position | undefined {
    return placeInEpochs(this.#epochs, cursor, this.#position);
  }

  /** A batch in the tail, by its id: it was stored, and perhaps nobody was told. */
  find(id: number): StoredBatch | undefined {
    return this.#ids.get(id);
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
    const numbers = { id, position: firstPosition, seq: firstSeq, time: this.#time, crc: 0 };
    const head: Writable<BatchHead> = { ...numbers, ...this.#buffer.gather(entries) };
    const now = this.#clocks.monotonic();
    // Before the batch counts: whoever is asked what they need has not heard of it yet.
    this.#retention.runIfDue(now);
    this.#store(head, now);
    const length = BATCH_HEAD_BYTES + head.bytes;
    this.#writer.accept(head, length);
    this.#ids.add(head);
    this.#position += head.count;
    this.#seq += head.frames;
    this.#time = head.time;
    this.#buffer.shrink(length);
    return { firstPosition, firstSeq, alreadyStored: false };
  }

  /**
   * Passes `count` numbers that no entry will have, for what will never come: whoever reads on past them finds a gap. It is on the disk with the next batch, in another
   * segment.
   */
  skip(count: number): void {
    this.#position += count;
    this.#seq += count;
    this.#writer.giveUp();
  }

  /** Writes what is in the buffer. A full disk takes the oldest history first. Throws JournalFailingError. */
  #store(head: Writable<BatchHead>, now: number): void {
    const writer = this.#writer;
    const length = BATCH_HEAD_BYTES + head.bytes;
    for (;;) {
      try {
        writer.cutOff();
        if (writer.mustBegin(length, now)) this.#beginNext();
        head.time = Math.max(this.#time, this.#clocks.wall());
        writer.write(this.#buffer.bytes, head, length);
        if (this.#failure !== undefined) this.#heal();
        return;
      } catch (error) {
        writer.tryCutOff();
        if (isFull(error) && this.#retention.shorten()) continue;
        if (isTooLarge(error)) writer.giveUp();
        throw this.#fail(error);
      }
    }
  }

  #beginNext(): void {
    this.#beginSegment();
    this.#retention.segmentBegun();
    // Where nobody waits for the disk, this must not either: it may have to write a whole segment first.
    this.#tryWriteHead(this.#options.fsync);
    this.#retention.run();
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
      this.#writer.cutOff();
      if (this.#writer.mustBegin(0, this.#clocks.monotonic())) this.#beginNext();
      this.#writer.probe();
      this.#heal();
    } catch (error) {
      this.#writer.tryCutOff();
      this.#fail(error);
    }
  }

  /** Lets the oldest segments go that are too old or too much. By itself at each new segment, and once a minute where something is appended. */
  retain(): void {
    this.#retention.run();
  }

  /** Has the disk take everything, and marks the journal as closed in order. */
  close(): void {
    if (!this.#opened) return;
    this.#opened = false;
    try {
      this.#writer.cutOff();
      this.#segments.syncAll();
      this.#writeHead('closed');
    } catch (error) {
      const { directory } = this.#options;
      this.#logger.warn({ err: error, directory }, 'the journal’s last writes may not be on the disk');
    }
    this.#writer.close();
  }
}

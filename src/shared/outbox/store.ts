/** The outbox's database: what was accepted and is not yet in Kafka, the newest frames, and the sequence. */

import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bootId } from '../boot.js';
import { wall } from '../clock.js';
import type { Frame } from '../frames/types.js';
import type { Logger } from '../logging.js';
import { giveUpSpare } from '../spare-space.js';
import { LevelDatabase, type OpenDatabase, type Operation, type OutboxDatabase } from './database.js';
import { markWhole, settleEpoch } from './epoch.js';
import { levelCode, levelMessage, OutboxFailingError, OutboxUnusableError } from './errors.js';
import { settleFormat } from './format.js';
import { decodeFrames, encodeFrames } from './frames.js';
import * as keys from './keys.js';
import { decodeRecords, encodeRecords, type OutboxRecord } from './records.js';
import { type Remembered, type RepeatsOptions, StoredRepeats } from './repeats.js';
import { seal, unlessDamaged, unseal } from './seal.js';

export interface OutboxStoreOptions {
  /** Directory of the database; made when missing. */
  readonly path: string;
  /** Wait for the disk with every batch (`p2p_outbox_fsync`). */
  readonly fsync: boolean;
  /** Frames kept (`p2p_frame_ring`). */
  readonly frameRing: number;
  /** Announcements remembered; the newest 500,000 of the last 10 minutes unless told. */
  readonly repeats?: RepeatsOptions;
  /** The database; LevelDB in this thread unless told. */
  readonly openDatabase?: OpenDatabase;
  /** Milliseconds to wait for a former owner in this process to let go; 10,000 unless told. */
  readonly lockPatienceMs?: number;
  /** What tells this run of the machine from others; asked of the system unless given. */
  readonly boot?: string;
}

/** Records stored together; they leave the database together. */
export interface Chunk {
  readonly topic: string;
  readonly id: number;
  readonly records: readonly OutboxRecord[];
  /** Records of it that could not be read back: it is set aside in the database, and has no others. */
  readonly damaged?: number;
}

/** A chunk that is in the database but not in memory. */
export interface StoredChunk {
  readonly topic: string;
  readonly id: number;
  readonly count: number;
}

/** What a batch adds. */
export interface OutboxBatch {
  readonly frames: readonly Omit<Frame, 'seq'>[];
  /** 16 bytes each, as latin1 text. */
  readonly repeatKeys: readonly string[];
  readonly records: ReadonlyMap<string, readonly OutboxRecord[]>;
}

export interface Appended {
  readonly frames: readonly Frame[];
  readonly chunks: readonly Chunk[];
}

/** What the database held when it was opened. */
export interface Reopened {
  /** Ascending. */
  readonly frames: readonly Frame[];
  readonly repeats: readonly Remembered[];
  readonly chunks: readonly StoredChunk[];
}

const FIRST_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 5000;
const LOCK_RETRY_MS = 50;

/**
 * A batch is one write: position, frames and a chunk of records a topic, or nothing of them.
 *
 * After a failed write LevelDB's log may end in half a record, and whatever were written behind it would be lost when the
 * log is read. So the first failure closes the database, and it is opened again, which ends the log cleanly, before
 * anything more is written. Whether the failed batch is in it is found out then: `onReopened` is told what is in the
 * database and was not known here.
 */
export class OutboxStore {
  epoch = '';
  readonly #logger: Logger;
  readonly #options: Required<OutboxStoreOptions>;
  readonly #repeats: StoredRepeats;
  readonly #stopping = new AbortController();
  #level: OutboxDatabase | undefined;
  #nextSeq = 0;
  #nextId = 1;
  #frameChunks: { readonly firstSeq: number; readonly count: number }[] = [];
  #framesKept = 0;
  #removals: string[] = [];
  #removing: Promise<void> | undefined;
  #failure: Error | undefined;
  #recovering: Promise<void> | undefined;

  /** Called when the database works again, with what the failed write left in it after all. */
  onReopened: (found: Reopened) => void = () => {};

  constructor({ logger }: { logger: Logger }, options: OutboxStoreOptions) {
    this.#logger = logger;
    this.#options = {
      lockPatienceMs: 10_000,
      openDatabase: (path) => new LevelDatabase(path),
      boot: bootId(),
      repeats: { windowMs: 600_000, max: 500_000 },
      ...options,
    };
    this.#repeats = new StoredRepeats({ logger }, this.#options.repeats);
  }

  /** `seq` of the next frame. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** `seq` of the oldest frame kept; `nextSeq` when none is. */
  get oldestSeq(): number {
    return this.#frameChunks[0]?.firstSeq ?? this.#nextSeq;
  }

  /** Why nothing can be stored at the moment; undefined when it can. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Opens the database and finds what is in it. Throws OutboxUnusableError, naming the path, when it is corrupt or of
   * another format: starting without it would lose announcements in silence.
   */
  async open(): Promise<Reopened> {
    const deadline = performance.now() + this.#options.lockPatienceMs;
    for (;;) {
      try {
        return await this.#open(0, 0);
      } catch (error) {
        // The thread that had it before may still be on its way out.
        if (levelCode(error) !== 'LEVEL_LOCKED' || performance.now() > deadline) throw this.#unusable(error);
        await delay(LOCK_RETRY_MS);
      }
    }
  }

  #unusable(error: unknown): Error {
    if (error instanceof OutboxUnusableError) return error;
    const { path } = this.#options;
    const reason = levelMessage(error);
    if (levelCode(error) === 'LEVEL_LOCKED') {
      return new OutboxUnusableError(`DATADIR: the outbox ${path} is in use by another process`, {
        cause: error,
      });
    }
    if (levelCode(error) === 'LEVEL_CORRUPTION' || error instanceof RangeError) {
      return new OutboxUnusableError(
        `DATADIR: the outbox ${path} is corrupt (${reason}). Announcements that wait for Kafka are in it: restore it, or move ` +
          'it away to start with an empty one and a new epoch',
        { cause: error },
      );
    }
    return new OutboxUnusableError(
      `DATADIR: the outbox ${path} cannot be opened: ${reason}; if it is damaged, restore it or move it away`,
      { cause: error },
    );
  }

  /** Gives what is in the database from `fromSeq` and `fromId` on. On a full disk the spare beside it is given up. */
  async #open(fromSeq: number, fromId: number): Promise<Reopened> {
    try {
      return await this.#openOnce(fromSeq, fromId);
    } catch (error) {
      const { path } = this.#options;
      if (!giveUpSpare(dirname(path), levelMessage(error))) throw error;
      this.#logger.warn({ path }, 'the disk is full: the space kept for opening the outbox is given up');
      return this.#openOnce(fromSeq, fromId);
    }
  }

  async #openOnce(fromSeq: number, fromId: number): Promise<Reopened> {
    const level = this.#options.openDatabase(this.#options.path);
    try {
      await level.open();
      const { path, fsync, boot } = this.#options;
      await settleFormat(level, { path, logger: this.#logger });
      this.epoch = await settleEpoch(level, { fsync, boot, logger: this.#logger });
      const position = await level.get(keys.POSITION_KEY);
      this.#nextSeq = position?.readDoubleLE(0) ?? 0;
      this.#nextId = position?.readDoubleLE(8) ?? 1;
      const { frames, repeats } = await this.#findFrames(level, fromSeq);
      const found = {
        frames,
        repeats: [...repeats, ...(await this.#repeats.open(level))],
        chunks: await findChunks(level, fromId),
      };
      // The next chunk must not take the place of one that waits.
      if (found.chunks.some(({ id }) => id >= this.#nextId)) throw new RangeError('the position is damaged');
      // Shows that the disk takes something.
      await level.batch([{ type: 'put', key: keys.POSITION_KEY, value: this.#position() }], {
        sync: fsync,
      });
      this.#level = level;
      return found;
    } catch (error) {
      await level.close().catch(() => {});
      throw error;
    }
  }

  async #findFrames(level: OutboxDatabase, fromSeq: number): Promise<Pick<Reopened, 'frames' | 'repeats'>> {
    const frames: Frame[] = [];
    // An earlier version stored them with the frames, and forgot them with these.
    const repeats: Remembered[] = [];
    this.#frameChunks = [];
    this.#framesKept = 0;
    let expected: number | undefined;
    for await (const [key, value] of level.entries(keys.FRAMES)) {
      const firstSeq = Number(key.slice(key.indexOf('/') + 1));
      const stored = decodeFrames(unseal(value), firstSeq);
      if (expected !== undefined && expected !== firstSeq) throw this.#gap(expected, firstSeq);
      expected = firstSeq + stored.frames.length;
      this.#frameChunks.push({ firstSeq, count: stored.frames.length });
      this.#framesKept += stored.frames.length;
      if (expected <= fromSeq) continue;
      for (const frame of stored.frames) if (frame.seq >= fromSeq) frames.push(frame);
      for (const repeat of stored.repeatKeys) repeats.push({ key: repeat, at: stored.storedAt });
    }
    if (expected !== undefined && expected !== this.#nextSeq) throw this.#gap(expected, this.#nextSeq);
    return { frames, repeats };
  }

  /** LevelDB skips a damaged part of its log without a word: the holes in the sequence tell. */
  #gap(expected: number, found: number): RangeError {
    return new RangeError(`frames ${expected} to ${found - 1} are missing`);
  }

  #position(): Buffer {
    const bytes = Buffer.allocUnsafe(16);
    bytes.writeDoubleLE(this.#nextSeq, 0);
    bytes.writeDoubleLE(this.#nextId, 8);
    return bytes;
  }

  /** Stores a batch. One at a time. Throws OutboxFailingError when it cannot: then nothing of it counts as stored. */
  async append(batch: OutboxBatch): Promise<Appended> {
    const { frames: unnumbered, repeatKeys, records } = batch;
    const now = wall.date();
    const before = { seq: this.#nextSeq, id: this.#nextId };
    const level = this.#usable();
    const frames = unnumbered.map((frame, index) => ({ ...frame, seq: before.seq + index }));
    const chunks: Chunk[] = [];
    const operations: Operation[] = [];
    for (const [topic, part] of records) {
      const chunk = { topic, id: this.#nextId++, records: part };
      chunks.push(chunk);
      operations.push({
        type: 'put',
        key: keys.entryKey(topic, chunk.id, part.length),
        value: seal(encodeRecords(part)),
      });
    }
    if (frames.length > 0) {
      operations.push({
        type: 'put',
        key: keys.frameKey(before.seq),
        value: seal(encodeFrames({ frames, repeatKeys: [], storedAt: now })),
      });
    }
    this.#nextSeq += frames.length;
    operations.push({ type: 'put', key: keys.POSITION_KEY, value: this.#position() });
    const expired = this.#expiredFrames(frames.length);
    for (const { firstSeq } of expired) operations.push({ type: 'del', key: keys.frameKey(firstSeq) });
    const remembered = this.#repeats.add(repeatKeys, now);
    operations.push(...remembered.operations);
    try {
      await level.batch(operations, { sync: this.#options.fsync });
    } catch (error) {
      this.#nextSeq = before.seq;
      this.#nextId = before.id;
      throw this.#fail(error, level);
    }
    remembered.done();
    this.#frameChunks.splice(0, expired.length);
    for (const { count } of expired) this.#framesKept -= count;
    if (frames.length > 0) this.#frameChunks.push({ firstSeq: before.seq, count: frames.length });
    this.#framesKept += frames.length;
    return { frames, chunks };
  }

  /** The oldest frame chunks that are not needed to keep a whole ring once `more` have come. */
  #expiredFrames(more: number): readonly { readonly firstSeq: number; readonly count: number }[] {
    let kept = this.#framesKept + more;
    let end = 0;
    for (const { count } of this.#frameChunks) {
      if (kept - count < this.#options.frameRing) break;
      kept -= count;
      end++;
    }
    return this.#frameChunks.slice(0, end);
  }

  /**
   * Chunks of `topic` after `id`, in order, until `maxBytes` are passed; at least one when there is any. One that is damaged
   * holds up nothing: it is set aside. Throws OutboxFailingError.
   */
  async read(topic: string, id: number, maxBytes: number): Promise<Chunk[]> {
    const chunks: Chunk[] = [];
    const aside: Operation[] = [];
    let bytes = 0;
    for await (const [key, value] of this.#usable().entries(keys.entriesAfter(topic, id))) {
      const { id: found, count } = keys.parseEntryKey(key);
      const records = readable(value, count);
      if (records !== undefined) {
        chunks.push({ topic, id: found, records });
      } else {
        chunks.push({ topic, id: found, records: [], damaged: count });
        aside.push({ type: 'del', key }, { type: 'put', key: keys.damagedKey(key), value });
      }
      bytes += value.length;
      if (bytes >= maxBytes) break;
    }
    if (aside.length > 0) await this.write(aside);
    return chunks;
  }

  /** Frames from `seq` on, at most about `limit`, without a gap; those at the front that are damaged are left out. */
  async readFrames(seq: number, limit: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    const first = this.#frameChunks.findLast((chunk) => chunk.firstSeq <= seq)?.firstSeq ?? seq;
    const range = { gte: keys.frameKey(first), lt: keys.FRAMES.lt };
    for await (const [key, value] of this.#usable().entries(range)) {
      const stored = readableFrames(value, Number(key.slice(key.indexOf('/') + 1)));
      for (const frame of stored ?? []) if (frame.seq >= seq) frames.push(frame);
      if (frames.length >= limit || (stored === undefined && frames.length > 0)) break;
    }
    return frames;
  }

  /** Removes chunks that Kafka has. Not at once, but kept in mind until it is done, also over a failure. */
  remove(chunks: readonly Chunk[]): void {
    for (const { topic, id, records } of chunks) {
      this.#removals.push(keys.entryKey(topic, id, records.length));
    }
    this.#remove();
  }

  #remove(): void {
    if (this.#removing !== undefined || this.#removals.length === 0) return;
    if (this.#failure !== undefined || this.#level === undefined) return;
    const level = this.#level;
    const removals = this.#removals;
    this.#removals = [];
    this.#removing = level
      .batch(
        removals.map((key) => ({ type: 'del' as const, key })),
        { sync: false },
      )
      .catch((error: unknown) => {
        this.#removals = [...removals, ...this.#removals];
        this.#fail(error, level);
      })
      .finally(() => {
        this.#removing = undefined;
        this.#remove();
      });
  }

  /** Reads a single value. */
  async get(key: string): Promise<Buffer | undefined> {
    return this.#usable().get(key);
  }

  /** All pairs in a range of keys. */
  async entries(
    range: { readonly gte: string; readonly lt: string },
    limit = -1,
  ): Promise<[string, Buffer][]> {
    const found: [string, Buffer][] = [];
    if (limit === 0) return found;
    for await (const [key, value] of this.#usable().entries(range)) {
      found.push([key, value]);
      if (found.length === limit) break;
    }
    return found;
  }

  /** A write beside the batches, all or nothing. Throws OutboxFailingError. */
  async write(operations: readonly Operation[]): Promise<void> {
    const level = this.#usable();
    try {
      await level.batch(operations, { sync: this.#options.fsync });
    } catch (error) {
      throw this.#fail(error, level);
    }
  }

  /**
   * Stores a chunk of `records` for each topic and deletes `gone` with the same write. Never while a batch is being appended.
   * Throws OutboxFailingError: then none of it counts as done.
   */
  async putBack(
    records: ReadonlyMap<string, readonly OutboxRecord[]>,
    gone: readonly string[],
  ): Promise<readonly Chunk[]> {
    const before = this.#nextId;
    const chunks = [...records].map(([topic, part]) => ({ topic, id: this.#nextId++, records: part }));
    try {
      await this.write([
        ...gone.map((key) => ({ type: 'del' as const, key })),
        ...chunks.map(({ topic, id, records: part }) => ({
          type: 'put' as const,
          key: keys.entryKey(topic, id, part.length),
          value: seal(encodeRecords(part)),
        })),
        { type: 'put', key: keys.POSITION_KEY, value: this.#position() },
      ]);
    } catch (error) {
      // As with a batch: whether it is in the database after all is found out when that opens again.
      this.#nextId = before;
      throw error;
    }
    return chunks;
  }

  #usable(): OutboxDatabase {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#level === undefined) throw new OutboxFailingError('the outbox is not open');
    return this.#level;
  }

  #fail(error: unknown, level: OutboxDatabase): Error {
    const failure = new OutboxFailingError(`the outbox cannot be written: ${levelMessage(error)}`, {
      cause: error,
    });
    if (this.#stopping.signal.aborted || this.#level !== level) return failure;
    this.#failure = failure;
    this.#logger.error(
      { err: error, path: this.#options.path },
      'the outbox cannot be written: announcements are refused until it can',
    );
    this.#recovering ??= this.#recover(level).finally(() => {
      this.#recovering = undefined;
    });
    return failure;
  }

  async #recover(failed: OutboxDatabase): Promise<void> {
    const { signal } = this.#stopping;
    this.#level = undefined;
    // Whatever was under way is over afterwards, and counted or not.
    await failed.close().catch(() => {});
    const known = { seq: this.#nextSeq, id: this.#nextId };
    for (let backoff = FIRST_BACKOFF_MS; !signal.aborted; backoff = Math.min(backoff * 2, MAX_BACKOFF_MS)) {
      try {
        await delay(backoff, undefined, { signal });
        const found = await this.#open(known.seq, known.id);
        this.#failure = undefined;
        this.#logger.info({ path: this.#options.path }, 'the outbox can be written again');
        this.onReopened(found);
        this.#remove();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = new OutboxFailingError(`the outbox cannot be written: ${levelMessage(error)}`);
        this.#logger.warn({ err: error, retryInMs: backoff }, 'the outbox still cannot be written');
      }
    }
  }

  /** Removes what is left to remove, and closes. */
  async close(): Promise<void> {
    this.#remove();
    while (this.#removing !== undefined) await this.#removing;
    this.#stopping.abort();
    await this.#recovering;
    const level = this.#level;
    this.#level = undefined;
    if (level === undefined) return;
    if (this.#failure === undefined) {
      await markWhole(level).catch((error: unknown) => {
        this.#logger.warn(
          { err: error, path: this.#options.path },
          'the outbox’s last writes may not be on the disk',
        );
      });
    }
    await level.close();
  }
}

/** The records of a chunk; undefined when they are not what was stored. */
function readable(value: Buffer, count: number): OutboxRecord[] | undefined {
  const records = unlessDamaged(() => decodeRecords(unseal(value)));
  return records?.length === count ? records : undefined;
}

const readableFrames = (value: Buffer, firstSeq: number): readonly Frame[] | undefined =>
  unlessDamaged(() => decodeFrames(unseal(value), firstSeq).frames);

async function findChunks(level: OutboxDatabase, fromId: number): Promise<StoredChunk[]> {
  const chunks: StoredChunk[] = [];
  for await (const key of level.keys(keys.ENTRIES)) {
    const chunk = keys.parseEntryKey(key);
    if (chunk.id >= fromId) chunks.push(chunk);
  }
  return chunks;
}

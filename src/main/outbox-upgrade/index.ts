/**
 * Makes a journal of the outbox that an earlier release left in `DATADIR`: at the first start, once, in an order in which a death at any moment loses
 * nothing and does nothing twice.
 *
 * 1. Everything is written into `journal.importing`, and waits for the disk. What an interrupted attempt left there goes first.
 * 2. `outbox` is renamed: to `outbox.imported`, or to `outbox.damaged.<epoch>` where some of it cannot be read, which stays. From here on
 *    `journal.importing` is whole.
 * 3. `journal.importing` is renamed to `journal`.
 * 4. `outbox.imported` is removed.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { wall } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { JournalBounds } from '../../shared/journal/bounds.js';
import { Cursor } from '../../shared/journal/cursor.js';
import { type Entry, encodeEntry } from '../../shared/journal/entry.js';
import { Journal } from '../../shared/journal/journal.js';
import type { Logger } from '../../shared/logging/logger.js';
import { block, subtree } from '../../shared/messages/index.js';
import { ANNOUNCED_TOPICS } from '../../shared/messages/topics.js';
import { bootId } from '../../shared/process/boot.js';
import { DeadLetters } from '../../shared/sinks/dead-letters.js';
import { createOutboxMetrics } from '../../shared/sinks/metrics.js';
import { LEFT } from './due.js';
import { type ReleasedHead, ReleasedOutbox, type ReleasedRecord } from './released.js';

export interface UpgradeOptions {
  /** `DATADIR`. */
  readonly directory: string;
  /** Of the journal. */
  readonly bounds: JournalBounds;
  /** What tells this run of the machine from others; asked of the system unless given. */
  readonly boot?: string;
}

/** The outbox of an earlier release cannot be taken over, and a retry would not help. */
class OutboxUnusableError extends Error {
  override readonly name = 'OutboxUnusableError';
}

/** The kinds of earlier releases by their index, which frames were stored with: their ids. */
const KIND_IDS = [6, 1, 2, 3, 4, 5, 7];
/** Older repeats are none any more. */
const REPEATS_MS = 600_000;
/** Entries of one batch of the journal, and about as many bytes. */
const BATCH_ENTRIES = 500;
const BATCH_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** Leaves a journal where an earlier release left an outbox. Throws OutboxUnusableError, naming the path. */
export async function upgradeOutbox(
  { logger }: { readonly logger: Logger },
  { directory, bounds, boot = bootId() }: UpgradeOptions,
): Promise<void> {
  const at = (name: string): string => join(directory, name);
  const [old, importing, imported] = [at(LEFT.old), at(LEFT.importing), at(LEFT.imported)];
  if (existsSync(old)) {
    rmSync(importing, { recursive: true, force: true });
    if (existsSync(at('journal'))) {
      throw new OutboxUnusableError(
        `DATADIR: an outbox of an earlier version, ${old}, is beside the journal: that version ran here after this one. ` +
          'Start it again until its outbox is empty, or move the outbox away',
      );
    }
    logger.info({ path: old }, 'upgrading the outbox');
    const startedAt = performance.now();
    const { epoch, damaged, entries, letters } = await importOutbox(logger, old, importing, {
      bounds,
      boot,
    }).catch((error: unknown) => {
      throw unusable(old, error);
    });
    const aside = damaged === 0 ? imported : at(`outbox.damaged.${epoch}`);
    renameSync(old, aside);
    syncDirectory(directory);
    const ms = Math.round(performance.now() - startedAt);
    logger.info({ path: at('journal'), entries, letters, ms }, 'the outbox is upgraded');
    if (damaged > 0) {
      logger.error(
        { path: aside, damaged },
        'some of the earlier outbox is damaged: it is kept, the rest is taken over',
      );
    }
  }
  if (existsSync(importing)) {
    renameSync(importing, at('journal'));
    syncDirectory(directory);
  }
  rmSync(imported, { recursive: true, force: true });
}

function unusable(path: string, error: unknown): Error {
  const reasons: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && reasons.length < 5; cause = cause.cause)
    reasons.push(cause.message.replace(/\s+/g, ' ').slice(0, 300));
  return new OutboxUnusableError(
    `DATADIR: the outbox ${path} cannot be taken over: ${reasons.at(-1) ?? errorMessage(error)}. Announcements that wait for Kafka are in it: ` +
      'restore it, or move it away to start with an empty journal and a new epoch',
    { cause: error },
  );
}

interface Imported {
  readonly epoch: string;
  readonly entries: number;
  readonly letters: number;
  /** Values that could not be read, or were set aside before. */
  readonly damaged: number;
}

async function importOutbox(
  logger: Logger,
  path: string,
  directory: string,
  { bounds, boot }: Pick<Required<UpgradeOptions>, 'bounds' | 'boot'>,
): Promise<Imported> {
  const outbox = new ReleasedOutbox(path);
  try {
    const head = await outbox.open();
    if (head === undefined) return { epoch: '', entries: 0, letters: 0, damaged: 0 };
    const epoch = epochOf(head, boot, logger);
    const importer = new Importer({ logger, outbox, directory }, { ...head, epoch }, bounds);
    const counts = await importer.run();
    syncTree(directory);
    return { epoch, ...counts };
  } finally {
    await outbox.close();
  }
}

/** Its own, unless the machine went down with writes that had not reached the disk. */
function epochOf({ epoch, unsynced }: ReleasedHead, boot: string, logger: Logger): string {
  if (unsynced === 'safe' || unsynced === boot) return epoch;
  const next = randomBytes(8).toString('hex');
  logger.warn(
    { epoch: next },
    'the machine went down with the outbox open, and its last writes may be lost: a new epoch begins',
  );
  return next;
}

class Importer {
  readonly #outbox: ReleasedOutbox;
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #head: ReleasedHead;
  readonly #bounds: JournalBounds;
  #journal: Journal | undefined;
  #batch: Buffer[] = [];
  #bytes = 0;
  #entries = 0;
  #damaged = 0;
  #batchId = 1;

  constructor(
    { logger, outbox, directory }: { logger: Logger; outbox: ReleasedOutbox; directory: string },
    head: ReleasedHead,
    bounds: JournalBounds,
  ) {
    this.#bounds = bounds;
    this.#logger = logger;
    this.#outbox = outbox;
    this.#directory = directory;
    this.#head = head;
  }

  /** Where the next entry will stand. */
  get #position(): number {
    return this.#entries;
  }

  async run(): Promise<Omit<Imported, 'epoch'>> {
    await this.#frames();
    for await (const repeats of this.#outbox.repeats())
      for (const { key, at } of repeats) this.#repeat(key, at);
    const topics = await this.#outbox.topics();
    for (const { name } of ANNOUNCED_TOPICS) await this.#records(name);
    for (const name of topics) {
      if (ANNOUNCED_TOPICS.some((topic) => topic.name === name)) continue;
      this.#damaged++;
      this.#logger.error({ topic: name }, 'the outbox holds records of an unknown topic');
    }
    this.#flush();
    const letters = await this.#letters();
    this.#open().close();
    if (await this.#outbox.hasDamaged()) this.#damaged++;
    return { entries: this.#entries, letters, damaged: this.#damaged };
  }

  /** Not before the first frame's number is known. */
  #open(firstSeq = this.#head.nextSeq): Journal {
    if (this.#journal === undefined) {
      const birth = { epoch: this.#head.epoch, position: 0, seq: firstSeq };
      this.#journal = new Journal(
        { logger: this.#logger },
        { ...this.#bounds, directory: this.#directory, fsync: false, birth },
      );
      this.#journal.open();
    }
    return this.#journal;
  }

  async #frames(): Promise<void> {
    const { nextSeq, notified } = this.#head;
    let expected: number | undefined;
    const repeats: { key: string; at: number }[] = [];
    for await (const { firstSeq, frames, repeats: remembered } of this.#outbox.frames()) {
      if (expected !== undefined && expected !== firstSeq) throw missing(expected, firstSeq);
      if (expected === undefined) this.#begin(firstSeq, notified);
      for (const { kind, own, receivedAt, json } of frames)
        this.#add({ kind: KIND_IDS[kind] ?? 0, own, receivedAt, frame: json });
      repeats.push(...remembered);
      expected = firstSeq + frames.length;
    }
    if (expected === undefined) this.#begin(nextSeq, notified);
    else if (expected !== nextSeq) throw missing(expected, nextSeq);
    for (const { key, at } of repeats) this.#repeat(key, at);
  }

  #begin(firstSeq: number, notified: number | undefined): void {
    this.#open(firstSeq);
    if (notified === undefined) return;
    if (notified < firstSeq)
      this.#logger.error({ frames: firstSeq - notified }, 'frames did not reach the notifications topic');
    this.#cursor('notifications', Math.min(Math.max(0, notified - firstSeq), this.#head.nextSeq - firstSeq));
  }

  #cursor(topic: string, position: number): void {
    const cursor = Cursor.open({ directory: join(this.#directory, 'cursors'), name: `kafka.${topic}` });
    cursor.reset({ epoch: this.#head.epoch, position });
    cursor.close();
  }

  #repeat(repeatKey: string, receivedAt: number): void {
    if (wall.date() - receivedAt < REPEATS_MS) this.#add({ kind: block.id, receivedAt, repeatKey });
  }

  async #records(name: string): Promise<void> {
    this.#cursor(name, this.#position);
    for await (const records of this.#outbox.records(name)) {
      if (records === undefined) this.#damaged++;
      for (const record of records ?? []) this.#add(recordEntry(name, record));
    }
  }

  async #letters(): Promise<number> {
    const letters = new DeadLetters(
      { logger: this.#logger, metrics: createOutboxMetrics(new Registry()) },
      { directory: join(this.#directory, 'dead-letters'), fsync: false },
    );
    letters.open();
    let count = 0;
    for await (const letter of this.#outbox.letters()) {
      if (letter === undefined) {
        this.#damaged++;
        continue;
      }
      const { topic, reason, at, record } = letter;
      const entry = encodeEntry({ ...EMPTY, ...recordEntry(topic, record) });
      // It was in no journal: its number among the letters tells it from others.
      letters.keep({ sink: 'kafka', topic, epoch: 'imported', position: count++, reason, at }, entry);
    }
    return count;
  }

  #add(entry: Partial<Entry>): void {
    const bytes = encodeEntry({ ...EMPTY, ...entry });
    this.#batch.push(bytes);
    this.#bytes += bytes.length;
    this.#entries++;
    if (this.#batch.length >= BATCH_ENTRIES || this.#bytes >= BATCH_BYTES) this.#flush();
  }

  #flush(): void {
    if (this.#batch.length > 0) this.#open().append({ id: this.#batchId++, entries: this.#batch });
    this.#batch = [];
    this.#bytes = 0;
  }
}

const EMPTY: Entry = {
  kind: 0,
  own: false,
  author: '',
  receivedAt: 0,
  repeatKey: '',
  frame: NOTHING,
  record: undefined,
};

function recordEntry(topic: string, { receivedAt, hash, key, value }: ReleasedRecord): Partial<Entry> {
  const id = ANNOUNCED_TOPICS.find(({ name }) => name === topic)?.id ?? 0;
  const kind = topic === 'subtrees' ? subtree.id : block.id;
  return { kind, receivedAt, record: { topic: id, hash, key, value } };
}

const missing = (expected: number, found: number): RangeError =>
  new RangeError(`frames ${expected} to ${found - 1} are missing`);

/** Waits until everything in `directory` is on the disk. */
function syncTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else syncDirectory(path);
  }
  syncDirectory(directory);
}

/** Of a file as well. */
function syncDirectory(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

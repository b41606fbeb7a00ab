/** What was accepted and who still has to get it: the journal, and the sinks that read it. */

import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Backoff, type BackoffPolicy } from '../../shared/async/backoff.js';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { JournalBounds } from '../../shared/journal/bounds.js';
import { Cursor, cursorNames } from '../../shared/journal/cursor.js';
import { decodeEntry, encodeEntry, hasFrame, type JournalledEntry } from '../../shared/journal/entry.js';
import { type Appended, Journal, type Opened } from '../../shared/journal/journal.js';
import { JournalReader } from '../../shared/journal/reader.js';
import type { Logger } from '../../shared/logging/logger.js';
import { DamagedError } from '../../shared/sinks/backlog.js';
import { DeadLetters, type ReturnedLetter } from '../../shared/sinks/dead-letters.js';
import type { SinkCursor } from '../../shared/sinks/drainer.js';
import { Drainer } from '../../shared/sinks/drainer.js';
import { isRecordOf } from '../../shared/sinks/kafka/sink.js';
import { KeptEntries } from '../../shared/sinks/kept.js';
import { type DrainerMeters, type OutboxMetrics, outboxMeters } from '../../shared/sinks/metrics.js';
import type { DeadLetter, OutboxTopic, Sink } from '../../shared/sinks/types.js';

export interface OutboxComponents {
  readonly logger: Logger;
  readonly metrics: OutboxMetrics;
  readonly outlets: readonly Outlet[];
}

export interface OutboxOptions {
  /** Directory of the journal. */
  readonly path: string;
  /** Wait for the disk with every batch (`p2p_outbox_fsync`). */
  readonly fsync: boolean;
  readonly bounds: JournalBounds;
  /** Records of each topic that may wait for a sink (`p2p_outbox_max`). */
  readonly max: number;
}

/** One sink of one topic. */
export interface Outlet {
  /** In metrics, log lines and on the command line. */
  readonly topic: string;
  /** Id of the topic whose records it takes; 0 where it takes frames. */
  readonly id: number;
  /** Where the sink is and what setting says so, for readiness. */
  readonly place: string;
  readonly sink: (epoch: string) => Sink;
  /** Where it takes frames and no records: it is owed none, so what is lost to it is counted here. */
  readonly frames?: DrainerMeters & { lost(frames: number): void };
}

/** How often cursors are moved over what is of no use to their sinks, so that a start has little to look through. */
const SETTLE_MS = 30_000;
const MEND: BackoffPolicy = { firstMs: 200, maxMs: 5_000 };
/** Below the journal's directory. */
const KEPT = 'kept';
/** Below the cursors'. */
const DOUBTS = 'doubts';
const SCAN_BYTES = 1024 * 1024;
const NOTHING = new Uint8Array(0);

export class Outbox {
  readonly journal: Journal;
  readonly #components: OutboxComponents;
  readonly #options: OutboxOptions;
  readonly #letters: DeadLetters;
  readonly #cursors: string;
  readonly #reader: JournalReader;
  readonly #readers: JournalReader[];
  readonly #open: Cursor[] = [];
  /** One an outlet, in their order. */
  #drainers: Drainer[] = [];
  /** Cursors of sinks that no setting names any more, and where they are. */
  readonly #strays = new Map<string, number>();
  readonly #names = new Set<string>();
  /** What each topic has yet to get out of segments that went. */
  readonly #kept = new Map<Drainer, KeptEntries>();
  /** Why the journal is larger than it should be. */
  #unkept: string | undefined;
  #settling: NodeJS.Timeout | undefined;
  #mending: NodeJS.Timeout | undefined;
  readonly #mends = new Backoff(MEND);

  constructor(components: OutboxComponents, options: OutboxOptions) {
    const { logger, metrics } = components;
    const { path, fsync, bounds } = options;
    this.#components = components;
    this.#options = options;
    this.#cursors = join(path, 'cursors');
    this.journal = new Journal({ logger }, { ...bounds, directory: path, fsync });
    this.#reader = new JournalReader({ directory: path });
    this.#readers = [this.#reader];
    this.#letters = new DeadLetters({ logger, metrics }, { directory: join(path, 'dead-letters'), fsync });
  }

  /** Opens the journal and takes up where each sink was. Throws JournalUnusableError. */
  async open(): Promise<Opened> {
    const opened = this.journal.open();
    try {
      await this.#takeUp();
    } catch (error) {
      this.#closeFiles();
      throw error;
    }
    return opened;
  }

  async #takeUp(): Promise<void> {
    this.#letters.open();
    this.#drainers = this.#components.outlets.map((outlet) => this.#drainer(outlet));
    this.#findStrays();
    this.#noteCursors();
    const waiting = await this.#count();
    this.#drainers.forEach((drainer, index) => {
      drainer.start(waiting[index] ?? 0);
    });
    this.journal.pins = () => this.#pinned();
    this.journal.release = (to) => this.#release(to);
    this.#settling = setInterval(() => this.#settle(), SETTLE_MS);
  }

  #closeFiles(): void {
    for (const file of [...this.#readers, ...this.#open]) file.close();
    this.journal.close();
  }

  #findStrays(): void {
    for (const name of new Set([...cursorNames(this.#cursors), ...this.journal.cursors])) {
      if (this.#names.has(name)) continue;
      const cursor = Cursor.open({ directory: this.#cursors, name });
      cursor.close();
      const { found } = cursor;
      const at = typeof found === 'string' ? undefined : this.journal.resolve(found);
      this.#strays.set(name, Math.max(at ?? this.journal.end, this.#keptFor(name, at ?? 0).end));
      this.#components.logger.warn({ cursor: name }, 'no setting names a cursor');
    }
  }

  #noteCursors(): void {
    this.journal.noteCursors([...this.#names, ...this.#strays.keys()]);
  }

  #drainer({ topic, id, place, sink: create, frames }: Outlet): Drainer {
    const { logger, metrics } = this.#components;
    const { journal } = this;
    const sink = create(journal.epoch);
    const name = `${sink.name}.${topic}`;
    const cursor = this.#cursor(name);
    // A reader of its own, which goes on where it was.
    const reader = new JournalReader({ directory: this.#options.path });
    this.#readers.push(reader);
    // Nothing of it goes while nobody knows how far the sink is.
    const keptFrom = cursor.damaged === undefined ? cursor.position : 0;
    const kept = frames === undefined ? this.#keptFor(name, keptFrom) : undefined;
    const source = {
      get end() {
        return journal.end;
      },
      read: (from: number, end: number, maxBytes: number) =>
        kept?.read(from, maxBytes) ?? reader.read(from, end, maxBytes),
    };
    if (frames !== undefined) {
      const { damaged } = cursor;
      if (damaged !== undefined)
        logger.warn(
          { topic, reason: damaged },
          'frames that came before are not for a sink: its place is lost',
        );
      return new Drainer(
        { sink, source, cursor, logger, meters: frames, refused: () => frames.lost(1) },
        { topic, place, takes: hasFrame, what: 'frames', lost: (positions) => frames.lost(positions) },
      );
    }
    const keyOf = (position: number) => ({ sink: sink.name, topic, epoch: journal.epoch, position });
    const drainer = new Drainer(
      {
        sink,
        source,
        cursor: {
          get position() {
            return cursor.position;
          },
          move: (to) => {
            cursor.move(to);
            kept?.done(to);
          },
        },
        logger,
        meters: outboxMeters(metrics, topic),
        refused: ({ position, bytes }, reason) => this.#letters.add(keyOf(position), bytes, reason),
      },
      { topic, place, takes: isRecordOf(id), halted: cursor.damaged },
    );
    if (kept !== undefined) this.#kept.set(drainer, kept);
    return drainer;
  }

  #keptFor(name: string, position: number): KeptEntries {
    const kept = new KeptEntries({ directory: join(this.#options.path, KEPT), name });
    kept.open(position);
    return kept;
  }

  /** The first position that `drainer` needs of the journal itself. */
  #neededBy(drainer: Drainer): number {
    return Math.max(drainer.position, this.#kept.get(drainer)?.end ?? 0);
  }

  /** Keeps elsewhere what topics have yet to get before `to`; false where that cannot be done. */
  #release(to: number): boolean {
    const { logger } = this.#components;
    if (this.#pinningStrays().some((position) => position < to)) return false;
    for (const [drainer, kept] of this.#kept) {
      const from = this.#neededBy(drainer);
      if (from >= to) continue;
      try {
        kept.keep(from, to, this.#recordsOf(drainer, from, to));
      } catch (error) {
        if (this.#unkept === undefined)
          logger.warn(
            { err: error, topic: drainer.topic },
            'records cannot be kept outside the journal, which grows',
          );
        this.#unkept = errorMessage(error);
        return false;
      }
      logger.info(
        { topic: drainer.topic, from, to },
        'the journal is too large: what a topic has yet to get is kept beside it',
      );
    }
    this.#unkept = undefined;
    return true;
  }

  *#recordsOf(drainer: Drainer, from: number, to: number): Generator<JournalledEntry> {
    for (let at = from; at < to; ) {
      const { entries, next, gap } = this.#reader.read(at, to, SCAN_BYTES);
      // Whose loss is not yet accepted stays where it is.
      if (gap !== undefined) throw new DamagedError(gap);
      for (const entry of entries) if (drainer.takes(entry.bytes)) yield entry;
      at = next;
    }
  }

  /** The place of a sink. A new one begins at now, and that is written down at once: what comes is owed from now on. */
  #cursor(name: string): SinkCursor & { readonly damaged: string | undefined } {
    const { journal } = this;
    this.#names.add(name);
    const cursor = Cursor.open({ directory: this.#cursors, name });
    this.#open.push(cursor);
    const { found } = cursor;
    let position = typeof found === 'string' ? undefined : journal.resolve(found);
    const isNew = found === 'new' && !journal.cursors.includes(name);
    let damaged: string | undefined;
    // Nobody knows where a damaged one was: it stays as it is until somebody has decided, and what came before is not sent.
    let since: Cursor | undefined;
    if (position === undefined && !isNew) {
      const faults = { damaged: 'its cursor is damaged', new: 'its cursor is missing' };
      damaged = typeof found === 'string' ? faults[found] : 'its cursor is of another journal';
      since = this.#doubt(name);
      position = since.at?.position;
    } else {
      rmSync(join(this.#cursors, DOUBTS, `${name}.cursor`), { force: true });
    }
    if (isNew) {
      cursor.reset({ epoch: journal.epoch, position: journal.end });
      if (journal.end > journal.oldest.position)
        this.#components.logger.warn(
          { cursor: name },
          'a sink has no place in the journal yet: what came before is not for it',
        );
    }
    position ??= journal.end;
    return {
      damaged,
      get position() {
        return position as number;
      },
      move: (to) => {
        const moved = { epoch: journal.epoch, position: to };
        if (since === undefined) cursor.move(moved);
        else {
          cursor.reset(moved);
          since.remove();
          since = undefined;
        }
        position = to;
      },
    };
  }

  /** Where the journal ended when the cursor `name` was first found damaged or missing: what came since is owed, however often there is a start before somebody decides. */
  #doubt(name: string): Cursor {
    const { journal } = this;
    const since = Cursor.open({ directory: join(this.#cursors, DOUBTS), name });
    this.#open.push(since);
    const at = typeof since.found === 'string' ? undefined : journal.resolve(since.found);
    since.reset({ epoch: journal.epoch, position: at ?? journal.end });
    return since;
  }

  /** What each drainer has before it, in one pass. */
  async #count(): Promise<number[]> {
    const counts = this.#drainers.map((drainer) => this.#kept.get(drainer)?.count(drainer.position) ?? 0);
    const needed = this.#drainers.map((drainer) => this.#neededBy(drainer));
    const { end } = this.journal;
    let from = Math.min(end, ...needed);
    while (from < end) {
      const { entries, next } = this.#reader.read(from, end, SCAN_BYTES);
      for (const { position, bytes } of entries) {
        this.#drainers.forEach((drainer, index) => {
          if (position >= (needed[index] ?? 0) && drainer.takes(bytes))
            counts[index] = (counts[index] ?? 0) + 1;
        });
      }
      from = next;
      await nextTurn();
    }
    // A segment that is held open is not gone when it is deleted.
    this.#reader.close();
    return counts;
  }

  /** Stores a batch, all of it or nothing, and hands it on. Throws JournalFailingError. */
  append(id: number, entries: readonly Uint8Array[]): readonly JournalledEntry[] {
    const { firstPosition, firstSeq, alreadyStored } = this.#stored(id, entries);
    // Then who reads the journal has it.
    if (alreadyStored) return [];
    let seq = firstSeq;
    return entries.map((bytes, index) => {
      const placed = { position: firstPosition + index, seq, bytes };
      if (hasFrame(bytes)) seq++;
      for (const drainer of this.#drainers) if (drainer.takes(bytes)) drainer.add(placed);
      return placed;
    });
  }

  #stored(id: number, entries: readonly Uint8Array[]): Appended {
    try {
      return this.journal.append({ id, entries });
    } catch (error) {
      this.#mending ??= setTimeout(() => this.#mend(), this.#mends.next());
      throw error;
    }
  }

  /** Looks whether the journal can be written again, ever more rarely: peers may have nothing to try it with. */
  #mend(): void {
    this.#mending = undefined;
    this.journal.mend();
    if (this.journal.failure === undefined) this.#mends.reset();
    else this.#mending = setTimeout(() => this.#mend(), this.#mends.next());
  }

  /** The entries of the batch `id` that an earlier publisher stored; undefined where it did not. */
  stored(id: number): readonly Uint8Array[] | undefined {
    const found = this.journal.find(id);
    if (found === undefined) return undefined;
    const entries: Uint8Array[] = [];
    const end = found.firstPosition + found.count;
    for (let from = found.firstPosition; from < end; ) {
      const read = this.#reader.read(from, end, SCAN_BYTES);
      entries.push(...read.entries.map(({ bytes }) => bytes));
      from = read.next;
    }
    return entries;
  }

  /** The newest frame that is `wanted`, among the newest `count` of them. */
  newest(count: number, wanted: (entry: Uint8Array) => boolean): Uint8Array | undefined {
    const { end, nextSeq } = this.journal;
    let found: Uint8Array | undefined;
    for (let from = this.#reader.seekSeq(nextSeq - count, end); from < end; ) {
      const { entries, next } = this.#reader.read(from, end, SCAN_BYTES);
      const newest = entries.findLast(({ bytes }) => hasFrame(bytes) && wanted(bytes));
      // A copy: frames may be as large as a network allows, and what is read with them is not to be held.
      if (newest !== undefined) found = Uint8Array.from(newest.bytes);
      from = next;
    }
    this.#reader.close();
    return found;
  }

  /** Records that wait, in all. */
  get depth(): number {
    return this.#recordDrainers().reduce((sum, { waiting }) => sum + waiting, 0);
  }

  #recordDrainers(): Drainer[] {
    return this.#drainers.filter((_, index) => this.#components.outlets[index]?.frames === undefined);
  }

  /** Records that are still taken for `topic`: each has a bound of its own, so that one at fault fills up alone. */
  capacity(topic: string): number {
    const behind = this.#recordDrainers().filter((drainer) => drainer.topic === topic);
    if (behind.length === 0) return 0;
    return this.#options.max - Math.max(...behind.map(({ waiting }) => waiting));
  }

  /** Moves every cursor as far as it may go. */
  #settle(): void {
    for (const drainer of this.#drainers) drainer.settle();
  }

  /** Nothing before this may go: the first record that a sink has yet to get. Frames are owed to nobody. */
  #pinned(): number {
    this.#settle();
    const needed = this.#recordDrainers().map((drainer) => this.#neededBy(drainer));
    return Math.min(this.journal.end, ...needed, ...this.#pinningStrays());
  }

  #pinningStrays(): number[] {
    return [...this.#strays].filter(([name]) => !name.endsWith('.notifications')).map(([, at]) => at);
  }

  status(): readonly OutboxTopic[] {
    return this.#recordDrainers().map((drainer) => drainer.status());
  }

  /** `kept`: the part of a topic's room that is not for strangers. */
  health(kept: number): DependencyHealth {
    const resource = 'outbox';
    const { max } = this.#options;
    const topics = [...new Map(this.#recordDrainers().map((drainer) => [drainer.topic, drainer])).keys()];
    const depths = topics.map((topic) => `${max - this.capacity(topic)} ${topic}`).join(', ');
    const strays = [...this.#strays.keys()].map(
      (name) => `; no setting names ${name}: \`teranode-p2p outbox forget ${name}\``,
    );
    const { failure, pressure } = this.journal;
    const shortened =
      pressure === undefined
        ? ''
        : `; a full disk cut the journal’s history at ${new Date(pressure).toISOString()}`;
    const grows =
      this.#unkept === undefined
        ? ''
        : `; the journal grows, for what a topic has yet to get cannot be kept beside it: ${this.#unkept}`;
    const message = `${depths} wait for Kafka, at most ${max} each${shortened}${grows}${strays.join('')}`;
    if (failure !== undefined) return { resource, status: 503, error: failure.message, message };
    const full = topics.filter((topic) => this.capacity(topic) <= 0);
    if (full.length > 0) {
      const error = `full: p2p_outbox_max is reached by ${full.join(' and ')}`;
      return { resource, status: 503, error, message };
    }
    const nearly = topics.filter((topic) => this.capacity(topic) <= kept);
    if (nearly.length > 0) {
      const error = `full for strangers: the last tenth of p2p_outbox_max is left for ${nearly.join(' and ')}`;
      return { resource, status: 503, error, message };
    }
    return { resource, status: 200, message };
  }

  /** What each sink says of itself. */
  sinkHealth(signal: AbortSignal): Promise<DependencyHealth[]> {
    return Promise.all(this.#drainers.map((drainer) => drainer.health(signal)));
  }

  /** Brings the gauges up to date before a scrape. */
  observe(): void {
    const { journalBytes, keptBytes } = this.#components.metrics;
    for (const drainer of this.#drainers) drainer.observe();
    journalBytes.set(this.journal.bytes);
    for (const [{ topic }, { bytes }] of this.#kept) keptBytes.set({ topic }, bytes);
  }

  deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return this.#letters.list(limit);
  }

  /** Gives the number put back. */
  replayDeadLetters(): Promise<number> {
    return this.#letters.replay(
      (topic) => this.capacity(topic),
      (letters) => this.append(idOf(letters), letters.map(recordAlone)),
    );
  }

  /** Throws UnavailableError where `topic` has nothing to accept. */
  acceptLoss(topic: string): void {
    const accepted = this.#drainers.filter((drainer) => drainer.topic === topic && drainer.acceptLoss());
    if (accepted.length === 0) throw new UnavailableError(`${topic} does not wait for that`);
  }

  /** Drops a cursor that no setting names. Throws UnavailableError where there is none such. */
  forget(name: string): void {
    if (!this.#strays.has(name)) throw new UnavailableError(`there is no cursor ${name} without a setting`);
    this.#strays.delete(name);
    // First: else it would be missed where its setting comes back.
    this.#noteCursors();
    Cursor.open({ directory: this.#cursors, name }).remove();
    this.#keptFor(name, Number.POSITIVE_INFINITY);
    this.#components.logger.warn({ cursor: name }, 'a cursor is forgotten');
  }

  /** Gives the sinks until `deadline` (monotonic), then closes everything. */
  async close(deadline: number): Promise<void> {
    clearInterval(this.#settling);
    clearTimeout(this.#mending);
    await Promise.all(this.#drainers.map((drainer) => drainer.stop(deadline)));
    this.#closeFiles();
  }
}

/** A letter put back is a record and nothing else: no frame of the feed, and no repeat. */
function recordAlone({ entry }: ReturnedLetter): Buffer {
  return encodeEntry({ ...decodeEntry(entry), frame: NOTHING, repeatKey: '' });
}

/** The same for the same letters: put back again, after a death in the midst of it, they are in the journal once. */
function idOf(letters: readonly ReturnedLetter[]): number {
  const digest = createHash('sha256');
  for (const { sink, topic, epoch, position } of letters)
    digest.update(`${sink} ${topic} ${epoch} ${position}\n`);
  return digest.digest().readUIntBE(0, 6);
}

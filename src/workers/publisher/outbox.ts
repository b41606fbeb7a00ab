/** What was accepted and who still has to get it: the journal, and the sinks that read it. */

import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Backoff, type BackoffPolicy } from '../../shared/async/backoff.js';
import { UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { JournalBounds } from '../../shared/journal/bounds.js';
import { hasFrame, type JournalledEntry } from '../../shared/journal/entry.js';
import { type Appended, Journal, type Opened } from '../../shared/journal/journal.js';
import { JournalReader } from '../../shared/journal/reader.js';
import type { Logger } from '../../shared/logging/logger.js';
import { DeadLetters } from '../../shared/sinks/dead-letters.js';
import { Drainer } from '../../shared/sinks/drainer.js';
import { isRecordOf } from '../../shared/sinks/kafka/sink.js';
import { type OutboxMetrics, outboxMeters } from '../../shared/sinks/metrics.js';
import type { DeadLetter, OutboxTopic } from '../../shared/sinks/types.js';
import { KeptRecords } from './kept-records.js';
import { outboxHealth } from './outbox-health.js';
import type { Outlet } from './outlets.js';
import { idOf, recordAlone } from './returned-letters.js';
import { SinkCursors } from './sink-cursors.js';

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

/** How often cursors are moved over what is of no use to their sinks, so that a start has little to look through. */
const SETTLE_MS = 30_000;
const MEND: BackoffPolicy = { firstMs: 200, maxMs: 5_000 };
const SCAN_BYTES = 1024 * 1024;

export class Outbox {
  readonly journal: Journal;
  readonly #components: OutboxComponents;
  readonly #options: OutboxOptions;
  readonly #letters: DeadLetters;
  readonly #cursors: SinkCursors;
  readonly #kept: KeptRecords;
  readonly #reader: JournalReader;
  readonly #readers: JournalReader[];
  /** One an outlet, in their order. */
  #drainers: Drainer[] = [];
  #settling: NodeJS.Timeout | undefined;
  #mending: NodeJS.Timeout | undefined;
  readonly #mends = new Backoff(MEND);

  constructor(components: OutboxComponents, options: OutboxOptions) {
    const { logger, metrics } = components;
    const { path, fsync, bounds } = options;
    this.#components = components;
    this.#options = options;
    this.journal = new Journal({ logger }, { ...bounds, directory: path, fsync });
    this.#reader = new JournalReader({ directory: path });
    this.#readers = [this.#reader];
    this.#cursors = new SinkCursors({ journal: this.journal, logger }, join(path, 'cursors'));
    this.#kept = new KeptRecords({ reader: this.#reader, logger }, join(path, 'kept'));
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
    this.#cursors.findStrays((name, position) => this.#kept.open(name, position).end);
    const waiting = await this.#count();
    this.#drainers.forEach((drainer, index) => {
      drainer.start(waiting[index] ?? 0);
    });
    this.journal.pins = () => this.#pinned();
    this.journal.release = (to) => this.#release(to);
    this.#settling = setInterval(() => this.#settle(), SETTLE_MS);
  }

  #closeFiles(): void {
    for (const reader of this.#readers) reader.close();
    this.#cursors.close();
    this.journal.close();
  }

  #drainer({ topic, id, place, sink: create, frames }: Outlet): Drainer {
    const { logger, metrics } = this.#components;
    const { journal } = this;
    const sink = create(journal);
    const name = `${sink.name}.${topic}`;
    const cursor = this.#cursors.open(name);
    // A reader of its own, which goes on where it was.
    const reader = new JournalReader({ directory: this.#options.path });
    this.#readers.push(reader);
    // Nothing of it goes while nobody knows how far the sink is.
    const keptFrom = cursor.damaged === undefined ? cursor.position : 0;
    const kept = frames === undefined ? this.#kept.open(name, keptFrom) : undefined;
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
    if (kept !== undefined) this.#kept.add(drainer, kept);
    return drainer;
  }

  /** Keeps elsewhere what topics have yet to get before `to`; false where that cannot be done. */
  #release(to: number): boolean {
    return this.#cursors.strayPositions.every((position) => position >= to) && this.#kept.release(to);
  }

  /** What each drainer has before it, in one pass. */
  async #count(): Promise<number[]> {
    const counts = this.#drainers.map((drainer) => this.#kept.count(drainer));
    const needed = this.#drainers.map((drainer) => this.#kept.neededBy(drainer));
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
    const needed = this.#recordDrainers().map((drainer) => this.#kept.neededBy(drainer));
    return Math.min(this.journal.end, ...needed, ...this.#cursors.strayPositions);
  }

  status(): readonly OutboxTopic[] {
    return this.#recordDrainers().map((drainer) => drainer.status());
  }

  /** `kept`: the part of a topic's capacity that is not for strangers. */
  health(kept: number): DependencyHealth {
    const { max } = this.#options;
    const topics = new Set(this.#recordDrainers().map(({ topic }) => topic));
    const capacities = new Map([...topics].map((topic) => [topic, this.capacity(topic)]));
    const { fault: unkept } = this.#kept;
    const { strays } = this.#cursors;
    return outboxHealth({ capacities, max, kept, journal: this.journal, unkept, strays });
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
    for (const { topic, bytes } of this.#kept.bytes) keptBytes.set({ topic }, bytes);
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
    this.#cursors.forget(name);
    this.#kept.open(name, Number.POSITIVE_INFINITY);
  }

  /** Gives the sinks until `deadline` (monotonic), then closes everything. */
  async close(deadline: number): Promise<void> {
    clearInterval(this.#settling);
    clearTimeout(this.#mending);
    await Promise.all(this.#drainers.map((drainer) => drainer.stop(deadline)));
    this.#closeFiles();
  }
}

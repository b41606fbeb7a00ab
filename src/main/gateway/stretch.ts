/**
 * A stretch: the journal of one topic, in a directory of its own. A topic that was deleted and made again gives its offsets anew, so it begins another stretch,
 * and nothing of one is ever among the other's. Its times are those of the records.
 */

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { monotonic, wall } from '../../shared/clock.js';
import { isOwnStatus } from '../../shared/feed/stream.js';
import { type RecordPlace, recordPlaceOf } from '../../shared/firehose/gateway-entry.js';
import { type JournalBounds, journalBounds } from '../../shared/journal/bounds.js';
import { decodeEntry, type JournalledEntry, receivedAtOf } from '../../shared/journal/entry.js';
import { Journal } from '../../shared/journal/journal.js';
import { JournalReader } from '../../shared/journal/reader.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ShownRecord } from './intake.js';

/** Of one batch, ms and bytes: its time is that of its newest record. */
const BATCH_MS = 1000;
const BATCH_BYTES = 1_048_576;
/** So far the clocks of nodes and brokers may be ahead of this machine's, ms. */
const CLOCKS_MS = 60_000;
/** Newest entries among which the status that greets clients is looked for, and the last record that was shown, before others are. */
const NEWEST_ENTRIES = 10_000;
const READ_BYTES = 1_048_576;
const NAME = /^gateway-(\d{1,15})$/;

export interface StretchOptions {
  /** `DATADIR`. */
  readonly path: string;
  readonly settings: Pick<Settings, 'p2p_feed_retention' | 'p2p_feed_retention_bytes' | 'p2p_gateway_node'>;
}

/** Numbers of the stretches in `path`, ascending. */
function numbersIn(path: string): number[] {
  return readdirSync(path)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

export class Stretch {
  readonly directory: string;
  readonly journal: Journal;
  readonly #options: StretchOptions;
  readonly #number: number;
  /** The time of the newest record, unix ms; that of the journal. */
  #time: number;
  #last: RecordPlace | undefined;

  private constructor(logger: Logger, options: StretchOptions, number: number) {
    const { settings } = options;
    this.#options = options;
    this.#number = number;
    this.directory = join(options.path, `gateway-${number}`);
    // Of a journal that is new: no record that it takes is older.
    this.#time = wall.date() - settings.p2p_feed_retention;
    const bounds: JournalBounds = { ...journalBounds(settings), repeats: { windowMs: 0, max: 0 } };
    this.journal = new Journal(
      { logger },
      {
        ...bounds,
        directory: this.directory,
        // The topic has what a power loss takes.
        fsync: false,
        clocks: { wall: () => this.#time, monotonic },
      },
    );
  }

  /** The newest stretch in `DATADIR`, or the first. Throws JournalUnusableError. */
  static open(logger: Logger, options: StretchOptions): Stretch {
    const numbers = numbersIn(options.path);
    const stretch = new Stretch(logger, options, numbers.pop() ?? 1);
    stretch.#open();
    for (const old of numbers) remove(options.path, old);
    return stretch;
  }

  /** Another stretch after this one, which is closed. */
  next(logger: Logger): Stretch {
    const next = new Stretch(logger, this.#options, this.#number + 1);
    next.#open();
    this.journal.close();
    return next;
  }

  /** Deletes it. It must have been closed. */
  remove(): void {
    remove(this.#options.path, this.#number);
  }

  /** The last record that was shown; undefined where none was. */
  get last(): RecordPlace | undefined {
    return this.#last;
  }

  #open(): void {
    this.journal.open();
    // Those that cannot be read are shown again, behind one that can.
    for (
      let end = this.journal.end;
      this.#last === undefined && end > this.journal.oldest.position;
      end -= NEWEST_ENTRIES
    )
      for (const { bytes } of this.#newest(end)) this.#last = recordPlaceOf(bytes) ?? this.#last;
  }

  /** The status with which clients are greeted until the next comes. */
  greeting(): Uint8Array | undefined {
    const { p2p_gateway_node: node } = this.#options.settings;
    let found: Uint8Array | undefined;
    for (const { bytes } of this.#newest()) {
      if (isOwnStatus(bytes) && (node === '' || decodeEntry(bytes).author === node)) found = bytes;
    }
    return found;
  }

  /** Stores records, in order, and gives their entries where they stand. Throws JournalFailingError: then `last` says how far it came. */
  append(records: readonly ShownRecord[], stored: (entries: readonly JournalledEntry[]) => void): void {
    for (let from = 0; from < records.length; ) {
      const to = batchEnd(records, from);
      const batch = records.slice(from, to);
      const last = batch.at(-1) as ShownRecord;
      const entries = batch.map(({ entry }) => entry);
      // Who begins by time must find there what was received then, so none of it is later than its batch.
      const newest = Math.max(...batch.map(({ at, entry }) => Math.max(at, receivedAtOf(entry))));
      // A record that says it is of tomorrow must not make what follows it of tomorrow.
      this.#time = Math.max(this.#time, Math.min(newest, wall.date() + CLOCKS_MS));
      const { firstPosition, firstSeq } = this.journal.append({ id: batch[0]?.offset ?? 0, entries });
      this.#last = last;
      stored(
        entries.map((bytes, index) => ({ position: firstPosition + index, seq: firstSeq + index, bytes })),
      );
      from = to;
    }
  }

  /** `records` of the topic will never be read: whoever reads on past them is told of a gap. */
  skip(records: number): void {
    this.journal.skip(records);
  }

  close(): void {
    this.journal.close();
  }

  /** The newest of those before `end`. */
  *#newest(end = this.journal.end): Generator<JournalledEntry> {
    const { oldest } = this.journal;
    const reader = new JournalReader({ directory: this.directory });
    try {
      let at = Math.max(oldest.position, end - NEWEST_ENTRIES);
      while (at < end) {
        const { entries, next } = reader.read(at, end, READ_BYTES);
        yield* entries;
        at = next;
      }
    } finally {
      reader.close();
    }
  }
}

function remove(path: string, number: number): void {
  rmSync(join(path, `gateway-${number}`), { recursive: true, force: true });
}

/** Behind the last record that goes into one batch with that at `from`. */
function batchEnd(records: readonly ShownRecord[], from: number): number {
  const first = records[from] as ShownRecord;
  let bytes = 0;
  let to = from;
  for (let record = records[to]; record !== undefined; record = records[++to]) {
    bytes += record.entry.length;
    if (to > from && (bytes > BATCH_BYTES || Math.abs(record.at - first.at) > BATCH_MS)) break;
  }
  return to;
}

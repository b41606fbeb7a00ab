/** What one sink has before it: the live tail in memory, what does not fit there in the journal alone. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonic, wall } from '../clock.js';
import { type JournalledEntry, receivedAtOf } from '../journal/entry.js';

export interface BacklogBound {
  /** Entries and bytes held in memory, the newest beyond it. */
  readonly entries: number;
  readonly bytes: number;
}

/** The journal as a sink's backlog reads it. */
export interface EntrySource {
  /** Position behind the last entry. */
  readonly end: number;
  /** Entries from `from` on, or from behind `gap` where they begin with one; `next` is where to go on. */
  read(
    from: number,
    end: number,
    maxBytes: number,
  ): { readonly entries: readonly JournalledEntry[]; readonly next: number; readonly gap?: Gap | undefined };
}

/** Positions that cannot be read, or are there no more: from `from` on, below `to`. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** What comes next cannot be read back. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';

  constructor(readonly gap: Gap) {
    super(`entries ${gap.from} to ${gap.to - 1} of the journal cannot be read`);
  }
}

interface Waiting extends JournalledEntry {
  /** When (monotonic) it was received. */
  readonly since: number;
}

const MEMORY: BacklogBound = { entries: 20_000, bytes: 8 * 1024 * 1024 };
/** Read at once: more would hold up the messages that come meanwhile. */
const READ_BYTES = 1024 * 1024;

/**
 * Entries come in at the back in the order of their positions. When memory is full, they are only counted, and read back from the
 * journal when memory is half empty, until its end is reached. Nobody appends in the midst of a read, so none is taken
 * twice or missed.
 */
export class Backlog {
  /** Entries not yet taken and done, in memory or not. */
  waiting = 0;
  readonly #source: EntrySource;
  readonly #takes: (entry: Uint8Array) => boolean;
  readonly #bound: BacklogBound;
  #queue: Waiting[] = [];
  #bytes = 0;
  /** From here on the journal has what memory has not; undefined when memory has all. */
  #unread: number | undefined;
  #gap: Gap | undefined;

  /** `takes` says of an entry whether it is one of these. */
  constructor(source: EntrySource, takes: (entry: Uint8Array) => boolean, bound: BacklogBound = MEMORY) {
    this.#source = source;
    this.#takes = takes;
    this.#bound = bound;
  }

  /** An earlier run left `waiting` entries from `position` on. Before anything else. */
  begin(position: number, waiting: number): void {
    this.waiting = waiting;
    if (position < this.#source.end) this.#unread = position;
  }

  /** Unix ms of the oldest in memory; 0 when there is none. */
  get oldest(): number {
    const [first] = this.#queue;
    return first === undefined ? 0 : receivedAtOf(first.bytes);
  }

  /** Ms since the oldest in memory was received, whatever became of the clock; 0 when there is none. */
  get ageMs(): number {
    const [first] = this.#queue;
    return first === undefined ? 0 : monotonic() - first.since;
  }

  get empty(): boolean {
    return this.waiting === 0 && this.#unread === undefined;
  }

  /** One that was just appended. */
  add(entry: JournalledEntry): void {
    this.waiting++;
    if (this.#unread !== undefined) return;
    if (this.#queue.length >= this.#bound.entries || this.#bytes >= this.#bound.bytes) {
      this.#unread = entry.position;
    } else {
      this.#hold(entry);
    }
  }

  #hold({ position, seq, bytes }: JournalledEntry): void {
    const since = monotonic() - Math.max(0, wall.told() - receivedAtOf(bytes));
    // A copy: it may be a small part of what it was read with.
    this.#queue.push({ position, seq, bytes: Buffer.from(bytes), since });
    this.#bytes += bytes.length;
  }

  /** Up to the bounds from the front, at least one; empty when nothing waits. `bytesOf`: what an entry counts. Throws DamagedError. */
  async take(
    maxEntries: number,
    maxBytes: number,
    bytesOf: (entry: Uint8Array) => number,
  ): Promise<readonly JournalledEntry[]> {
    await this.readAhead();
    let bytes = 0;
    let count = 0;
    for (const entry of this.#queue) {
      bytes += bytesOf(entry.bytes);
      if (count > 0 && (count >= maxEntries || bytes > maxBytes)) break;
      count++;
    }
    if (count === 0 && this.#gap !== undefined) throw new DamagedError(this.#gap);
    return this.#queue.slice(0, count);
  }

  /** Reads on in the journal until memory is half full. Throws what reading throws. */
  async readAhead(): Promise<void> {
    const { entries, bytes } = this.#bound;
    while (this.#unread !== undefined && this.#gap === undefined) {
      if (this.#queue.length >= entries / 2 || this.#bytes >= bytes / 2) return;
      this.#read(this.#unread);
      if (this.#unread !== undefined) await nextTurn();
    }
  }

  #read(from: number): void {
    const { end } = this.#source;
    const { entries, next, gap } = this.#source.read(from, end, READ_BYTES);
    this.#gap = gap;
    if (gap !== undefined) return;
    for (const entry of entries) if (this.#takes(entry.bytes)) this.#hold(entry);
    if (next < end) {
      this.#unread = next;
    } else {
      this.#unread = undefined;
      // All that waits is in memory now.
      this.waiting = this.#queue.length;
    }
  }

  /** Gives up what cannot be read. */
  pass(): void {
    if (this.#gap === undefined) return;
    this.#unread = this.#gap.to;
    this.#gap = undefined;
  }

  /** The first `count` are done. Gives the position behind them. */
  complete(count: number): number {
    const done = this.#queue.splice(0, count);
    for (const { bytes } of done) this.#bytes -= bytes.length;
    this.waiting -= count;
    return (done.at(-1)?.position ?? -1) + 1;
  }
}

/** What topics have yet to get out of segments of the journal that went because it had grown too large. */

import { errorMessage } from '../../shared/errors.js';
import type { JournalledEntry } from '../../shared/journal/entry.js';
import type { JournalReader } from '../../shared/journal/reader.js';
import type { Logger } from '../../shared/logging/logger.js';
import { DamagedError } from '../../shared/sinks/backlog.js';
import type { Drainer } from '../../shared/sinks/drainer.js';
import { KeptEntries } from '../../shared/sinks/kept.js';

const SCAN_BYTES = 1024 * 1024;

export class KeptRecords {
  readonly #reader: JournalReader;
  readonly #logger: Logger;
  readonly #directory: string;
  readonly #of = new Map<Drainer, KeptEntries>();
  #fault: string | undefined;

  /** `reader`: of the journal. */
  constructor(
    { reader, logger }: { readonly reader: JournalReader; readonly logger: Logger },
    directory: string,
  ) {
    this.#reader = reader;
    this.#logger = logger;
    this.#directory = directory;
  }

  /** What an earlier run kept for the cursor `name`, from `position` on. */
  open(name: string, position: number): KeptEntries {
    const kept = new KeptEntries({ directory: this.#directory, name });
    kept.open(position);
    return kept;
  }

  /** Whose `kept` is. */
  add(drainer: Drainer, kept: KeptEntries): void {
    this.#of.set(drainer, kept);
  }

  /** Why the journal is larger than it should be; undefined while nothing hinders. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Bytes kept for each topic. */
  get bytes(): readonly { readonly topic: string; readonly bytes: number }[] {
    return [...this.#of].map(([{ topic }, { bytes }]) => ({ topic, bytes }));
  }

  /** How many records are kept for `drainer`. */
  count(drainer: Drainer): number {
    return this.#of.get(drainer)?.count(drainer.position) ?? 0;
  }

  /** The first position that `drainer` needs of the journal itself. */
  neededBy(drainer: Drainer): number {
    return Math.max(drainer.position, this.#of.get(drainer)?.end ?? 0);
  }

  /** Keeps what topics have yet to get before `to`; false where that cannot be done. */
  release(to: number): boolean {
    for (const [drainer, kept] of this.#of) {
      const from = this.neededBy(drainer);
      if (from >= to) continue;
      const { topic } = drainer;
      try {
        kept.keep(from, to, this.#recordsOf(drainer, from, to));
      } catch (error) {
        if (this.#fault === undefined)
          this.#logger.warn({ err: error, topic }, 'records cannot be kept outside the journal, which grows');
        this.#fault = errorMessage(error);
        return false;
      }
      this.#logger.info(
        { topic, from, to },
        'the journal is too large: what a topic has yet to get is kept beside it',
      );
    }
    this.#fault = undefined;
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
}

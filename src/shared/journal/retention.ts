/** What of a journal is kept, how long, and for whom: whole segments go, the oldest first, and none that somebody needs. */

import type { Logger } from '../logging/logger.js';
import { isMissing } from './errors.js';
import type { FileCalls } from './files.js';
import type { Position } from './layout.js';
import type { JournalOptions } from './options.js';
import type { Segments } from './segments.js';
import { type Clocks, SteadyAge } from './steady-age.js';

const EVERY_MS = 60_000;

export interface RetentionComponents {
  readonly logger: Logger;
  readonly files: FileCalls;
  readonly clocks: Clocks;
  readonly segments: Segments;
  /** The lowest position that somebody still needs. */
  readonly pins: () => Position;
  /** Asks whoever needs entries before `to` to keep them elsewhere; true when nobody needs them here any more. */
  readonly release: (to: Position) => boolean;
}

export class Retention {
  readonly #components: RetentionComponents;
  readonly #options: Pick<JournalOptions, 'retentionMs' | 'retentionBytes' | 'repeats'>;
  #age: SteadyAge;
  /** When (monotonic) it ran last. */
  #ranAt = 0;
  #pressure: number | undefined;
  /** A full disk shortened the history since the present segment was begun. */
  #shortened = false;

  constructor(
    components: RetentionComponents,
    options: Pick<JournalOptions, 'retentionMs' | 'retentionBytes' | 'repeats'>,
  ) {
    this.#components = components;
    this.#options = options;
    this.#age = new SteadyAge(components.clocks, 0);
  }

  /** When (unix ms) a full disk last shortened the history; undefined once the disk has taken a whole segment since. */
  get pressure(): number | undefined {
    return this.#pressure;
  }

  /** The newest entry there is at the start is of `time` (unix ms). */
  start(time: number): void {
    this.#age = new SteadyAge(this.#components.clocks, time);
  }

  /** A segment was begun: the disk took the one before. */
  segmentBegun(): void {
    if (!this.#shortened) this.#pressure = undefined;
    this.#shortened = false;
  }

  /** Runs where that is a minute ago. `now`: monotonic. */
  runIfDue(now: number): void {
    if (now - this.#ranAt >= EVERY_MS) this.run();
  }

  /** Lets the oldest segments go that are too old or too much. */
  run(): void {
    try {
      this.#run();
    } catch (error) {
      this.#components.logger.warn({ err: error }, 'old segments of the journal could not be looked at');
    }
  }

  #run(): void {
    const { clocks, segments } = this.#components;
    const { retentionMs, retentionBytes } = this.#options;
    this.#ranAt = clocks.monotonic();
    const before = this.#age.now() - retentionMs;
    let { bytes } = segments;
    while (segments.list.length > 1) {
      const isTooMuch = bytes > retentionBytes;
      if (!isTooMuch && this.#endTime() >= before) return;
      bytes -= segments.list[0]?.bytes ?? 0;
      if (!this.#dropOldest(isTooMuch)) return;
    }
  }

  /** No entry of the oldest segment is of a later time. */
  #endTime(): number {
    const next = this.#components.segments.list.slice(1).find(({ head }) => head !== undefined);
    return next?.head?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Deletes the oldest segment, unless somebody needs it. `isTooMuch`: who does is asked to keep it elsewhere. */
  #dropOldest(isTooMuch: boolean): boolean {
    const { logger, files, clocks, segments, pins, release } = this.#components;
    const { repeats } = this.#options;
    const { directory } = segments;
    const [oldest, next] = segments.list;
    if (oldest === undefined || next === undefined) return false;
    if (oldest.repeats > 0 && oldest.neededUntil > clocks.monotonic()) {
      const newer = segments.list.reduce((sum, segment) => sum + segment.repeats, -oldest.repeats);
      if (newer < repeats.max) return false;
    }
    if (pins() < next.first && !(isTooMuch && release(next.first))) return false;
    try {
      files.remove(segments.pathOf(oldest.first));
    } catch (error) {
      if (!isMissing(error)) {
        logger.warn({ err: error, directory, segment: oldest.first }, 'a segment could not be deleted');
        return false;
      }
    }
    segments.discard(segments.indexPathOf(oldest.first));
    segments.discardArchive(oldest.first);
    segments.shift();
    logger.debug({ directory, segment: oldest.first }, 'a segment is past its time');
    return true;
  }

  /** Makes room on a full disk; false where nothing can go. */
  shorten(): boolean {
    const { logger, clocks, segments } = this.#components;
    const { directory } = segments;
    try {
      if (!this.#dropOldest(false)) return false;
    } catch (error) {
      logger.warn({ err: error, directory }, 'no old segment of the journal could be deleted');
      return false;
    }
    if (this.#pressure === undefined) {
      logger.warn({ directory }, 'the disk is full: the oldest of the journal’s history goes');
    }
    this.#pressure = clocks.wall();
    this.#shortened = true;
    return true;
  }
}

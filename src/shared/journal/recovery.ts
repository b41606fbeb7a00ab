/**
 * What is found when a journal is opened: where its end is behind what a death or a power loss left, what is damaged or missing before, what of it is still
 * needed, and whether its numbers can go on.
 */

import type { Logger } from '../logging/logger.js';
import type { BatchIds } from './batch-ids.js';
import { knownEpochs } from './epochs.js';
import { type FileCalls, withFile } from './files.js';
import { type EpochStart, readHead, type StoredHead } from './head.js';
import { type BatchHead, MAX_BATCH_BYTES, SEGMENT_HEAD_BYTES, type SegmentHead } from './layout.js';
import type { JournalOptions } from './options.js';
import { type Remembered, repeatsIn } from './repeats.js';
import { type FoundBatch, type FoundDamage, type FoundEnd, SegmentScan } from './scan.js';
import { SegmentIndex } from './segment-index.js';
import type { Segment, Segments } from './segments.js';
import type { Clocks } from './steady-age.js';
import { Tail } from './tail.js';

export interface RecoveryComponents {
  readonly logger: Logger;
  readonly files: FileCalls;
  readonly clocks: Clocks;
  /** Finds which there are. */
  readonly segments: Segments;
  /** Takes those of the newest batches. */
  readonly ids: BatchIds;
}

export interface RecoveryOptions extends Pick<JournalOptions, 'birth' | 'repeats' | 'segmentBytes'> {
  /** What tells this run of the machine from others. */
  readonly boot: string;
}

export interface Recovered {
  /** Undefined where there is none that can be read. */
  readonly head: StoredHead | undefined;
  /** Ascending; none in a journal that is new. */
  readonly epochs: readonly EpochStart[];
  readonly tail: Tail;
  /** Of the last segment. */
  readonly index: SegmentIndex;
  /** Of the time that is kept, the oldest first. */
  readonly repeats: readonly Remembered[];
  /** Why a new epoch must begin; undefined where the last goes on, or the journal is new. */
  readonly newEpoch: string | undefined;
}

/** Whether writes that had not waited for the disk may be lost: without a head that can be read nobody knows. */
const losesPower = (stored: StoredHead | undefined, boot: string): boolean =>
  stored === undefined || (stored.state === 'open' && stored.boot !== boot);

function reasonOf(stored: StoredHead | undefined, powerLost: boolean, { unsure }: Tail): string | undefined {
  if (stored === undefined) return 'its head is missing';
  if (!stored.genuine) return 'the directory was restored or copied';
  if (powerLost && !stored.fsync) return 'the machine went down with writes that had not waited for the disk';
  return unsure;
}

export class Recovery {
  readonly #components: RecoveryComponents;
  readonly #options: RecoveryOptions;
  #index = new SegmentIndex();

  constructor(components: RecoveryComponents, options: RecoveryOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Removes segments that were never whole, and else changes no file. Throws what the file system throws, NewerVersionError and JournalUnusableError. */
  run(): Recovered {
    const { files, segments } = this.#components;
    const head = readHead(files, segments.directory);
    segments.find();
    const [only] = segments.list;
    if (head === undefined && segments.list.length === 1 && only?.bytes === SEGMENT_HEAD_BYTES) {
      // Whoever made the journal died before it was whole.
      files.remove(segments.pathOf(only.first));
      segments.cut(0);
    }
    const epochs = knownEpochs(
      head?.epochs ?? [],
      segments.list.map((segment) => segment.head),
    );
    const powerLost = losesPower(head, this.#options.boot);
    const tail = this.#findEnd(head, powerLost);
    const repeats = this.#collectRepeats(tail.repeats);
    const newEpoch = epochs.length === 0 ? undefined : reasonOf(head, powerLost, tail);
    return { head, epochs, tail, index: this.#index, repeats, newEpoch };
  }

  /** Where the next entry goes, and what is damaged or missing before. */
  #findEnd(stored: StoredHead | undefined, powerLost: boolean): Tail {
    const { segments } = this.#components;
    const index = segments.list.findLastIndex(({ head }) => head !== undefined);
    const last = segments.list[index];
    const begin = stored === undefined ? this.#options.birth : undefined;
    const tail: Tail =
      last?.head === undefined
        ? new Tail(begin?.position ?? 0, begin?.seq ?? 0, 0)
        : this.#scanLast(last, last.head, powerLost);
    if (powerLost && !stored?.fsync) {
      // The disk has not got them: nothing in them was promised to stay.
      for (const { first } of segments.cut(index + 1)) segments.discard(segments.pathOf(first));
      return tail;
    }
    for (const { first, bytes } of segments.list.slice(index + 1)) {
      tail.lose(first, bytes, 'its newest segment is damaged');
    }
    if (stored !== undefined && stored.newest > (segments.newest?.first ?? -1)) {
      const bytes = Math.max(this.#options.segmentBytes, MAX_BATCH_BYTES);
      tail.lose(stored.newest, bytes, 'its newest segment is missing');
    }
    tail.pass(stored?.end);
    return tail;
  }

  #scanLast(segment: Segment, head: SegmentHead, powerLost: boolean): Tail {
    const { logger, segments, ids } = this.#components;
    const { first, bytes: size } = segment;
    const tail = new Tail(head.position, head.seq, head.time);
    tail.offset = SEGMENT_HEAD_BYTES;
    /** As it is behind the last whole batch. */
    let whole = tail.copy();
    const end = this.#scan(segment, (found, scan) => {
      if (found.type === 'damage') {
        tail.gaps.push({ from: found.from, to: found.to });
        tail.seq = found.seq;
      } else {
        this.#index.add(found.offset, found.head);
        ids.add(found.head);
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
      logger.info(
        { directory: segments.directory, segment: first, bytes: cut },
        'an unfinished batch is cut off',
      );
    return kept;
  }

  /** All that is in a segment. */
  #scan(
    segment: Segment,
    visit: (found: FoundBatch | FoundDamage, scan: SegmentScan) => void,
  ): FoundEnd | undefined {
    const { files, segments } = this.#components;
    const { head, first, bytes: size } = segment;
    if (head === undefined) return undefined;
    return withFile(files, segments.pathOf(first), 'r', (fd) => {
      const start = { offset: SEGMENT_HEAD_BYTES, expected: first };
      const scan = new SegmentScan({ files, fd, mark: head.mark, size, ...start });
      for (;;) {
        const found = scan.next();
        if (found.type === 'end') return found;
        visit(found, scan);
      }
    });
  }

  /** Repeats of the time that is kept, the oldest first: `newest` and what is in segments before the last. */
  #collectRepeats(newest: readonly Remembered[]): Remembered[] {
    const { clocks, segments, ids } = this.#components;
    const { windowMs, max } = this.#options.repeats;
    const now = clocks.wall();
    const lists = [newest];
    let count = newest.length;
    for (let index = segments.list.length - 2; index >= 0 && count < max; index--) {
      const segment = segments.list[index] as Segment;
      const until = segments.list[index + 1]?.head?.time ?? now;
      if (now - until >= windowMs) break;
      const found: Remembered[] = [];
      const heads: BatchHead[] = [];
      this.#scan(segment, (each) => {
        if (each.type !== 'batch') return;
        repeatsIn(each, found);
        heads.push(each.head);
        segment.repeats += each.head.repeats;
      });
      ids.addEarlier(heads);
      segment.neededUntil = clocks.monotonic() + Math.min(windowMs, until + windowMs - now);
      lists.push(found);
      count += found.length;
    }
    return lists.reverse().flatMap((list) => list.filter(({ at }) => now - at < windowMs));
  }
}

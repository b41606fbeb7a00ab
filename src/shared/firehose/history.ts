/** What was accepted and is kept, for consumers who begin in the past: read from the journal's files, in any process, beside whoever writes them. */

import { hasFrame, type JournalledEntry } from '../journal/entry.js';
import { isMissing } from '../journal/errors.js';
import { FILES, type FileCalls } from '../journal/files.js';
import type { Position, SegmentHead } from '../journal/layout.js';
import { JournalReader } from '../journal/reader.js';
import { type InfoFrame, infoFrame } from './control-frames.js';
import { type CursorJournal, type CursorScheme, NODE_CURSORS, type Place } from './cursor-scheme.js';
import { HistoryEpochs } from './history-epochs.js';
import type { Told } from './meta.js';
import { badCursor, FeedProblem } from './problems.js';
import { ReceivedSince } from './received-since.js';
import type { StartPoint } from './request.js';

export interface HistoryOptions {
  /** Of the journal. */
  readonly directory: string;
  /** A node's own unless told. */
  readonly scheme?: CursorScheme;
  readonly files?: FileCalls;
}

export interface Started {
  /** May lie behind the end that was told, where another process knew a later one: what comes before it is not for this consumer. */
  readonly next: Place;
  /** To be told before anything else. */
  readonly infos: readonly InfoFrame[];
  /**
   * The cursor, where it is of a frame that has not come here yet, or of another journal: what comes tells, so nothing is to be told or sent before this can be
   * resolved. `next` is the end.
   */
  readonly awaited?: string;
}

export interface ResolveOptions {
  readonly end?: Place | undefined;
  /** Whether a cursor that is too old or unknown is refused; not unless told. */
  readonly strict?: boolean;
  /** Whether who asks can wait for a frame that another server has already; to who cannot a cursor of such is unknown, as unless told. */
  readonly waits?: boolean;
}

export interface ReadHistory {
  /** To be told before `entries`. */
  readonly before: readonly InfoFrame[];
  /** Each with a frame. None does not mean the end: that is where `next` is. */
  readonly entries: readonly JournalledEntry[];
  /** Of `entries`. */
  readonly epoch: string;
  /** To be told behind `entries`. */
  readonly after: readonly InfoFrame[];
  /** From where to read on. */
  readonly next: Place;
}

interface Missing {
  /** Sequence numbers of the first and the last frame. */
  readonly from: number;
  readonly to: number;
}

const READ_BYTES = 262_144;
const BEYOND = Number.POSITIVE_INFINITY;

/**
 * Where `end` is asked for, it is the place behind the last entry that is committed, as the writer tells; without it, the end is where the files have it. All
 * throw what reading a file throws, and FeedProblem `unavailable` where there is no journal.
 */
export class History {
  readonly #reader: JournalReader;
  readonly #scheme: CursorScheme;
  readonly #epochs: HistoryEpochs;
  readonly #received: ReceivedSince;
  /** What was found last: whoever is live asks for the same place. */
  #newest: { readonly position: Position; readonly entry: JournalledEntry } | undefined;

  constructor({ directory, scheme = NODE_CURSORS, files = FILES }: HistoryOptions) {
    this.#scheme = scheme;
    this.#reader = new JournalReader({ directory, files });
    this.#received = new ReceivedSince(this.#reader);
    this.#epochs = new HistoryEpochs({ directory, files, reader: this.#reader });
  }

  /**
   * Where a consumer begins. Throws FeedProblem: `bad_parameter` for a cursor that is none, or of a frame that is yet to come; with `strict`, `cursor_too_old` and
   * `cursor_unknown`, with the cursor of the oldest that is kept.
   */
  resolve(
    start: StartPoint,
    { end = this.end(), strict = false, waits = false }: ResolveOptions = {},
  ): Started {
    switch (start.type) {
      case 'now':
        return { next: end, infos: [] };
      case 'oldest':
        return { next: this.#oldest(end), infos: [] };
      case 'since':
        return this.#since(start.ms, end, strict);
      case 'cursor':
        return this.#behind(start.text, { end, strict, waits });
    }
  }

  #since(ms: number, end: Place, strict: boolean): Started {
    const position = this.#reader.seekTime(ms, end.position);
    if (this.#isCutSince(ms, position, end)) return this.#fromOldest('cursor_too_old', end, strict);
    if (position >= end.position) return { next: end, infos: [] };
    const from = this.#placeAt(position, end);
    const found = this.#received.find(ms, from, end.position);
    const epoch = this.#epochs.of(found.position, end.epoch);
    return { next: { epoch, position: found.position, seq: found.seq }, infos: [] };
  }

  /** Whether something of `ms` or later is no longer kept here, or never was. `position`: of the first that was stored then. */
  #isCutSince(ms: number, position: Position, end: Place): boolean {
    const [oldest] = this.#reader.heads();
    const [birth] = this.#epochs.upTo(end.epoch);
    if (oldest === undefined || birth === undefined) return false;
    if (oldest.position > birth.position) return ms < oldest.time;
    if (position > oldest.position) return false;
    const [first] = this.#reader.read(position, end.position, 1).entries;
    return first !== undefined && this.#scheme.hasPast(first);
  }

  #behind(text: string, { end, strict, waits }: Required<ResolveOptions> & { readonly end: Place }): Started {
    let until = end;
    let found = this.#scheme.find(text, this.#journal(until));
    if (found.type === 'future' || found.type === 'unknown') {
      // Another process may know more, and have told the consumer.
      this.#epochs.refresh();
      until = this.end();
      found = this.#scheme.find(text, this.#journal(until));
    }
    switch (found.type) {
      case 'malformed':
        throw badCursor(text);
      case 'future':
        throw badCursor(text, 'is of a frame that is yet to come');
      case 'too_old':
        return this.#fromOldest('cursor_too_old', end, strict);
      case 'ahead':
        return waits
          ? { next: end, infos: [], awaited: text }
          : this.#fromOldest('cursor_unknown', end, strict);
      case 'unknown':
        return this.#fromOldest('cursor_unknown', end, strict);
      case 'found': {
        const { place, lost } = found;
        const next = { ...place, epoch: this.#epochs.of(place.position, until.epoch) };
        const infos = lost ? [this.#info('gap', next)] : [];
        if (next.epoch !== place.epoch) infos.push(this.#info('epoch', next));
        return { next, infos };
      }
    }
  }

  #fromOldest(code: 'cursor_too_old' | 'cursor_unknown', end: Place, strict: boolean): Started {
    const next = this.#oldest(end);
    const oldest = this.cursorAt(next);
    if (strict) throw new FeedProblem(code, undefined, { oldest });
    return { next, infos: [infoFrame(code, { cursor: oldest })] };
  }

  /** An info frame for who goes on at `next`. */
  #info(code: 'gap' | 'epoch', next: Place, missing?: Missing): InfoFrame {
    const known = this.#scheme.showsSeq ? missing : undefined;
    return infoFrame(code, {
      ...(code === 'gap' && { text: gapText(known) }),
      cursor: this.cursorAt(next),
      ...known,
      ...(code === 'epoch' && { epoch: next.epoch }),
    });
  }

  /**
   * Frames from `from` on and before `end`, until `maxBytes` of entries are passed; at least one entry is passed where there is any. Where nothing is to be read,
   * `next` is `from`.
   */
  read(
    from: Place,
    { end, maxBytes }: { readonly end?: Place | undefined; readonly maxBytes: number },
  ): ReadHistory {
    const read = this.#reader.read(from.position, end?.position ?? BEYOND, maxBytes);
    const last = end?.epoch ?? (read.epoch || from.epoch);
    const before: InfoFrame[] = [];
    const after: InfoFrame[] = [];
    let at = from;
    /** Goes on at another place, with another epoch or behind what is missing, and tells of it. */
    const pass = (infos: InfoFrame[], position: Position, seq: number): void => {
      const next = { epoch: this.#epochs.of(position, last), position, seq };
      if (seq > at.seq) infos.push(this.#info('gap', next, { from: at.seq, to: seq - 1 }));
      if (next.epoch !== at.epoch) infos.push(this.#info('epoch', next));
      at = next;
    };
    // What is before the place is for others.
    const wanted = read.entries.filter(({ seq }) => seq >= from.seq);
    const [first] = wanted;
    if (first !== undefined) pass(before, first.position, first.seq);
    const { epoch } = at;
    const newest = wanted.at(-1);
    if (newest !== undefined) at = { ...at, seq: seqBehind(newest) };
    if (read.next > from.position || end?.position === from.position) {
      const isEnd = end !== undefined && read.next >= end.position;
      pass(after, read.next, isEnd ? Math.max(at.seq, end.seq) : at.seq);
    }
    return { before, entries: wanted.filter(({ bytes }) => hasFrame(bytes)), epoch, after, next: at };
  }

  /** Of the oldest entry that is kept, and the cursor that means everything from it on. */
  oldest(end: Place = this.end()): Place & { readonly cursor: string } {
    const oldest = this.#oldest(end);
    return { ...oldest, cursor: this.cursorAt(oldest) };
  }

  #oldest(end: Place): Place {
    const [head] = this.#reader.heads();
    if (head === undefined || head.position >= end.position) return end;
    const { position, seq } = head;
    return { epoch: this.#epochs.of(position, end.epoch), position, seq };
  }

  /** Behind the last whole batch in the files. */
  end(): Place {
    const newest = this.#heads().at(-1);
    const last = newest && this.#epochs.refresh().at(-1);
    if (newest === undefined || last === undefined) throw new FeedProblem('unavailable');
    let position = this.#reader.pointBefore(BEYOND) ?? newest.position;
    let { seq } = newest;
    for (;;) {
      const { entries, next } = this.#reader.read(position, BEYOND, READ_BYTES);
      const behind = entries.at(-1);
      if (behind !== undefined) seq = seqBehind(behind);
      if (next === position) break;
      position = next;
    }
    return { epoch: this.#epochs.of(position, last.epoch), position, seq };
  }

  #heads(): readonly SegmentHead[] {
    try {
      return this.#reader.heads();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** A place some 256 KiB of entries before `place` at the most, at the beginning of a batch; undefined where nothing before it is kept. */
  before(place: Place): Place | undefined {
    const position = this.#reader.pointBefore(place.position);
    return position === undefined ? undefined : this.#placeAt(position, place);
  }

  /** The place at `position`, where there may be damage, before `end`. */
  #placeAt(position: Position, end: Place): Place {
    const [entry] = this.#reader.read(position, end.position, 1).entries;
    return { epoch: this.#epochs.of(position, end.epoch), position, seq: entry?.seq ?? end.seq };
  }

  /** The cursor that means everything from `place` on. */
  cursorAt(place: Place): string {
    return this.#scheme.at(place, this.#journal(place));
  }

  /** What consumers are told of an entry of `epoch` that has a frame. */
  tell(entry: JournalledEntry, epoch: string): Told {
    return this.#scheme.tell(entry, epoch);
  }

  /** Closes the file that was read last; the next reading opens it again. */
  close(): void {
    this.#reader.close();
  }

  #lastBefore(position: Position): JournalledEntry | undefined {
    if (this.#newest?.position === position) return this.#newest.entry;
    const entry = lastFrameBefore(this.#reader, position);
    // A copy: what was read with it is not to be held.
    this.#newest = entry && { position, entry: { ...entry, bytes: Uint8Array.from(entry.bytes) } };
    return this.#newest?.entry;
  }

  /** The journal before `end`, as a scheme may ask it; what is not asked costs nothing. */
  #journal(end: Place): CursorJournal {
    const [reader, epochs, oldest] = [this.#reader, this.#epochs, () => this.#oldest(end)];
    return {
      end,
      get epochs() {
        return epochs.upTo(end.epoch);
      },
      get oldest() {
        return oldest();
      },
      seekSeq: (seq) => reader.seekSeq(seq, end.position),
      seek: (isBefore) => reader.seek(isBefore, end.position),
      lastBefore: (position) => this.#lastBefore(Math.min(position, end.position)),
      epochOf: (position) => epochs.of(position, end.epoch),
    };
  }
}

function gapText(missing: Missing | undefined): string {
  if (missing === undefined) return 'Frames are missing; how many is not known.';
  const { from, to } = missing;
  return from === to
    ? `1 frame is missing (${from})`
    : `${to - from + 1} frames are missing (${from} to ${to})`;
}

const seqBehind = ({ seq, bytes }: JournalledEntry): number => (hasFrame(bytes) ? seq + 1 : seq);

function lastFrameBefore(reader: JournalReader, end: Position): JournalledEntry | undefined {
  let until = end;
  for (let from = reader.pointBefore(until); from !== undefined; from = reader.pointBefore(until)) {
    let last: JournalledEntry | undefined;
    for (let at = from; at < until; ) {
      const { entries, next } = reader.read(at, until, READ_BYTES);
      last = entries.findLast(({ bytes }) => hasFrame(bytes)) ?? last;
      at = next;
    }
    if (last !== undefined) return last;
    until = from;
  }
  return undefined;
}

/** How consumers are told where they are: what a cursor looks like, and how the place in the journal that it means is found again. */

import type { JournalledEntry } from '../journal/entry.js';
import type { EpochStart } from '../journal/head.js';
import type { Position } from '../journal/layout.js';
import type { Told } from './meta.js';

/** A place between two entries of a journal. */
export interface Place {
  /** The epoch in which the numbers are. */
  readonly epoch: string;
  /** Of the next entry. */
  readonly position: Position;
  /** Of the next entry with a frame. */
  readonly seq: number;
}

/** What a scheme may ask of the journal in which a cursor is looked for. */
export interface CursorJournal {
  /** Ascending. */
  readonly epochs: readonly EpochStart[];
  /** Of the oldest entry that is kept. */
  readonly oldest: Place;
  /** Behind the last entry. */
  readonly end: Place;
  /** Of the first entry with a frame whose sequence number is `seq` or later; that of the end where there is none. */
  seekSeq(seq: number): Position;
  /** The first entry that is not before what is looked for; undefined where all are. `isBefore` holds for the entries of a beginning of the journal. */
  seek(isBefore: (entry: JournalledEntry) => boolean): JournalledEntry | undefined;
  /** The last entry with a frame before `position` that is kept. */
  lastBefore(position: Position): JournalledEntry | undefined;
  /** In which `position` is. */
  epochOf(position: Position): string;
}

type FoundCursor =
  /** `place` is in the cursor's own epoch, or behind its end. `lost`: the cursor is behind that end. */
  | { readonly type: 'found'; readonly place: Place; readonly lost: boolean }
  /** What follows it is not all kept any more. */
  | { readonly type: 'too_old' }
  /** Of a journal that this server does not know. */
  | { readonly type: 'unknown' }
  /** Of a frame that is yet to come. */
  | { readonly type: 'future' }
  /** Of a frame that another server has and this one has not yet, or of a journal that it does not know: what comes tells. */
  | { readonly type: 'ahead' }
  /** No cursor. */
  | { readonly type: 'malformed' };

export interface CursorScheme {
  /** Whether the sequence numbers that consumers see are the journal's. */
  readonly showsSeq: boolean;
  /** What consumers are told of `entry`, which has a frame, in `epoch`. */
  tell(entry: JournalledEntry, epoch: string): Told;
  /** Whether there was something before `first`, with which a journal begins that never had it. */
  hasPast(first: JournalledEntry): boolean;
  /** The cursor that means everything from `place` on. */
  at(place: Place, journal: CursorJournal): string;
  /** Where to go on for who comes with the cursor `text`, of any length and content. */
  find(text: string, journal: CursorJournal): FoundCursor;
}

/** Epoch and number of the last frame that its owner has; -1 before the first. */
const NODE_CURSOR = /^([0-9a-f]{16})\.(-1|0|[1-9][0-9]{0,15})$/;
const NODE_CURSOR_CHARACTERS = 33;

/** Cursors of a node: `<epoch>.<sequence number>`. */
export const NODE_CURSORS: CursorScheme = {
  showsSeq: true,
  tell: ({ seq }, epoch) => ({ cursor: `${epoch}.${seq}`, epoch, seq }),
  hasPast: () => false,
  at: ({ epoch, seq }) => `${epoch}.${seq - 1}`,
  find(text, { epochs, oldest, end, seekSeq }) {
    const match = text.length > NODE_CURSOR_CHARACTERS ? null : NODE_CURSOR.exec(text);
    const seq = Number(match?.[2]) + 1;
    if (match === null || !Number.isSafeInteger(seq)) return { type: 'malformed' };
    const [, epoch = ''] = match;
    const index = epochs.findLastIndex((start) => start.epoch === epoch);
    if (index === -1) return { type: 'unknown' };
    const following = epochs[index + 1];
    if (seq < oldest.seq || seq < (epochs[index]?.seq ?? 0)) return { type: 'too_old' };
    if (following !== undefined) {
      if (following.seq < oldest.seq) return { type: 'too_old' };
      const last = { epoch, position: following.position, seq: following.seq };
      if (seq >= last.seq) return { type: 'found', place: last, lost: seq > last.seq };
    } else if (seq >= end.seq) {
      return seq > end.seq ? { type: 'future' } : { type: 'found', place: end, lost: false };
    }
    return { type: 'found', place: { epoch, position: seekSeq(seq), seq }, lost: false };
  },
};

/**
 * Cursors of gateways: `<offset>.<first 8 hex digits of the record's SHA-256>`, everything after that record. They mean the same at every gateway of the topic; the
 * digits tell a topic that was made anew, whose offsets are the same and its records are not.
 */

import type { JournalledEntry } from '../journal/entry.js';
import type { CursorJournal, CursorScheme, Place } from './cursor-scheme.js';
import { type RecordPlace, recordPlaceOf } from './gateway-entry.js';
import type { Told } from './meta.js';

type FoundCursor = ReturnType<CursorScheme['find']>;

const CURSOR = /^(\d{1,15})\.([0-9a-f]{8})$/;
const DIGITS = 8;
/** Everything that is kept: of the place before which nothing is. */
const OLDEST = 'oldest';
/** So many records another gateway may be ahead of this one, which cannot look at a record that it has not read yet. */
const MAX_AHEAD = 10_000;

const digitsOf = ({ hash }: RecordPlace): string =>
  Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('hex', 0, DIGITS / 2);

/** Of an entry of a gateway's journal. Throws RangeError of another's. */
function recordOf({ bytes }: JournalledEntry): RecordPlace {
  const record = recordPlaceOf(bytes);
  if (record === undefined) throw new RangeError('an entry that is no gateway’s');
  return record;
}

const cursorOf = (record: RecordPlace): string => `${record.offset}.${digitsOf(record)}`;

export const GATEWAY_CURSORS: CursorScheme = {
  // Consumers see offsets, which have holes.
  showsSeq: false,

  tell(entry: JournalledEntry, epoch: string): Told {
    const record = recordOf(entry);
    return { cursor: cursorOf(record), epoch, seq: record.offset };
  },

  // The topic had records before, which retention took, or which were older than what is kept here.
  hasPast: (first: JournalledEntry) => recordOf(first).offset > 0,

  at({ position }: Place, journal: CursorJournal): string {
    const before = journal.lastBefore(position);
    return before === undefined ? OLDEST : cursorOf(recordOf(before));
  },

  find(text: string, journal: CursorJournal): FoundCursor {
    if (text === OLDEST) return { type: 'found', place: journal.oldest, lost: false };
    const [, digits, hash] = CURSOR.exec(text) ?? [];
    if (digits === undefined || hash === undefined) return { type: 'malformed' };
    const offset = Number(digits);
    const ahead = offset - newestOf(journal);
    if (ahead > 0) return { type: ahead <= MAX_AHEAD ? 'ahead' : 'unknown' };
    const found = journal.seek((entry) => recordOf(entry).offset < offset);
    if (found === undefined) return { type: 'unknown' };
    const record = recordOf(found);
    if (record.offset === offset) {
      if (digitsOf(record) !== hash) return { type: 'unknown' };
      const epoch = journal.epochOf(found.position);
      const place = { epoch, position: found.position + 1, seq: found.seq + 1 };
      return { type: 'found', place, lost: false };
    }
    const before = journal.lastBefore(found.position);
    if (before !== undefined && before.seq + 1 < found.seq) {
      // Among those that are missing here: whoever reads on past them is told.
      const place = {
        epoch: journal.epochOf(before.position),
        position: before.position + 1,
        seq: before.seq + 1,
      };
      return { type: 'found', place, lost: false };
    }
    // Every gateway shows the same, so what is missing between the others that are kept never was.
    return found.position === journal.oldest.position ? { type: 'too_old' } : { type: 'unknown' };
  },
};

/** Offset of the newest record. A gateway that has none yet is before the topic's first. */
function newestOf(journal: CursorJournal): number {
  const last = journal.lastBefore(journal.end.position);
  return last === undefined ? -1 : recordOf(last).offset;
}

/**
 * Where in the journal begins what was received at a time or later. The journal is found by when an entry was stored; some of what was stored then was received before:
 * a batch is stored when it is whole, and at a gateway a record may be minutes later than its frame.
 */

import { hasFrame, type JournalledEntry, receivedAtOf } from '../journal/entry.js';
import type { Position } from '../journal/layout.js';
import type { JournalReader } from '../journal/reader.js';

/** Bytes of entries that are looked through at the most, and at once. */
const LOOKED_BYTES = 8 * 1024 * 1024;
const PART_BYTES = 262_144;
/** Parts of which is remembered what is in them, by where they begin: who asks from the same place again has none of them read. */
const MAX_PARTS = 2048;

/** Between two entries: the next, and the sequence number of the next with a frame. */
interface Point {
  readonly position: Position;
  readonly seq: number;
}

interface Part {
  readonly behind: Point;
  /** Unix ms at which the last of its frames was received. */
  readonly newest: number;
  readonly bytes: number;
}

export class ReceivedSince {
  /** By where they begin. */
  readonly #parts = new Map<Position, Part>();

  constructor(private readonly reader: JournalReader) {}

  /**
   * At the first frame from `from` on and before `end` that was received at `ms` (unix ms) or later, or before frames that are missing, whose times nobody knows; or
   * as far as is looked, so never behind such a frame. Throws what reading a file throws.
   */
  find(ms: number, from: Point, end: Position): Point {
    let at = from;
    for (let looked = 0; looked < LOOKED_BYTES && at.position < end; ) {
      const known = this.#parts.get(at.position);
      if (known !== undefined && known.behind.position <= end && known.newest < ms) {
        looked += known.bytes;
        at = known.behind;
        continue;
      }
      const { entries, next, gap } = this.reader.read(at.position, end, PART_BYTES);
      const [first] = entries;
      if (gap !== undefined || first === undefined || first.seq > at.seq) return at;
      const part = partOf(entries, next);
      if (part.newest >= ms) return entries.find((entry) => receivedAt(entry) >= ms) ?? at;
      // One that is not full may be, later.
      if (part.bytes >= PART_BYTES) this.#remember(at.position, part);
      looked += part.bytes;
      at = part.behind;
    }
    return at;
  }

  #remember(position: Position, part: Part): void {
    this.#parts.set(position, part);
    const [oldest] = this.#parts.keys();
    if (this.#parts.size > MAX_PARTS && oldest !== undefined) this.#parts.delete(oldest);
  }
}

/** Of what has no frame, never. */
const receivedAt = ({ bytes }: JournalledEntry): number =>
  hasFrame(bytes) ? receivedAtOf(bytes) : Number.NEGATIVE_INFINITY;

/** `entries` is not empty. */
function partOf(entries: readonly JournalledEntry[], position: Position): Part {
  let [seq, newest, bytes] = [0, Number.NEGATIVE_INFINITY, 0];
  for (const entry of entries) {
    seq = hasFrame(entry.bytes) ? entry.seq + 1 : entry.seq;
    newest = Math.max(newest, receivedAt(entry));
    bytes += entry.bytes.length;
  }
  return { behind: { position, seq }, newest, bytes };
}

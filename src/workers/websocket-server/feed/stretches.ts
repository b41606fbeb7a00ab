/**
 * Stretches of the history that were read lately, with what was made of them: readers who replay the same at about the same time share the reading, the
 * rendering and the compressing.
 */

import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import type { History, ReadHistory } from '../../../shared/firehose/history.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Form } from './form.js';

/** Of the journal, of one stretch. */
const STRETCH_BYTES = 256 * 1024;
/** Of all stretches, with what was made of them. */
const MAX_BYTES = QUEUES.stretches.bounds.bytes;
/** Stretches for each who replays: its own, and one that who is a little behind comes to. */
const KEPT_A_READER = 2;

/** Frames of one epoch that follow one another. */
export class Stretch {
  readonly #rendered = new Map<Form, Uint8Array[]>();
  readonly #made = new Map<string, Promise<Uint8Array>>();
  bytes: number;

  constructor(
    readonly from: Place,
    readonly read: ReadHistory,
    private readonly history: Pick<History, 'tell'>,
  ) {
    this.bytes = read.entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** The entry at `index` in `form`. */
  rendered(form: Form, index: number): Uint8Array {
    let rendered = this.#rendered.get(form);
    if (rendered === undefined) {
      rendered = [];
      this.#rendered.set(form, rendered);
    }
    const known = rendered[index];
    if (known !== undefined) return known;
    const { entries, epoch } = this.read;
    const entry = entries[index];
    if (entry === undefined) throw new RangeError(`no entry ${index} of ${entries.length}`);
    const made = form.render(entry, () => this.history.tell(entry, epoch));
    rendered[index] = made;
    this.bytes += made.length;
    return made;
  }

  /** What is made of it asynchronously, once for all who name it alike. */
  made(name: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    let making = this.#made.get(name);
    if (making === undefined) {
      making = make().then((bytes) => {
        this.bytes += bytes.length;
        return bytes;
      });
      this.#made.set(name, making);
    }
    return making;
  }

  /** Whether it was read from `place`. */
  beginsAt({ epoch, seq, position }: Place): boolean {
    const { from } = this;
    return from.epoch === epoch && from.seq === seq && from.position === position;
  }

  /** Index of the first entry that is not before `place`; undefined where the stretch does not tell what follows `place`. */
  indexOf(place: Place): number | undefined {
    if (this.beginsAt(place)) return 0;
    const { epoch, seq } = place;
    const { read } = this;
    const [first] = read.entries;
    if (first === undefined || read.epoch !== epoch || seq < first.seq || seq >= read.next.seq)
      return undefined;
    let low = 0;
    for (let high = read.entries.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((read.entries[middle]?.seq ?? Number.POSITIVE_INFINITY) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class Stretches {
  /** The least recently used first. */
  #kept: Stretch[] = [];

  /** `readers`: those who replay now. */
  constructor(
    private readonly history: History,
    private readonly readers: () => number,
  ) {}

  get bytes(): number {
    return this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What follows `from`, before `end`, and the index in it of the first entry that does. Throws what reading the history throws. */
  at(from: Place, end: Place): { readonly stretch: Stretch; readonly index: number } {
    this.#forget();
    for (let at = this.#kept.length - 1; at >= 0; at--) {
      const stretch = this.#kept[at] as Stretch;
      const index = stretch.indexOf(from);
      if (index === undefined) continue;
      this.#kept.splice(at, 1);
      this.#kept.push(stretch);
      return { stretch, index };
    }
    const read = this.history.read(from, { end, maxBytes: STRETCH_BYTES });
    const stretch = new Stretch(from, read, this.history);
    // One that ends where it begins would tell the same when there is more.
    if (read.entries.length > 0) this.#kept.push(stretch);
    return { stretch, index: 0 };
  }

  /** Nobody replays. */
  clear(): void {
    this.#kept = [];
  }

  /** They grow with what is made of them. What nobody comes for any more costs the garbage collector more than reading does. */
  #forget(): void {
    const most = KEPT_A_READER * this.readers();
    let { bytes } = this;
    while (bytes > MAX_BYTES || this.#kept.length > most) bytes -= this.#kept.shift()?.bytes ?? bytes;
  }
}

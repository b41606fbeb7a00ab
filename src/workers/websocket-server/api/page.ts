/**
 * A page of the history, read a slice at a time: what is read at once is bounded, and so is all that one page may read. A page that comes to that bound is
 * whole all the same, with what was found so far and a cursor that goes on there.
 */

import { encodeControl, type InfoCode, type InfoFrame } from '../../../shared/firehose/control-frames.js';
import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import type { History } from '../../../shared/firehose/history.js';
import { metaFrame } from '../../../shared/firehose/meta.js';
import type { JournalledEntry } from '../../../shared/journal/entry.js';
import { QUEUES } from '../../../shared/queues.js';

const { scannedBytes, answerBytes, sliceBytes } = QUEUES.pages.bounds;

export interface PageOptions {
  /** From where it is read, forwards or backwards. */
  readonly from: Place;
  /** Behind the last entry that is committed. */
  readonly end: Place;
  readonly descending: boolean;
  /** Frames at the most. */
  readonly limit: number;
  /** To be told before all else. */
  readonly infos: readonly InfoFrame[];
  /** A cursor of a frame that may come yet: nothing is behind it, and it is where to go on. */
  readonly awaited?: string | undefined;
  /** Whether an entry is of the page, by its bytes. */
  readonly lets: (entry: Uint8Array) => boolean;
}

interface FoundFrame {
  readonly entry: JournalledEntry;
  readonly epoch: string;
}

const placeOf = ({ entry: { position, seq }, epoch }: FoundFrame): Place => ({ epoch, position, seq });

const COMMA = Buffer.from(',');

export class Page {
  /** Codes of the info frames in it. */
  readonly told: InfoCode[] = [];
  readonly #events: Uint8Array[] = [];
  #frames = 0;
  #bytes = 0;
  #scanned = 0;
  /** Where it is read on. */
  #at: Place;
  /** Of the last frame taken. */
  #last: Place;
  /** Undefined until the page is whole. `next` is undefined where nothing older is kept. */
  #end: { readonly next: Place | undefined; readonly more: boolean } | undefined;

  constructor(
    private readonly history: History,
    private readonly options: PageOptions,
  ) {
    this.#at = options.from;
    this.#last = options.from;
    for (const info of options.infos) this.#tell(info);
    if (this.#awaited !== undefined) this.#end = { next: options.from, more: false };
  }

  get isWhole(): boolean {
    return this.#end !== undefined;
  }

  /** Reads one slice. Throws what reading a file throws. */
  step(): void {
    if (this.options.descending) this.#stepBack();
    else this.#stepOn();
    if (this.#scanned >= scannedBytes) this.cut();
  }

  /** Has it end where it is. */
  cut(): void {
    this.#end ??= { next: this.#at, more: true };
  }

  /** JSON of what was found. */
  body(): Uint8Array {
    const { next, more } = this.#end ?? { next: this.#at, more: true };
    const parts: Uint8Array[] = [Buffer.from('{"events":[')];
    this.#events.forEach((event, index) => {
      if (index > 0) parts.push(COMMA);
      parts.push(event);
    });
    const place = next && (this.#awaited ?? this.history.cursorAt(next));
    const cursor = place === undefined ? '' : `"next":${JSON.stringify(place)},`;
    parts.push(Buffer.from(`],${cursor}"more":${more}}`));
    return Buffer.concat(parts);
  }

  /** Before it is everything that is here. */
  get #awaited(): string | undefined {
    return this.options.descending ? undefined : this.options.awaited;
  }

  #stepOn(): void {
    const { end, lets } = this.options;
    // Where the numbers say that there was more, the reading tells what is missing.
    if (this.#at.position >= end.position && this.#at.seq >= end.seq) {
      this.#end = { next: this.#at, more: false };
      return;
    }
    const { before, entries, epoch, after, next } = this.history.read(this.#at, {
      end,
      maxBytes: sliceBytes,
    });
    for (const info of before) this.#tell(info);
    for (const entry of entries) {
      const found = { entry, epoch };
      if (this.#isFull) {
        this.#end = { next: placeOf(found), more: true };
        return;
      }
      if (lets(entry.bytes)) this.#add(found);
    }
    for (const info of after) this.#tell(info);
    this.#read(entries);
    this.#at = next;
  }

  #stepBack(): void {
    const from = this.history.before(this.#at);
    if (from === undefined) {
      this.#end = { next: undefined, more: false };
      return;
    }
    for (const found of this.#between(from, this.#at).reverse()) {
      if ('code' in found) this.#tell(found);
      else if (this.#isFull) {
        this.#end = { next: this.#last, more: true };
        return;
      } else this.#add(found);
    }
    this.#at = from;
  }

  /** What is between two places that are as far from one another as two points of an index, in order. */
  #between(from: Place, to: Place): (FoundFrame | InfoFrame)[] {
    const all: (FoundFrame | InfoFrame)[] = [];
    // In which epoch a frame is, it says itself; of those that follow it would be said the wrong way round.
    const gaps = (infos: readonly InfoFrame[]) => infos.filter(({ code }) => code === 'gap');
    for (let at = from; at.position < to.position; ) {
      const { before, entries, epoch, after, next } = this.history.read(at, {
        end: to,
        maxBytes: sliceBytes,
      });
      all.push(...gaps(before));
      for (const entry of entries) if (this.options.lets(entry.bytes)) all.push({ entry, epoch });
      all.push(...gaps(after));
      this.#read(entries);
      if (next.position <= at.position) break;
      at = next;
    }
    return all;
  }

  get #isFull(): boolean {
    return this.#frames >= this.options.limit || this.#bytes >= answerBytes;
  }

  #read(entries: readonly JournalledEntry[]): void {
    // What had nothing in it was looked at all the same.
    this.#scanned += entries.reduce((sum, { bytes }) => sum + bytes.length, 0) || sliceBytes;
  }

  #add(found: FoundFrame): void {
    const { entry, epoch } = found;
    this.#frames++;
    this.#last = placeOf(found);
    this.#push(metaFrame(entry, this.history.tell(entry, epoch)));
  }

  #tell(info: InfoFrame): void {
    this.told.push(info.code);
    this.#push(Buffer.from(encodeControl(info)));
  }

  #push(event: Uint8Array): void {
    this.#events.push(event);
    this.#bytes += event.length;
  }
}

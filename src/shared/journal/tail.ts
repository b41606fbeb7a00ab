/** What a journal's end was found to be: the numbers of the next entry, and what is known of those before. */

import { MIN_ENTRY_BYTES } from './entry.js';
import type { Numbers } from './head.js';
import type { Position } from './layout.js';
import type { Gap } from './reader.js';
import type { Remembered } from './repeats.js';

export class Tail {
  /** Where the next batch goes in the last segment; undefined where that takes none. */
  offset: number | undefined;
  /** Why numbers may have been given that would be given again. */
  unsure: string | undefined;
  gaps: Gap[] = [];
  /** Of the last segment. */
  repeats: Remembered[] = [];
  /** Bytes in which there may have been entries, and where the last of them began. */
  #lostBytes = 0;
  #lostAt = 0;

  constructor(
    public position: Position,
    public seq: number,
    public time: number,
  ) {}

  /** What was in `bytes` from `first` on cannot be read. */
  lose(first: Position, bytes: number, why: string): void {
    this.#lostBytes += bytes;
    this.#lostAt = first;
    this.offset = undefined;
    this.unsure = why;
  }

  /** Passes what is lost: up to `end` where that is known, else so far that no number that may have been given is given again. */
  pass(end: Numbers | undefined): void {
    const { position: from } = this;
    const to = Math.max(from, this.#lostAt) + Math.ceil(this.#lostBytes / MIN_ENTRY_BYTES);
    const passed = end ?? { position: this.#lostBytes === 0 ? from : to, seq: this.seq + to - from };
    if (end !== undefined) this.unsure = undefined;
    if (passed.position <= from) return;
    this.gaps.push({ from, to: passed.position });
    this.position = passed.position;
    this.seq = passed.seq;
  }

  copy(): Tail {
    const copy = new Tail(this.position, this.seq, this.time);
    copy.offset = this.offset;
    copy.gaps = [...this.gaps];
    copy.repeats = this.repeats;
    return copy;
  }
}

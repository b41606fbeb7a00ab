/** Frames that were accepted just now, and what was made of them so far. */

import type { Told } from '../../../shared/firehose/meta.js';
import type { JournalledEntry } from '../../../shared/journal/entry.js';
import type { Form } from './form.js';

export class LiveFrames {
  readonly #made = new Map<Form, Uint8Array[]>();
  readonly #told: Told[] = [];

  /** `entries` have a frame each. */
  constructor(
    readonly entries: readonly JournalledEntry[],
    readonly epoch: string,
    private readonly tell: (entry: JournalledEntry, epoch: string) => Told,
  ) {}

  /** The entry at `index` in `form`, made once. */
  rendered(form: Form, index: number): Uint8Array {
    let made = this.#made.get(form);
    if (made === undefined) {
      made = [];
      this.#made.set(form, made);
    }
    const entry = this.entries[index] as JournalledEntry;
    made[index] ??= form.render(entry, () => {
      this.#told[index] ??= this.tell(entry, this.epoch);
      return this.#told[index];
    });
    return made[index];
  }
}

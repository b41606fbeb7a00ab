/** What a restart finds of the announcements whose repeats are recognised. */

import { entryLengthAt, REPEAT, repeatKeyOf } from './entry.js';
import type { FoundBatch } from './scan.js';

export interface Remembered {
  /** 16 bytes as latin1 text. */
  readonly key: string;
  /** Unix ms at which the announcement was received. */
  readonly at: number;
}

/** Adds the repeat keys of a batch to `found`. */
export function repeatsIn({ head, entries }: FoundBatch, found: Remembered[]): void {
  if (head.repeats === 0) return;
  let at = 0;
  for (let index = 0; index < head.count; index++) {
    const length = entryLengthAt(entries, at);
    if (((entries[at + 5] as number) & REPEAT) !== 0) {
      found.push({
        key: repeatKeyOf(entries.subarray(at, at + length)),
        at: entries.readDoubleLE(at + 8),
      });
    }
    at += length;
  }
}

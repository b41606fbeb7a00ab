/** Dead letters that are put back: they become a batch of the journal. */

import { createHash } from 'node:crypto';
import { decodeEntry, encodeEntry } from '../../shared/journal/entry.js';
import type { ReturnedLetter } from '../../shared/sinks/dead-letters.js';

const NOTHING = new Uint8Array(0);

/** A letter put back is a record and nothing else: no frame of the feed, and no repeat. */
export function recordAlone({ entry }: ReturnedLetter): Buffer {
  return encodeEntry({ ...decodeEntry(entry), frame: NOTHING, repeatKey: '', header: undefined });
}

/** The batch's id, the same for the same letters: put back again, after a death in the midst of it, they are in the journal once. */
export function idOf(letters: readonly ReturnedLetter[]): number {
  const digest = createHash('sha256');
  for (const { sink, topic, epoch, position } of letters)
    digest.update(`${sink} ${topic} ${epoch} ${position}\n`);
  return digest.digest().readUIntBE(0, 6);
}

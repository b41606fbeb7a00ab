/** A journal as a server left it, restored from a copy, with whatever a history may have in it. */

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { encodeEntry } from '../../src/shared/journal/entry.js';
import { FRAME_KINDS } from '../../src/shared/messages/index.js';
import { checkMessage } from '../../src/shared/pipeline/check.js';
import { batchesIn } from './deaths/journal-files.js';
import { sampleEntry, segmentFiles, TestJournal } from './journal.js';
import { contextOf, heard, sampleData } from './sample-messages.js';

const SEGMENT_BYTES = 16_384;
/** Segments of frames, before one that has none. */
const SEGMENTS = 4;

/** A good frame of every kind. */
function goodEntries(): Buffer[] {
  const context = contextOf();
  return FRAME_KINDS.map((kind) => {
    const message = heard(kind.name, sampleData(kind.name), { receivedAt: Date.now() });
    return encodeEntry({ ...checkMessage(kind, message, context), repeatKey: '', record: undefined });
  });
}

/** Changes a bit of the second batch of a segment. */
function damage(segment: string): void {
  const bytes = readFileSync(segment);
  const batch = batchesIn(bytes)[1];
  assert.ok(batch !== undefined);
  const at = batch.at + batch.length / 2;
  bytes.writeUInt8(bytes.readUInt8(Math.floor(at)) ^ 0x10, Math.floor(at));
  writeFileSync(segment, bytes);
}

/**
 * Several small segments of good frames of every kind. In the second some frames are damaged, and the last but one has entries that consumers see nothing of. They are a copy, so that a
 * server that finds them seals them all, and begins an epoch of its own.
 */
export function leaveHistory(directory: string): void {
  const original = `${directory}.original`;
  const { journal } = new TestJournal(original, { segmentBytes: SEGMENT_BYTES });
  let id = 1;
  const append = (entries: readonly Buffer[]) => journal.append({ id: id++, entries });
  while (segmentFiles(original).length <= SEGMENTS) append(goodEntries());
  // Larger than a segment is to be, so that it has one for itself.
  append([sampleEntry('unseen'.repeat(SEGMENT_BYTES / 4), { parts: 'r' })]);
  append(goodEntries());
  journal.close();
  damage(segmentFiles(original)[1] ?? '');
  cpSync(original, directory, { recursive: true });
  rmSync(original, { recursive: true });
}

/** What befalls a journal between two lives of its server: bytes of it change, or its oldest segments go. */

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { batchesIn } from '../deaths/journal-files.js';
import type { JournalHistory } from './history.js';

/** Of the newest frames, those that stay as they are: peers say them again. */
const UNHARMED = 200;

/** Segments as they were before, by name. */
export type Pristine = Map<string, Buffer>;

/** Does it, and tells what. Whoever reads the files afterwards takes those of `pristine` in place of them. */
export function harmJournal(
  random: () => number,
  {
    directory,
    history,
    pristine,
    life,
  }: {
    readonly directory: string;
    readonly history: JournalHistory;
    readonly pristine: Pristine;
    /** The next one. */
    readonly life: number;
  },
): string {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.journal'))
    .sort();
  const last = history.shown[history.shown.length - UNHARMED];
  const firsts = names.map((each) => batchesIn(readFileSync(join(directory, each)))[0]);
  const isOld = (index: number) =>
    last !== undefined && (firsts[index + 1]?.seq ?? Number.POSITIVE_INFINITY) < last.seq;
  const candidates = names.filter((each, index) => isOld(index) && !pristine.has(each));
  const [what, which, where, place] = [random(), random(), random(), random()];
  const name = candidates[Math.floor(which * candidates.length)];
  if (name === undefined || what < 1 / 5) return 'nothing befell the journal';
  const keep = (kept: string): Buffer => {
    const bytes = readFileSync(join(directory, kept));
    pristine.set(kept, bytes);
    return bytes;
  };
  if (what < 3 / 5) {
    const bytes = keep(name);
    const batches = batchesIn(bytes);
    const batch = batches[Math.floor(where * batches.length)];
    if (batch === undefined) return 'nothing befell the journal';
    const { epoch, seq, frames, at, length } = batch;
    const harmed = Buffer.from(bytes);
    const byte = at + Math.floor(place * length);
    harmed[byte] = (harmed[byte] ?? 0) ^ 0x10;
    writeFileSync(join(directory, name), harmed);
    history.lose(epoch, { from: seq, to: seq + frames }, life);
    return `byte ${byte} of ${name} changed: ${frames} frames from ${seq} on are lost`;
  }
  for (const gone of names.slice(0, names.indexOf(name) + 1)) {
    if (!pristine.has(gone)) keep(gone);
    for (const file of [gone, gone.replace('.journal', '.index')])
      rmSync(join(directory, file), { force: true });
  }
  const next = names[names.indexOf(name) + 1];
  const first = firsts[names.indexOf(name) + 1];
  if (first !== undefined) history.forget(history.countAt(`${first.epoch}.${first.seq - 1}`), life);
  return `the journal begins with ${next}`;
}

/**
 * J: what the journal costs: µs an entry of 600 bytes, appended in batches of 1, 16 and 256, warm and one each 10 ms, with and without waiting for the disk, beside
 * a bare `writeSync` of as many bytes; entries read a second; ms until a journal of 2 GiB is open, with its 500,000 repeats.
 */

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { encodeEntry } from '../src/shared/journal/entry.js';
import { Journal } from '../src/shared/journal/journal.js';
import { JournalReader } from '../src/shared/journal/reader.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';

const RUNS = 5;
const ENTRY_BYTES = 600;
const WARM_ENTRIES = 64_000;
const SYNCED_BATCHES = 100;
const COLD_BATCHES = 100;
const COLD_EVERY_MS = 10;
const LARGE_BYTES = 2 ** 31;
const REPEATS = { windowMs: 600_000, max: 500_000 };
const READ_BYTES = 1_048_576;

const AUTHOR = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

function entry(n: number): Buffer {
  const whole = {
    kind: 2,
    own: false,
    author: AUTHOR,
    receivedAt: 0,
    repeatKey: String(n).padStart(16),
    frame: Buffer.from(''),
    record: { topic: 2, hash: Buffer.alloc(32, n), key: Buffer.alloc(64, 65), value: Buffer.alloc(120, 66) },
  };
  const bytes = encodeEntry(whole);
  return encodeEntry({ ...whole, frame: Buffer.alloc(ENTRY_BYTES - bytes.length, 67) });
}

const ENTRIES = Array.from({ length: 256 }, (_, n) => entry(n));
const nowUs = (): number => Number(process.hrtime.bigint()) / 1000;

/** In the folder of temporary files, which the fsyncs wait for. */
class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-journal-'));
  #ids = 1;

  open(fsync: boolean): Journal {
    const journal = new Journal(
      { logger: pino({ level: 'silent' }) },
      {
        directory: join(this.directory, 'journal'),
        fsync,
        segmentBytes: 64 * 1_048_576,
        segmentMs: 3_600_000,
        retentionMs: 86_400_000,
        retentionBytes: 2 * LARGE_BYTES,
        repeats: REPEATS,
      },
    );
    journal.open();
    return journal;
  }

  append(journal: Journal, count: number): void {
    journal.append({
      id: this.#ids++,
      entries: count === ENTRIES.length ? ENTRIES : ENTRIES.slice(0, count),
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** µs an entry. */
function appending(count: number, fsync: boolean): number {
  const place = new Place();
  const journal = place.open(fsync);
  const batches = fsync ? SYNCED_BATCHES : Math.ceil(WARM_ENTRIES / count);
  const began = nowUs();
  for (let n = 0; n < batches; n++) place.append(journal, count);
  const us = (nowUs() - began) / (batches * count);
  journal.close();
  place.remove();
  return us;
}

/** µs an entry of a batch of one each 10 ms, the median. */
async function appendingCold(): Promise<number> {
  const place = new Place();
  const journal = place.open(false);
  const took: number[] = [];
  for (let n = 0; n < COLD_BATCHES; n++) {
    await delay(COLD_EVERY_MS);
    const began = nowUs();
    place.append(journal, 1);
    took.push(nowUs() - began);
  }
  journal.close();
  place.remove();
  return took.sort((a, b) => a - b)[COLD_BATCHES / 2] as number;
}

/** µs a call: what no journal can do without. */
function writing(): number {
  const place = new Place();
  const fd = openSync(join(place.directory, 'bare'), 'wx');
  const bytes = ENTRIES[0] as Buffer;
  const began = nowUs();
  for (let n = 0; n < WARM_ENTRIES; n++) writeSync(fd, bytes, 0, bytes.length, n * bytes.length);
  const us = (nowUs() - began) / WARM_ENTRIES;
  closeSync(fd);
  place.remove();
  return us;
}

/** A journal of 2 GiB: ms until it is open after a death, and entries read a second. */
function large(): { readonly openMs: number; readonly read: number; readonly dropped: number } {
  const place = new Place();
  const written = place.open(false);
  while (written.bytes < LARGE_BYTES) for (let n = 0; n < 100; n++) place.append(written, 256);
  const began = nowUs();
  const journal = place.open(false);
  const openMs = (nowUs() - began) / 1000;
  const reader = new JournalReader({ directory: join(place.directory, 'journal') });
  const readFrom = nowUs();
  const end = Math.min(journal.end, 1_000_000);
  let entries = 0;
  for (let at = 0; at < end; ) {
    const found = reader.read(at, end, READ_BYTES);
    entries += found.entries.length;
    at = found.next;
  }
  const read = (entries / (nowUs() - readFrom)) * 1e6;
  reader.close();
  const dropped = written.end - journal.end + (end - entries);
  journal.close();
  place.remove();
  return { openMs, read, dropped };
}

export async function run({ runs = RUNS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  const rows: { readonly name: string; readonly unit: string; measure(): number | Promise<number> }[] = [
    { name: 'a bare writeSync of 600 bytes', unit: 'µs', measure: writing },
    { name: 'entry, batches of 1', unit: 'µs', measure: () => appending(1, false) },
    { name: 'entry, batches of 16', unit: 'µs', measure: () => appending(16, false) },
    { name: 'entry, batches of 256', unit: 'µs', measure: () => appending(256, false) },
    { name: 'entry, one each 10 ms', unit: 'µs', measure: appendingCold },
    { name: 'entry, batches of 1, synced', unit: 'µs', measure: () => appending(1, true) },
    { name: 'entry, batches of 16, synced', unit: 'µs', measure: () => appending(16, true) },
    { name: 'entry, batches of 256, synced', unit: 'µs', measure: () => appending(256, true) },
  ];
  const values = rows.map((): number[] => []);
  // The compiler has seen it.
  appending(1, false);
  for (let round = 0; round < runs; round++) {
    progress(`round ${round + 1} of ${runs}`);
    for (const [index, { measure }] of rows.entries()) values[index]?.push(await measure());
  }
  const opened: number[] = [];
  const read: number[] = [];
  let dropped = 0;
  for (let round = 0; round < runs; round++) {
    progress(`2 GiB, ${round + 1} of ${runs}`);
    const result = large();
    opened.push(result.openMs);
    read.push(result.read);
    dropped += result.dropped;
  }
  const figures: Figure[] = [
    ...rows.map(({ name, unit }, index) => figureOf(name, unit, values[index] ?? [])),
    figureOf('2 GiB open after a death', 'ms', opened),
    figureOf('entries read', '1/s', read),
  ];
  const [bare, single] = figures;
  return {
    id: 'J',
    title: 'the journal: an entry of 600 bytes appended and read, 2 GiB opened',
    figures,
    ratios: [{ name: 'batches of 1 to a bare write', value: (single?.median ?? 0) / (bare?.median ?? 1) }],
    dropped,
    notes: ['the last segment and the repeats of ten minutes are read when it opens'],
  };
}

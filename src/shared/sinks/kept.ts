/**
 * Entries that a sink has yet to get, out of segments that went because the journal had grown too much: a file for each stretch of the journal, which goes
 * when the sink's cursor has passed it. The entries keep their positions.
 *
 * A file is named by the sink's cursor, the stretch's first position and the one behind it. Each entry in it: u32 CRC-32C of what follows, f64 position, f64 sequence
 * number, the entry. Little-endian.
 */

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../crc32.js';
import { entryLengthAt, type JournalledEntry, MAX_ENTRY_BYTES } from '../journal/entry.js';
import type { Gap } from './backlog.js';

const HEAD_BYTES = 20;
const SUFFIX = '.kept';
const PARTIAL = '.partial';

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly path: string;
  readonly bytes: number;
}

export class KeptEntries {
  readonly #directory: string;
  readonly #name: string;
  /** Ascending, one behind the other. */
  #stretches: Stretch[] = [];
  /** Where the last reading ended: a position in a stretch, and the offset of the next entry in its file. */
  #at: { readonly stretch: Stretch; readonly position: number; readonly offset: number } | undefined;

  /** `name` is the cursor's. */
  constructor({ directory, name }: { readonly directory: string; readonly name: string }) {
    this.#directory = directory;
    this.#name = name;
  }

  /** Finds what an earlier run kept, and removes what is before `position`. */
  open(position: number): void {
    mkdirSync(this.#directory, { recursive: true });
    for (const file of readdirSync(this.#directory).sort()) {
      if (!file.startsWith(`${this.#name}.`)) continue;
      const path = join(this.#directory, file);
      const [, from, to] = /\.(\d{16})\.(\d{16})\.kept$/.exec(file) ?? [];
      if (from === undefined) rmSync(path);
      else this.#stretches.push({ from: Number(from), to: Number(to), path, bytes: statSync(path).size });
    }
    this.done(position);
  }

  /** Position behind what is kept; 0 where nothing is. */
  get end(): number {
    return this.#stretches.at(-1)?.to ?? 0;
  }

  /** Keeps `entries`, which are all that the sink needs `from` a position on and before `to`. Throws what writing throws: then nothing is kept of them. */
  keep(from: number, to: number, entries: Iterable<JournalledEntry>): void {
    const digits = (position: number) => String(position).padStart(16, '0');
    const path = join(this.#directory, `${this.#name}.${digits(from)}.${digits(to)}${SUFFIX}`);
    const partial = path + PARTIAL;
    const file = openSync(partial, 'w', 0o600);
    let bytes = 0;
    try {
      for (const entry of entries) {
        const encoded = encode(entry);
        writeWhole(file, encoded);
        bytes += encoded.length;
      }
      fsyncSync(file);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
    syncDirectory(this.#directory);
    this.#stretches.push({ from, to, path, bytes });
  }

  /** Entries from `from` on, until `maxBytes` are passed; undefined where `from` is in no stretch. */
  read(
    from: number,
    maxBytes: number,
  ): { readonly entries: JournalledEntry[]; readonly next: number; readonly gap?: Gap } | undefined {
    const stretch = this.#stretches.find((each) => from >= each.from && from < each.to);
    if (stretch === undefined) return undefined;
    const { to, path } = stretch;
    const known = this.#at?.stretch === stretch && this.#at.position <= from ? this.#at : undefined;
    let offset = known?.offset ?? 0;
    const file = openSync(path, 'r');
    try {
      for (;;) {
        const bytes = Buffer.alloc(Math.max(maxBytes, HEAD_BYTES + MAX_ENTRY_BYTES));
        const read = readSync(file, bytes, 0, bytes.length, offset);
        const { entries, end } = decode(bytes.subarray(0, read));
        // Half an entry at the end of what was read is whole in the next reading; at its beginning it is damage.
        if (read > 0 && end === 0) return { entries: [], next: to, gap: { from, to } };
        offset += end;
        const wanted = entries.filter(({ position }) => position >= from);
        const next = read < bytes.length && end === read ? to : (entries.at(-1)?.position ?? to - 1) + 1;
        this.#at = { stretch, position: next, offset };
        if (wanted.length > 0 || next === to) return { entries: wanted, next };
      }
    } finally {
      closeSync(file);
    }
  }

  get bytes(): number {
    return this.#stretches.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Entries from `from` on. */
  count(from: number): number {
    let count = 0;
    for (const { from: first, to } of this.#stretches) {
      for (let at = Math.max(from, first); at < to; ) {
        const { entries, next } = this.read(at, MAX_ENTRY_BYTES) ?? { entries: [], next: to };
        count += entries.length;
        at = next;
      }
    }
    return count;
  }

  /** Removes what is before `position`. */
  done(position: number): void {
    while (this.#stretches[0] !== undefined && this.#stretches[0].to <= position) {
      const { path } = this.#stretches.shift() as Stretch;
      rmSync(path, { force: true });
    }
  }
}

function encode({ position, seq, bytes }: JournalledEntry): Buffer {
  const whole = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
  whole.writeDoubleLE(position, 4);
  whole.writeDoubleLE(seq, 12);
  whole.set(bytes, HEAD_BYTES);
  whole.writeUInt32LE(crc32c(whole, 4), 0);
  return whole;
}

/** The whole entries that `bytes` begin with, and where they end. */
function decode(bytes: Buffer): { entries: JournalledEntry[]; end: number } {
  const entries: JournalledEntry[] = [];
  let at = 0;
  try {
    while (at + HEAD_BYTES < bytes.length) {
      const end = at + HEAD_BYTES + entryLengthAt(bytes, at + HEAD_BYTES);
      if (end > bytes.length || bytes.readUInt32LE(at) !== crc32c(bytes, at + 4, end)) break;
      entries.push({
        position: bytes.readDoubleLE(at + 4),
        seq: bytes.readDoubleLE(at + 12),
        bytes: bytes.subarray(at + HEAD_BYTES, end),
      });
      at = end;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return { entries, end: at };
}

function writeWhole(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

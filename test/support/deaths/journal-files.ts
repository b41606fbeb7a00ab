/**
 * Reads the journal's files, by what their documentation says and with no code of the journal: whoever judges it must not be deceived
 * with it. All that is not as documented is thrown.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface FiledEntry {
  readonly epoch: string;
  readonly position: number;
  /** Of entries with a frame. */
  readonly seq: number | undefined;
  readonly own: boolean;
  readonly author: string;
  /** Unix ms. */
  readonly receivedAt: number;
  /** JSON of the frame; undefined without one. */
  readonly text: string | undefined;
  /** The same. */
  readonly frame: { readonly type: string; readonly hash?: string; readonly peer_id?: string } | undefined;
  readonly record:
    | { readonly topic: number; readonly key: Uint8Array; readonly value: Uint8Array }
    | undefined;
}

export interface FiledJournal {
  readonly entries: readonly FiledEntry[];
  /** Of each segment. */
  readonly epochs: readonly string[];
  /** Bytes behind the last whole batch: what a death in the midst of writing leaves. */
  readonly torn: number;
}

const SEGMENT_HEAD = 128;
const BATCH_HEAD = 64;
const ENTRY_HEAD = 28;
const OWN = 1;
const FRAME = 2;
const RECORD = 4;
const REPEAT = 8;
const HEADER = 16;

/** CRC-32C, byte by byte, as RFC 3720 has it. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`the journal's files: ${what}`);
}

/**
 * The journal in `directory`; an empty one where there is none. `pristine`: segments by name as they were, which are read in place of those that
 * are there, or are not.
 */
export function readJournalFiles(
  directory: string,
  pristine: ReadonlyMap<string, Buffer> = new Map(),
): FiledJournal {
  const found = listed(directory).filter((name) => name.endsWith('.journal'));
  const names = [...new Set([...found, ...pristine.keys()])].sort();
  const entries: FiledEntry[] = [];
  const epochs: string[] = [];
  const ids = new Set<number>();
  let torn = 0;
  let next: { position: number; seq: number } | undefined;
  for (const [index, name] of names.entries()) {
    must(torn === 0, `${torn} bytes that are no batch, and a segment behind them`);
    const bytes = pristine.get(name) ?? readFileSync(join(directory, name));
    if (bytes.length < SEGMENT_HEAD && index === names.length - 1) {
      torn = bytes.length;
      continue;
    }
    const head = segmentHead(bytes, name);
    next ??= head;
    must(head.position === next.position && head.seq === next.seq, `${name} begins where nothing ends`);
    epochs.push(head.epoch);
    let at = SEGMENT_HEAD;
    while (at < bytes.length) {
      const batch = batchAt(bytes, at, head.mark);
      if (batch === undefined) break;
      must(!ids.has(batch.id), `batch ${batch.id} is there twice`);
      ids.add(batch.id);
      must(batch.position === next.position && batch.seq === next.seq, `${name} has a gap at ${at}`);
      const found = entriesOf(batch.body, { ...batch, epoch: head.epoch });
      must(found.length === batch.count, `${found.length} of ${batch.count} entries at ${at} of ${name}`);
      entries.push(...found);
      next = { position: batch.position + batch.count, seq: batch.seq + batch.frames };
      must(found.filter(({ seq }) => seq !== undefined).length === batch.frames, 'frames are counted wrong');
      at += BATCH_HEAD + batch.body.length;
    }
    torn = bytes.length - at;
  }
  return { entries, epochs, torn };
}

/** The batches of a segment whose head is whole: where the entries of each are, and the frames among them. */
export function batchesIn(segment: Buffer): {
  readonly epoch: string;
  readonly seq: number;
  readonly frames: number;
  readonly at: number;
  readonly length: number;
}[] {
  const epoch = segment.toString('hex', 16, 24);
  const found = [];
  for (let at = SEGMENT_HEAD; ; ) {
    const batch = batchAt(segment, at, segment.readUInt32LE(48));
    if (batch === undefined) return found;
    const { seq, frames, body } = batch;
    found.push({ epoch, seq, frames, at: at + BATCH_HEAD, length: body.length });
    at += BATCH_HEAD + body.length;
  }
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function segmentHead(bytes: Buffer, name: string) {
  must(bytes.toString('latin1', 0, 8) === 'TP2PJRNL', `${name} begins with something else`);
  must(bytes.subarray(0, 64).equals(bytes.subarray(64, 128)), `the copies of the head of ${name} differ`);
  must(bytes.readUInt32LE(60) === checksum(bytes.subarray(0, 60)), `the head of ${name} is damaged`);
  must(bytes.readUInt32LE(8) === 1, `${name} has another version`);
  const position = bytes.readDoubleLE(24);
  must(name === `${String(position).padStart(16, '0')}.journal`, `${name} begins at ${position}`);
  return {
    epoch: bytes.toString('hex', 16, 24),
    position,
    seq: bytes.readDoubleLE(32),
    mark: bytes.readUInt32LE(48),
  };
}

interface Batch {
  readonly id: number;
  readonly position: number;
  readonly seq: number;
  readonly count: number;
  readonly frames: number;
  readonly body: Buffer;
}

/** Undefined where no whole one is. */
function batchAt(bytes: Buffer, at: number, mark: number): Batch | undefined {
  if (at + BATCH_HEAD > bytes.length) return undefined;
  const head = bytes.subarray(at, at + BATCH_HEAD);
  if (head.readUInt32LE(0) !== mark || head.readUInt32LE(4) !== checksum(head.subarray(8))) return undefined;
  const body = bytes.subarray(at + BATCH_HEAD, at + BATCH_HEAD + head.readUInt32LE(12));
  if (body.length < head.readUInt32LE(12) || head.readUInt32LE(8) !== checksum(body)) return undefined;
  return {
    count: head.readUInt32LE(16),
    frames: head.readUInt32LE(20),
    id: head.readDoubleLE(24),
    position: head.readDoubleLE(32),
    seq: head.readDoubleLE(40),
    body,
  };
}

function entriesOf(
  body: Buffer,
  first: { readonly epoch: string; readonly position: number; readonly seq: number },
): FiledEntry[] {
  const found: FiledEntry[] = [];
  let { seq } = first;
  for (let at = 0; at < body.length; ) {
    const entry = body.subarray(at, at + body.readUInt32LE(at));
    const flags = entry.readUInt8(5);
    let from = ENTRY_HEAD;
    const next = (length: number): Buffer => {
      from += length;
      return entry.subarray(from - length, from);
    };
    if ((flags & RECORD) !== 0) next(32);
    if ((flags & REPEAT) !== 0) next(16);
    if ((flags & HEADER) !== 0) next(80);
    const author = next(entry.readUInt8(7)).toString('latin1');
    const text = next(entry.readUInt32LE(16)).toString();
    const key = next(entry.readUInt16LE(24));
    const value = next(entry.readUInt32LE(20));
    must(from === entry.length, `an entry of ${entry.length} bytes has ${from}`);
    found.push({
      epoch: first.epoch,
      position: first.position + found.length,
      seq: (flags & FRAME) === 0 ? undefined : seq++,
      own: (flags & OWN) !== 0,
      author,
      receivedAt: entry.readDoubleLE(8),
      text: (flags & FRAME) === 0 ? undefined : text,
      frame: (flags & FRAME) === 0 ? undefined : JSON.parse(text),
      record: (flags & RECORD) === 0 ? undefined : { topic: entry.readUInt8(6), key, value },
    });
    at += entry.length;
  }
  return found;
}

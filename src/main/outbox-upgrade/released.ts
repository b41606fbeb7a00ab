/**
 * The outbox of earlier releases: a LevelDB, read and never written. Numbers in keys have 16 digits, so that text order is number order.
 *
 * Format 2 has the first 8 bytes of a value's SHA-256 before it; in format 1 it has none. An upgrade from 1 to 2 that was interrupted
 * says in `upgraded` how far it got, in the order of the keys.
 */

import { createHash } from 'node:crypto';
import { ClassicLevel } from 'classic-level';

const NEWEST_FORMAT = 2;
const SEAL_BYTES = 8;
const REPEAT_BYTES = 16;
const HASH_BYTES = 32;

export interface ReleasedFrame {
  readonly receivedAt: number;
  /** Index in the table of message kinds as it was. */
  readonly kind: number;
  readonly own: boolean;
  readonly json: Buffer;
}

export interface ReleasedRecord {
  readonly receivedAt: number;
  readonly hash: Buffer;
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface ReleasedRepeat {
  /** 16 bytes, as latin1 text. */
  readonly key: string;
  /** Unix ms. */
  readonly at: number;
}

export interface ReleasedLetter {
  readonly topic: string;
  readonly reason: string;
  readonly at: number;
  readonly record: ReleasedRecord;
}

const rangeOf = (name: string) => ({ gte: `${name}/`, lt: `${name}0` });

export class ReleasedOutbox {
  readonly #level: ClassicLevel<string, Buffer>;
  #format = 0;
  #upgraded: string | undefined;

  constructor(path: string) {
    this.#level = new ClassicLevel(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  }

  /** Undefined where it is empty. Throws RangeError where it is of no known format. */
  async open(): Promise<ReleasedHead | undefined> {
    await this.#level.open({ createIfMissing: false });
    const text = async (key: string) => (await this.#level.get(key))?.toString();
    const [format, epoch] = [await text('format'), await text('epoch')];
    if (format === undefined && epoch === undefined) return undefined;
    this.#format = Number(format);
    if (epoch === undefined || !(this.#format >= 1 && this.#format <= NEWEST_FORMAT)) {
      throw new RangeError(`it has format ${format ?? 'none'}: this version reads 1 to ${NEWEST_FORMAT}`);
    }
    this.#upgraded = await text('upgraded');
    const position = await this.#level.get('position');
    return {
      epoch,
      nextSeq: position?.readDoubleLE(0) ?? 0,
      notified: (await this.#level.get('notified'))?.readDoubleLE(0),
      unsynced: (await text('unsynced')) ?? 'safe',
    };
  }

  /** The value as it was stored. Throws RangeError when it is damaged. */
  #unsealed(key: string, value: Buffer): Buffer {
    const interrupted = this.#upgraded !== undefined && key > this.#upgraded;
    if (this.#format === 1 || (interrupted && !key.startsWith('repeats/'))) return value;
    const body = value.subarray(SEAL_BYTES);
    const seal = createHash('sha256').update(body).digest().subarray(0, SEAL_BYTES);
    if (value.length < SEAL_BYTES || seal.compare(value, 0, SEAL_BYTES) !== 0) {
      throw new RangeError('a value has a wrong checksum');
    }
    return body;
  }

  /** Frames in the order of their numbers, those of a batch together, and what was remembered with them. Throws RangeError. */
  async *frames(): AsyncGenerator<{ firstSeq: number; frames: ReleasedFrame[]; repeats: ReleasedRepeat[] }> {
    for await (const [key, value] of this.#level.iterator(rangeOf('frames'))) {
      yield { firstSeq: numberIn(key), ...decodeFrames(this.#unsealed(key, value)) };
    }
  }

  /** What waits for `topic`, in order, those of a batch together; `records` undefined where they are damaged. */
  async *records(topic: string): AsyncGenerator<ReleasedRecord[] | undefined> {
    for await (const [key, value] of this.#level.iterator(rangeOf(`entries/${topic}`))) {
      const count = Number(/\/([1-9]\d*)$/.exec(key)?.[1]);
      const records = unlessDamaged(() => decodeRecords(this.#unsealed(key, value)));
      yield records?.length === count ? records : undefined;
    }
  }

  /** Names of the topics for which something waits. */
  async topics(): Promise<string[]> {
    const names = new Set<string>();
    for (let after = 'entries/'; ; ) {
      const [key] = await this.#level.keys({ gte: after, lt: 'entries0', limit: 1 }).all();
      if (key === undefined) return [...names];
      const [, name = ''] = key.split('/');
      names.add(name);
      after = `entries/${name}0`;
    }
  }

  async *repeats(): AsyncGenerator<ReleasedRepeat[]> {
    for await (const [key, value] of this.#level.iterator(rangeOf('repeats'))) {
      const bytes = unlessDamaged(() => this.#unsealed(key, value)) ?? Buffer.alloc(0);
      yield keysIn(bytes, Math.floor(bytes.length / REPEAT_BYTES), Number(key.split('/')[1]));
    }
  }

  /** Letters, the oldest first; undefined for one that is damaged. */
  async *letters(): AsyncGenerator<ReleasedLetter | undefined> {
    for await (const [key, value] of this.#level.iterator(rangeOf('dead'))) {
      yield unlessDamaged(() => decodeLetter(this.#unsealed(key, value)));
    }
  }

  /** Whether an earlier version has set damaged values aside. */
  async hasDamaged(): Promise<boolean> {
    return (await this.#level.keys({ ...rangeOf('damaged'), limit: 1 }).all()).length > 0;
  }

  close(): Promise<void> {
    return this.#level.close();
  }
}

export interface ReleasedHead {
  readonly epoch: string;
  readonly nextSeq: number;
  /** Behind the last frame that the notifications topic acknowledged; undefined where there never was one. */
  readonly notified: number | undefined;
  /** The machine's boot under which writes did not wait for the disk, or `safe`. */
  readonly unsynced: string;
}

/** What `read` gives; undefined when it throws RangeError, as of a damaged value. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function numberIn(key: string): number {
  return Number(key.slice(key.indexOf('/') + 1));
}

function keysIn(bytes: Buffer, count: number, at: number, from = 0): ReleasedRepeat[] {
  return Array.from({ length: count }, (_, n) => ({
    key: bytes.toString('latin1', from + n * REPEAT_BYTES, from + (n + 1) * REPEAT_BYTES),
    at,
  }));
}

/**
 * The time of storing (double), numbers of repeat keys and of frames (32-bit), the keys, then for each frame receivedAt (double), kind,
 * own, length of JSON (32-bit), JSON. Little-endian, as all of it.
 */
function decodeFrames(bytes: Buffer): { frames: ReleasedFrame[]; repeats: ReleasedRepeat[] } {
  const keyCount = bytes.readUInt32LE(8);
  const count = bytes.readUInt32LE(12);
  let at = 16 + keyCount * REPEAT_BYTES;
  if (at > bytes.length) throw new RangeError('frames are cut short');
  const frames: ReleasedFrame[] = [];
  for (let n = 0; n < count; n++) {
    const jsonAt = at + 14;
    const end = jsonAt + bytes.readUInt32LE(at + 10);
    if (end > bytes.length) throw new RangeError('frames are cut short');
    frames.push({
      receivedAt: bytes.readDoubleLE(at),
      kind: bytes.readUInt8(at + 8),
      own: bytes.readUInt8(at + 9) === 1,
      json: bytes.subarray(jsonAt, end),
    });
    at = end;
  }
  return { frames, repeats: keysIn(bytes, keyCount, bytes.readDoubleLE(0), 16) };
}

/** A count, then for each the time of receipt (double), the hash, lengths of key and value (32-bit), key, value. */
function decodeRecords(bytes: Buffer): ReleasedRecord[] {
  const count = bytes.readUInt32LE(0);
  const records: ReleasedRecord[] = [];
  let at = 4;
  for (let n = 0; n < count; n++) {
    const keyAt = at + 8 + HASH_BYTES + 8;
    const valueAt = keyAt + bytes.readUInt32LE(at + 8 + HASH_BYTES);
    const end = valueAt + bytes.readUInt32LE(at + 12 + HASH_BYTES);
    if (end > bytes.length) throw new RangeError('records are cut short');
    records.push({
      receivedAt: bytes.readDoubleLE(at),
      hash: bytes.subarray(at + 8, at + 8 + HASH_BYTES),
      key: bytes.subarray(keyAt, valueAt),
      value: bytes.subarray(valueAt, end),
    });
    at = end;
  }
  return records;
}

/** A length (32-bit), what is said about the record as JSON, the record. */
function decodeLetter(bytes: Buffer): ReleasedLetter {
  const end = 4 + bytes.readUInt32LE(0);
  const [record] = decodeRecords(bytes.subarray(end));
  if (record === undefined) throw new RangeError('a dead letter without its record');
  return { ...(JSON.parse(bytes.toString('utf8', 4, end)) as Omit<ReleasedLetter, 'record'>), record };
}

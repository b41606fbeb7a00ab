/** Entries that a sink refuses for good: kept, shown, put back on request. A file each, in a directory of their own. */

import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hashFromBytes } from '../bitcoin/hash.js';
import { wall } from '../clock.js';
import { crc32c } from '../crc32.js';
import { errorMessage } from '../errors.js';
import { decodeEntry } from '../journal/entry.js';
import type { Logger } from '../logging/logger.js';
import { QUEUES } from '../queues.js';
import type { OutboxMetrics } from './metrics.js';
import type { DeadLetter } from './types.js';

/** Which entry, refused by whom: what a letter is only once. */
export interface LetterKey {
  readonly sink: string;
  readonly topic: string;
  readonly epoch: string;
  readonly position: number;
}

/** What a letter's file says about its entry. */
export interface LetterAbout extends LetterKey {
  readonly reason: string;
  /** Unix ms. */
  readonly at: number;
}

export interface DeadLettersOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Wait for the disk with every letter (`p2p_outbox_fsync`). */
  readonly fsync: boolean;
  /**
   * Bound of the queue `dead letters`.
   * @default 10_000
   */
  readonly max?: number;
}

/** A letter put back: the entry as it was refused. */
export interface ReturnedLetter extends LetterKey {
  readonly entry: Uint8Array;
}

/** A letter cannot be kept now, such as on a full disk. */
export class LetterUnkeptError extends Error {
  override readonly name = 'LetterUnkeptError';
}

const MAX_DEAD_LETTERS = QUEUES.deadLetters.bounds.records;
/** Letters read in one turn, and put back with one batch. */
const SOME = 200;
/** A batch of the journal takes a multiple of it. */
const SOME_BYTES = 4 * 1_048_576;
const MAX_REASON = 1024;
const SUFFIX = '.letter';
const DAMAGED = 'damaged';

const nameOf = (id: number, { sink, topic, epoch, position }: LetterKey): string =>
  `${String(id).padStart(16, '0')}.${keyOf({ sink, topic, epoch, position })}${SUFFIX}`;
const keyOf = ({ sink, topic, epoch, position }: LetterKey): string =>
  `${sink}.${topic}.${epoch}.${position}`;

export class DeadLetters {
  readonly #logger: Logger;
  readonly #metrics: OutboxMetrics;
  readonly #directory: string;
  readonly #fsync: boolean;
  readonly #max: number;
  /** Names of the files, by id, oldest first. */
  readonly #letters = new Map<number, string>();
  #nextId = 1;

  constructor(
    { logger, metrics }: { logger: Logger; metrics: OutboxMetrics },
    { directory, fsync, max = MAX_DEAD_LETTERS }: DeadLettersOptions,
  ) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#directory = directory;
    this.#fsync = fsync;
    this.#max = max;
  }

  /** Finds what is there. */
  open(): void {
    mkdirSync(this.#directory, { recursive: true });
    for (const name of readdirSync(this.#directory).sort()) {
      const id = /^(\d{16})\..*\.letter$/.exec(name)?.[1];
      // Half a letter of a process that died with it: its entry is still before its cursor.
      if (name.endsWith('.partial')) rmSync(join(this.#directory, name), { force: true });
      else if (id !== undefined) this.#letters.set(Number(id), name);
    }
    this.#nextId = Math.max(0, ...this.#letters.keys()) + 1;
    this.#metrics.deadLetters.set(this.#letters.size);
  }

  /** Keeps `entry`, once for each key. Past the bound the oldest letter goes. Throws LetterUnkeptError. */
  add(key: LetterKey, entry: Uint8Array, reason: string): void {
    const known = `.${keyOf(key)}${SUFFIX}`;
    // Kept by a process that died before it had moved the cursor.
    for (const name of this.#letters.values()) if (name.endsWith(known)) return;
    const about: LetterAbout = { ...key, reason: reason.slice(0, MAX_REASON), at: wall.shown() };
    try {
      this.keep(about, entry);
    } catch (error) {
      throw new LetterUnkeptError(`a refused record cannot be kept: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    const surplus = this.#letters.size - this.#max;
    if (surplus > 0) {
      for (const oldest of [...this.#letters.keys()].slice(0, surplus)) this.#remove(oldest);
      this.#metrics.deadLettersLost.inc(surplus);
      this.#logger.error({ lost: surplus }, 'too many dead letters: the oldest is lost');
    }
    this.#metrics.deadLetters.set(this.#letters.size);
    const { record } = decodeEntry(entry);
    const hash = record === undefined ? '' : hashFromBytes(record.hash);
    this.#logger.error(
      { topic: key.topic, hash, reason: about.reason },
      'Kafka refuses a record: it is a dead letter now',
    );
  }

  /** Writes a letter, and nothing else. */
  keep(about: LetterAbout, entry: Uint8Array): void {
    const name = nameOf(this.#nextId, about);
    this.#write(name, encodeLetter(about, entry));
    this.#letters.set(this.#nextId++, name);
  }

  #write(name: string, bytes: Buffer): void {
    const path = join(this.#directory, name);
    const partial = `${path}.partial`;
    const file = openSync(partial, 'w', 0o600);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (this.#fsync) fdatasyncSync(file);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
    if (this.#fsync) this.#sync();
  }

  #sync(): void {
    const directory = openSync(this.#directory, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }

  #remove(id: number): void {
    rmSync(join(this.#directory, this.#letters.get(id) ?? ''), { force: true });
    this.#letters.delete(id);
  }

  /** Reads the letter `id`; undefined when it is damaged. */
  #read(id: number): { readonly about: LetterAbout; readonly entry: Uint8Array } | undefined {
    try {
      return decodeLetter(readFileSync(join(this.#directory, this.#letters.get(id) ?? '')));
    } catch (error) {
      if (error instanceof RangeError || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** The oldest `limit`, without those of them that are damaged: what is put back next sets them aside. */
  async list(limit: number): Promise<DeadLetter[]> {
    const found: DeadLetter[] = [];
    let read = 0;
    for (const id of [...this.#letters.keys()].slice(0, Math.max(1, limit))) {
      if (++read % SOME === 0) await nextTurn();
      if (!this.#letters.has(id)) continue;
      const letter = this.#read(id);
      if (letter === undefined) continue;
      const { topic, reason, at } = letter.about;
      const { record } = decodeEntry(letter.entry);
      found.push({ id: String(id), topic, reason, at, hash: record ? hashFromBytes(record.hash) : '' });
    }
    return found;
  }

  /**
   * Puts letters back behind what waits, oldest first, each as long as there is `capacity` for records of its topic: `append` stores
   * some together, or throws, and leaves less room. Gives the number put back.
   */
  async replay(
    capacity: (topic: string) => number,
    append: (letters: readonly ReturnedLetter[]) => void,
  ): Promise<number> {
    let replayed = 0;
    // Those that come back meanwhile are for the next time.
    const ids = [...this.#letters.keys()];
    for (let at = 0; at < ids.length; ) {
      const { back, looked } = this.#some(ids.slice(at, at + SOME), capacity);
      at += looked;
      if (back.size > 0) append([...back.values()]);
      for (const id of back.keys()) this.#remove(id);
      replayed += back.size;
      this.#metrics.deadLetters.set(this.#letters.size);
      await nextTurn();
    }
    return replayed;
  }

  /** Of the first of `ids`, as many as `looked` says, those for which there is room, by id. Those that are damaged are set aside. */
  #some(
    ids: readonly number[],
    capacity: (topic: string) => number,
  ): { readonly back: Map<number, ReturnedLetter>; readonly looked: number } {
    const back = new Map<number, ReturnedLetter>();
    const taken = new Map<string, number>();
    let [looked, bytes, damaged] = [0, 0, 0];
    for (const id of ids) {
      if (bytes >= SOME_BYTES) break;
      looked++;
      if (!this.#letters.has(id)) continue;
      const letter = this.#read(id);
      if (letter === undefined) {
        this.#setAside(id);
        damaged++;
        continue;
      }
      const { sink, topic, epoch, position } = letter.about;
      const count = taken.get(topic) ?? 0;
      if (count >= capacity(topic)) continue;
      taken.set(topic, count + 1);
      back.set(id, { sink, topic, epoch, position, entry: letter.entry });
      bytes += letter.entry.length;
    }
    if (damaged > 0) {
      this.#logger.error({ letters: damaged }, 'dead letters are damaged: they are set aside');
    }
    return { back, looked };
  }

  #setAside(id: number): void {
    const name = this.#letters.get(id) ?? '';
    mkdirSync(join(this.#directory, DAMAGED), { recursive: true });
    renameSync(join(this.#directory, name), join(this.#directory, DAMAGED, name));
    this.#letters.delete(id);
  }
}

/** u32 CRC-32C of what follows, u32 length of JSON, the JSON that says what it is, the entry. */
function encodeLetter(about: LetterAbout, entry: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(about));
  const bytes = Buffer.concat([Buffer.alloc(8), json, entry]);
  bytes.writeUInt32LE(json.length, 4);
  bytes.writeUInt32LE(crc32c(bytes, 4), 0);
  return bytes;
}

/** Throws RangeError when it is damaged. */
function decodeLetter(bytes: Buffer): { about: LetterAbout; entry: Uint8Array } {
  if (bytes.length < 8 || bytes.readUInt32LE(0) !== crc32c(bytes, 4)) {
    throw new RangeError('a dead letter is damaged');
  }
  const end = 8 + bytes.readUInt32LE(4);
  return { about: JSON.parse(bytes.toString('utf8', 8, end)) as LetterAbout, entry: bytes.subarray(end) };
}

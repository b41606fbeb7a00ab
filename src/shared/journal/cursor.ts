/**
 * How far a reader that must miss nothing has come, in a file of its own: two slots, written in turn, so that a write that is cut leaves the other.
 *
 * A slot, at 0 and at 4096, little-endian: "TP2PCURS", f64 number of the write, 8 bytes of epoch, f64 position, u32 CRC-32C of what is before.
 */

import { join } from 'node:path';
import { crc32c } from '../crc32.js';
import { isMissing } from './errors.js';
import { FILES, type FileCalls, readUpTo, withFile, writeAll } from './files.js';
import type { Position } from './layout.js';

const MAGIC = Buffer.from('TP2PCURS');
const SLOT_BYTES = 36;
/** A page from one another: no write of one may damage the other. */
const SLOTS = [0, 4096];
const FILE_BYTES = 8192;
const SUFFIX = '.cursor';
const PARTIAL = '.partial';
const NAME = /^[\w.-]+$/;

/** The next entry that is wanted, in the epoch in which that number was given. */
export interface CursorPosition {
  readonly epoch: string;
  readonly position: Position;
}

export interface CursorOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Of the topic and the sink; letters, digits, `-`, `_` and `.`. */
  readonly name: string;
  readonly files?: FileCalls;
}

/** Names of the cursors in a directory, which may be missing. Other files there are nobody's. */
export function cursorNames(directory: string, files: FileCalls = FILES): string[] {
  try {
    return files
      .list(directory)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
      .filter((name) => NAME.test(name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function encodeSlot(number: number, { epoch, position }: CursorPosition): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  MAGIC.copy(bytes);
  bytes.writeDoubleLE(number, 8);
  bytes.write(epoch, 16, 'hex');
  bytes.writeDoubleLE(position, 24);
  bytes.writeUInt32LE(crc32c(bytes, 0, 32), 32);
  return bytes;
}

interface Slot extends CursorPosition {
  readonly number: number;
}

function decodeSlot(bytes: Buffer): Slot | undefined {
  if (bytes.length < SLOT_BYTES || bytes.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) !== 0)
    return undefined;
  if (bytes.readUInt32LE(32) !== crc32c(bytes, 0, 32)) return undefined;
  return {
    number: bytes.readDoubleLE(8),
    epoch: bytes.toString('hex', 16, 24),
    position: bytes.readDoubleLE(24),
  };
}

export class Cursor {
  readonly #files: FileCalls;
  readonly #directory: string;
  readonly #path: string;
  #fd: number | undefined;
  #number = 0;
  #at: CursorPosition | undefined;

  /**
   * What was found: where the cursor stands, `new` where there is none, or `damaged` where both slots are. With the last two `reset` says where it is to stand.
   */
  readonly found: CursorPosition | 'new' | 'damaged';

  private constructor({ directory, name, files = FILES }: CursorOptions) {
    if (!NAME.test(name)) throw new RangeError(`${name} is no name of a cursor`);
    this.#files = files;
    this.#directory = directory;
    this.#path = join(directory, name + SUFFIX);
    this.found = this.#find();
    if (typeof this.found === 'object') this.#at = this.found;
  }

  /** Where it stands; undefined while it stands nowhere. */
  get at(): CursorPosition | undefined {
    return this.#at;
  }

  /** Throws RangeError on a name that is none, and what the file system throws. */
  static open(options: CursorOptions): Cursor {
    return new Cursor(options);
  }

  #find(): CursorPosition | 'new' | 'damaged' {
    const files = this.#files;
    files.makeDirectory(this.#directory);
    let fd: number;
    try {
      fd = files.open(this.#path, 'r+');
    } catch (error) {
      if (isMissing(error)) return 'new';
      throw error;
    }
    const slots = SLOTS.map((at) => decodeSlot(readUpTo(files, fd, SLOT_BYTES, at)));
    let newest: Slot | undefined;
    for (const slot of slots) {
      if (slot !== undefined && (newest === undefined || slot.number > newest.number)) newest = slot;
    }
    if (newest === undefined) {
      files.close(fd);
      return 'damaged';
    }
    this.#fd = fd;
    this.#number = newest.number;
    return { epoch: newest.epoch, position: newest.position };
  }

  /** Notes that everything before `to` is done. Throws what the file system throws: then it stands where it stood. Not synced: what is lost is done again. */
  move(to: CursorPosition): void {
    if (this.#fd === undefined) throw new Error('the cursor stands nowhere yet');
    const number = this.#number + 1;
    const slot = encodeSlot(number, to);
    writeAll(this.#files, this.#fd, slot, slot.length, SLOTS[number % SLOTS.length] as number);
    this.#number = number;
    this.#at = to;
  }

  /** Makes it anew, at `to`, and waits for the disk. Throws what the file system throws: then what was there is still. */
  reset(to: CursorPosition): void {
    const files = this.#files;
    const partial = this.#path + PARTIAL;
    this.close();
    this.#number = 0;
    const bytes = Buffer.alloc(FILE_BYTES);
    for (const at of SLOTS) encodeSlot(0, to).copy(bytes, at);
    try {
      files.remove(partial);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    withFile(files, partial, 'wx+', (fd) => {
      writeAll(files, fd, bytes, bytes.length, 0);
      files.sync(fd);
    });
    files.rename(partial, this.#path);
    files.syncDirectory(this.#directory);
    this.#fd = files.open(this.#path, 'r+');
    this.#at = to;
  }

  /** Deletes it, where it is there. */
  remove(): void {
    this.close();
    try {
      this.#files.remove(this.#path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  close(): void {
    if (this.#fd !== undefined) this.#files.close(this.#fd);
    this.#fd = undefined;
  }
}

/**
 * The journal's head, a file beside the segments: in which epoch its numbers are, and what tells whether one of them could be given twice. It is written anew
 * and moved into place, and names the file that it is itself in, which a copy of it is not.
 */

import { join } from 'node:path';
import { crc32c } from '../crc32.js';
import { isMissing, JournalUnusableError } from './errors.js';
import { type FileCalls, readUpTo, withFile, writeAll } from './files.js';
import type { Position } from './layout.js';

const NAME = 'head';
const PARTIAL = 'head.partial';
/** Of the head, and of the directory around it. In format 1 no entry has a block's header. */
export const JOURNAL_FORMAT = 2;
const OLDEST_FORMAT = 1;
const MAX_BYTES = 65_536;
/** Epochs kept in mind, the newest: so many power losses or restored directories ago a cursor may be. */
const MAX_EPOCHS = 100;

export interface Numbers {
  readonly position: Position;
  readonly seq: number;
}

/** An epoch, and the numbers of the first entry in it. */
export interface EpochStart extends Numbers {
  readonly epoch: string;
}

export interface Head {
  /** Ascending; the last is the present one. */
  readonly epochs: readonly EpochStart[];
  /** `open` while somebody appends, or since whoever did died. */
  readonly state: 'open' | 'closed';
  /** Whether every append waited for the disk. */
  readonly fsync: boolean;
  /** Which run of the machine it is. */
  readonly boot: string;
  /** First position of the newest segment. */
  readonly newest: Position;
  /** Numbers of the next entry, where it was closed in order. */
  readonly end?: Numbers;
  /** Names of the cursors there are; without it nobody knows. */
  readonly cursors?: readonly string[];
}

export interface StoredHead extends Head {
  /** It is the file that it was written into, and not a copy. */
  readonly genuine: boolean;
}

/** The head in `directory`; undefined where there is none, or what there is cannot be read. Throws JournalUnusableError of a newer format. */
export function readHead(files: FileCalls, directory: string): StoredHead | undefined {
  const path = join(directory, NAME);
  try {
    return withFile(files, path, 'r', (fd) => {
      const text = readUpTo(files, fd, MAX_BYTES, 0).toString();
      const end = text.lastIndexOf('\n', text.length - 2);
      const body = text.slice(0, end + 1);
      if (end < 0 || crc32c(Buffer.from(body)) !== Number.parseInt(text.slice(end + 1), 16)) return undefined;
      const { format, file, ...head } = JSON.parse(body) as Head & { format: number; file: Identity };
      if (!(format >= OLDEST_FORMAT && format <= JOURNAL_FORMAT)) {
        throw new JournalUnusableError(
          `DATADIR: the journal ${directory} has format ${format}: this version reads ${OLDEST_FORMAT} to ${JOURNAL_FORMAT}`,
        );
      }
      const { inode, birth } = files.stat(fd);
      const genuine = file.inode === inode && (file.birth === '' || file.birth === birth);
      return { ...head, genuine };
    });
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface Identity {
  readonly inode: string;
  /** Empty where the file system does not keep it: an inode may be another file's by now. */
  readonly birth: string;
}

/** Writes `head`, and with `wait` waits for the disk. Throws what the file system throws: then the one before is still there. */
export function writeHead(files: FileCalls, directory: string, head: Head, wait: boolean): void {
  const path = join(directory, NAME);
  const write = (withBirth: boolean): Identity => {
    const identity = writePartial(files, directory, head, { withBirth, wait });
    files.rename(join(directory, PARTIAL), path);
    if (wait) files.syncDirectory(directory);
    return identity;
  };
  const written = write(true);
  const { birth } = withFile(files, path, 'r', (fd) => files.stat(fd));
  // What it calls the birth may change with the file.
  if (birth !== written.birth) write(false);
}

function writePartial(
  files: FileCalls,
  directory: string,
  head: Head,
  { withBirth, wait }: { readonly withBirth: boolean; readonly wait: boolean },
): Identity {
  const path = join(directory, PARTIAL);
  try {
    files.remove(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return withFile(files, path, 'wx+', (fd) => {
    const { inode, birth } = files.stat(fd);
    const file: Identity = { inode, birth: withBirth ? birth : '' };
    const epochs = head.epochs.slice(-MAX_EPOCHS);
    const body = Buffer.from(`${JSON.stringify({ format: JOURNAL_FORMAT, ...head, epochs, file })}\n`);
    const bytes = Buffer.concat([body, Buffer.from(`${crc32c(body).toString(16)}\n`)]);
    writeAll(files, fd, bytes, bytes.length, 0);
    if (wait) files.sync(fd);
    return file;
  });
}

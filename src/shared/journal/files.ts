/** The file calls of the journal, plain and synchronous, in one place so that a test can have them fail, record them or lose what was not synced. */

import * as fs from 'node:fs';

export interface FileState {
  readonly size: number;
  readonly inode: string;
  /** When the file was made, ns; where the file system does not know, 0 or something that changes. */
  readonly birth: string;
  /** Names that the file has; 0 once it was deleted. */
  readonly links: number;
}

export interface FileCalls {
  /** `r`, `r+`, or `wx+` to make a file that is not there. */
  open(path: string, flags: 'r' | 'r+' | 'wx+'): number;
  close(fd: number): void;
  /** Bytes read, 0 at the end of the file. */
  read(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  /** Bytes written, which may be fewer than asked for. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  truncate(fd: number, length: number): void;
  /** Returns when the disk has the file's data and what is needed to find them. */
  sync(fd: number): void;
  /** Returns when the disk has the directory's names. */
  syncDirectory(path: string): void;
  stat(fd: number): FileState;
  /** Names in a directory. */
  list(path: string): string[];
  rename(from: string, to: string): void;
  remove(path: string): void;
  makeDirectory(path: string): void;
}

export const FILES: FileCalls = {
  open: (path, flags) => fs.openSync(path, flags, 0o600),
  close: fs.closeSync,
  read: fs.readSync,
  write: fs.writeSync,
  truncate: fs.ftruncateSync,
  sync: fs.fdatasyncSync,
  syncDirectory(path) {
    // Windows opens no directory, and has no need to.
    if (process.platform === 'win32') return;
    const fd = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
  stat(fd) {
    const { size, ino, birthtimeNs, nlink } = fs.fstatSync(fd, { bigint: true });
    return { size: Number(size), inode: String(ino), birth: String(birthtimeNs), links: Number(nlink) };
  },
  list: (path) => fs.readdirSync(path),
  rename: fs.renameSync,
  remove: fs.unlinkSync,
  makeDirectory: (path) => fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
};

/** All of `bytes`, from `position` on in the file. Throws what the file system throws; some of them may be written then. */
export function writeAll(
  files: FileCalls,
  fd: number,
  bytes: Uint8Array,
  length: number,
  position: number,
): void {
  for (let done = 0; done < length; ) {
    const written = files.write(fd, bytes, done, length - done, position + done);
    if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += written;
  }
}

/** What is in the file from `position` on, `length` bytes at the most. */
export function readUpTo(files: FileCalls, fd: number, length: number, position: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const read = files.read(fd, bytes, done, length - done, position + done);
    if (read === 0) break;
    done += read;
  }
  return done === length ? bytes : bytes.subarray(0, done);
}

/** Runs `work` with the file at `path` open. */
export function withFile<T>(
  files: FileCalls,
  path: string,
  flags: 'r' | 'r+' | 'wx+',
  work: (fd: number) => T,
): T {
  const fd = files.open(path, flags);
  try {
    return work(fd);
  } finally {
    files.close(fd);
  }
}

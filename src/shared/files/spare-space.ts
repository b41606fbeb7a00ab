/**
 * Space kept for when the disk is full: LevelDB cannot open a store then, for it writes what its log holds into a new file first. A file in
 * `DATADIR` holds the space, and whoever cannot open gives it up.
 */

import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const NAME = 'spare';
/** While it is made; what a killed process left of it is written over by the next. */
const PARTIAL = `${NAME}.new`;
/** Both stores' logs (4 MiB each at the most, and a batch), written into files, and what a start writes besides. */
const BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** Free space from which on some is kept: the spare must not fill the disk. */
const PLENTY_BYTES = 8 * BYTES;

/** Makes the spare file of `dataDirectory` where there is none and the disk has plenty. False when it could not; never rejects. */
export async function keepSpare(dataDirectory: string): Promise<boolean> {
  const path = join(dataDirectory, NAME);
  const partial = join(dataDirectory, PARTIAL);
  try {
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) return true;
    rmSync(partial, { force: true });
    const { bavail, bsize } = await statfs(dataDirectory);
    if (bavail * bsize < PLENTY_BYTES) return false;
    const file = await open(partial, 'w', 0o600);
    try {
      // Zeros would take no space where the file system compresses.
      for (let written = 0; written < BYTES; written += PIECE_BYTES)
        await file.writeFile(randomBytes(PIECE_BYTES));
    } finally {
      await file.close();
    }
    renameSync(partial, path);
    return true;
  } catch {
    rmSync(partial, { force: true });
    return false;
  }
}

/** Gives the spare up where `reason`, LevelDB's or the system's, is that the disk is full. True when there is more space now. */
export function giveUpSpare(dataDirectory: string, reason: string): boolean {
  if (!/no space left on device|disk quota exceeded/i.test(reason)) return false;
  let given = false;
  for (const name of [NAME, PARTIAL]) {
    try {
      rmSync(join(dataDirectory, name));
      given = true;
    } catch {
      // It was not there.
    }
  }
  return given;
}

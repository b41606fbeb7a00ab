/** Files by what they are and not by their names: a name may by now belong to another server. */

import { lstatSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Device and inode. They stay the same for as long as the file is open somewhere, also once its name is gone. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** What is at `path`, behind links. Rejects as `stat` does. */
export async function identityOf(path: string): Promise<FileIdentity> {
  const { dev, ino } = await stat(path, { bigint: true });
  return { dev, ino };
}

export function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** Removes what is at `path` where it is `own`, which is still open; leaves whatever else is there. Throws what `rm` throws. */
export function removeOwn(path: string, own: FileIdentity): void {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found !== undefined && isSame(found, own)) rmSync(path, { force: true });
}

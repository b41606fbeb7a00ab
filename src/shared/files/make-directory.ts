/** Directories that are made with all that is missing above them. */

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes `path`, and what is missing above it, with mode 0700; one that is there stays as it is. Throws what the file system
 * says. Node's own `recursive` never ends where a parent is there and takes no directory, as in `/proc`.
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isDirectory(path)) return;
    if (code !== 'ENOENT' || dirname(path) === path || isDirectory(dirname(path))) throw error;
    makeDirectory(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** False too where nothing can be, and where it may not be looked at. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

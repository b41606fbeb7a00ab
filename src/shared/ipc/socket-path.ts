/** Where local sockets live, and how one is named to the system whose path is too long for it. */

import { createHash } from 'node:crypto';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Linux takes 107 bytes for the path of a unix socket, macOS 103. */
const MAX_PATH_BYTES = 103;
/** Linux shows what a process has open here. */
const OPEN_FILES = '/proc/self/fd';

/**
 * Path of the local socket `name` that belongs to `directory`: inside it, however long that is, so that it is guarded as the directory is. A named pipe on
 * Windows.
 */
export function localSocketPath(directory: string, name: string): string {
  const path = resolve(directory, name);
  if (process.platform !== 'win32') return path;
  const digest = createHash('sha256').update(path).digest('hex').slice(0, 32);
  return `\\\\.\\pipe\\teranode-p2p-${digest}`;
}

/**
 * Gives `use` a name of the socket at `path` that is short enough to listen on or to connect to while `use` runs: the path itself, or the way to it through its open
 * directory. Throws RangeError where the path is too long and the system (macOS) has no such way, and what opening the directory throws.
 */
export function withSocketName<T>(path: string, use: (name: string) => T): T {
  if (process.platform === 'win32' || Buffer.byteLength(path) <= MAX_PATH_BYTES) return use(path);
  if (!existsSync(OPEN_FILES))
    throw new RangeError(
      `${path} is too long for a socket: at most ${MAX_PATH_BYTES} bytes are possible here`,
    );
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return use(`${OPEN_FILES}/${directory}/${basename(path)}`);
  } finally {
    closeSync(directory);
  }
}

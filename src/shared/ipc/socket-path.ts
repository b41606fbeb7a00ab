/** Where local sockets live. */

import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Linux takes 107 bytes for the path of a unix socket, macOS 103. */
const MAX_PATH_BYTES = 103;

/**
 * Path of the local socket `name` that belongs to `directory`: inside it, or, where that is too long for a socket, in the
 * system's temporary directory under a digest of both. A named pipe on Windows.
 */
export function localSocketPath(directory: string, name: string): string {
  const path = resolve(directory, name);
  const digest = createHash('sha256').update(path).digest('hex').slice(0, 32);
  if (process.platform === 'win32') return `\\\\.\\pipe\\teranode-p2p-${digest}`;
  return Buffer.byteLength(path) <= MAX_PATH_BYTES ? path : join(tmpdir(), `teranode-p2p-${digest}.sock`);
}

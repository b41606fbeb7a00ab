/** Local sockets: connecting to one, and listening on one, whose name stays ours only as long as nobody else takes it. */

import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { type Server, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type FileIdentity, removeOwn } from '../files/own-file.js';
import { withSocketName } from './socket-path.js';

/** Connects to the socket at `path`, which may be longer than a system takes. Never throws: what is wrong is the socket's error. */
export function connectTo(path: string): Socket {
  const socket = new Socket();
  try {
    // The system is asked before this returns.
    withSocketName(path, (name) => socket.connect(name));
  } catch (error) {
    socket.destroy(error as Error);
  }
  return socket;
}

/** A server that listens on a path. */
export interface LocalSocket {
  /** Removes the socket from its path unless another's has come there. Before the server is closed; never throws. */
  remove(): void;
}

/**
 * Listens on `path` with mode 0600, in place of whatever socket is there: the caller holds the lock of the data directory. A server
 * that closes removes the path it was bound to without looking at whose it is, so it is bound to a name of its own, which is then
 * renamed. Rejects when the socket cannot be made. On Windows `path` is a pipe, which goes with its server.
 */
export async function listenOnSocket(server: Server, path: string): Promise<LocalSocket> {
  if (process.platform === 'win32') {
    await listen(server, path);
    return { remove: () => {} };
  }
  const interim = join(dirname(path), `.${randomBytes(4).toString('hex')}`);
  await withSocketName(interim, (name) => listen(server, name));
  let own: FileIdentity;
  try {
    // Made without write permission for others whatever the umask allows them; this takes the rest.
    chmodSync(interim, 0o600);
    own = lstatSync(interim, { bigint: true });
    renameSync(interim, path);
  } catch (error) {
    server.close();
    rmSync(interim, { force: true });
    throw error;
  }
  return {
    remove: () => {
      try {
        removeOwn(path, own);
      } catch {
        // One that stays is replaced at the next start.
      }
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * A copy of `DATADIR` that a server can be started on, made while one runs. Copying the files under a running server is not enough: LevelDB's change while they are
 * read, and a cursor of the outbox must not be ahead of the journal that is copied with it.
 */

import { copyFile, lstat, mkdir, open, readdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { errorMessage } from '../../shared/errors.js';
import type { Settings } from '../../shared/settings/table.js';
import type { BackupSummary } from '../control/protocol.js';
import { peerCacheDirectory } from '../node/peer-store/cache-file.js';
import type { EmbeddedStore } from './data-directory.js';

/** Why there is no backup. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** What is of a running server alone: its sockets, which are no files, and these. */
const LEFT_OUT = /^(?:store|journal|hand-over|run\.json.*|spare.*)$/;
/** Of `p2p_peer_cache_dir`, where that is elsewhere: it may be another service's directory too. */
const PEER_FILES = /^(?:p2p\.key|p2p_peers\.json|teranode_peers\.json)$/;
const PEER_CACHE_COPY = 'peer-cache';
const BATCH_BYTES = 1_048_576;
/** Segments go while they are copied, at the most one a minute: then it is begun anew. */
const ATTEMPTS = 5;

/**
 * Copies `DATADIR`, whose `store` is open, to `target`, which must be absolute, and missing or empty. Resolves when the disk has all of it. Rejects with BackupError;
 * what there is of the copy then is removed.
 */
export async function backUp(
  store: EmbeddedStore,
  settings: Pick<Settings, 'DATADIR' | 'p2p_peer_cache_dir'>,
  target: string,
): Promise<BackupSummary> {
  const from = resolve(settings.DATADIR);
  // Whoever asks may be in another directory than this process.
  if (!isAbsolute(target)) throw new BackupError(`${target} is no absolute path`);
  const path = resolve(target);
  const outside = (to: string, directory: string): void => {
    if (isWithin(to, directory)) throw new BackupError(`${path} lies in DATADIR, which is what is copied`);
  };
  outside(path, from);
  const first = await makeEmpty(path);
  try {
    // By another name of it, too.
    outside(await realpath(path), await realpath(from));
    await copyJournal(join(from, 'journal'), join(path, 'journal'));
    await copyStore(store, storeIn(path));
    await copyTree(from, path, (name) => !LEFT_OUT.test(name));
    const cache = resolve(peerCacheDirectory(settings));
    if (cache !== from && !isWithin(cache, from)) {
      await copyTree(cache, join(path, PEER_CACHE_COPY), (name) => PEER_FILES.test(name), false);
    }
    const size = await syncTree(path);
    // Of each directory that was made the name is in the one above it.
    let above = path;
    do {
      above = dirname(above);
      await syncDirectory(above);
    } while (above !== dirname(first) && above !== dirname(above));
    return { path, ...size };
  } catch (error) {
    for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
    throw error instanceof BackupError ? error : new BackupError(`${path}: ${errorMessage(error)}`);
  }
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

const storeIn = (path: string): string => join(path, 'store');

/** Gives the uppermost of the directories that were made. */
async function makeEmpty(path: string): Promise<string> {
  try {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if ((await readdir(path)).length > 0) throw new Error('it is not empty');
    // Of two backups that find it empty one makes this.
    await mkdir(storeIn(path), { mode: 0o700 });
    return first ?? path;
  } catch (error) {
    throw new BackupError(`${path} cannot take a backup: ${errorMessage(error)}`);
  }
}

/** Everything at one moment, whatever is written meanwhile. */
async function copyStore(store: EmbeddedStore, path: string): Promise<void> {
  const copy = new ClassicLevel<Uint8Array, Uint8Array>(path, { keyEncoding: 'view', valueEncoding: 'view' });
  await copy.open();
  try {
    const entries = store.iterator<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' });
    let batch = copy.batch();
    let bytes = 0;
    for await (const [key, value] of entries) {
      batch.put(key, value);
      bytes += key.length + value.length;
      if (bytes < BATCH_BYTES) continue;
      await batch.write();
      batch = copy.batch();
      bytes = 0;
    }
    await batch.write({ sync: true });
  } finally {
    await copy.close();
  }
}

/**
 * Cursors first: what they need is in the segments that come after. Segments and kept entries that were there before the cursors were copied must be there after all is,
 * else a cursor may need one that has gone.
 */
async function copyJournal(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const before = await segmentsIn(from);
    const kept = (await listed(join(from, 'kept'))).map((name) => join('kept', name));
    for (const name of ['cursors', 'head', 'kept', 'dead-letters']) {
      await copyTree(from, to, (found, depth) => depth > 0 || found === name);
    }
    // With those that were begun meanwhile: the head may name one.
    const missing: string[] = [];
    for (const name of new Set([...before, ...(await segmentsIn(from))]))
      if (!(await copyOne(join(from, name), join(to, name)))) missing.push(name);
    const copied = new Set(await listed(join(to, 'kept')));
    missing.push(...kept.filter((name) => name.endsWith('.kept') && !copied.has(basename(name))));
    if (missing.length === 0) return;
    if (attempt === ATTEMPTS) {
      throw new BackupError(
        `the journal changes too quickly to be copied (${missing[0]} is gone): stop the server`,
      );
    }
    await rm(to, { recursive: true, force: true });
  }
}

const segmentsIn = async (path: string): Promise<string[]> =>
  (await listed(path)).filter((name) => name.endsWith('.journal')).sort();

async function listed(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** False where it is gone. What is no file, such as a socket, counts as copied. */
async function copyOne(from: string, to: string): Promise<boolean> {
  try {
    if (!(await lstat(from)).isFile()) return true;
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await copyFile(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Files below `from` whose names `wanted` takes, those in directories too unless told. What goes meanwhile is left out. */
async function copyTree(
  from: string,
  to: string,
  wanted: (name: string, depth: number) => boolean,
  isDeep = true,
  depth = 0,
): Promise<void> {
  for (const name of await listed(from)) {
    if (!wanted(name, depth)) continue;
    const path = join(from, name);
    const facts = await lstat(path).catch(() => undefined);
    if (facts?.isDirectory()) {
      if (!isDeep) continue;
      await mkdir(join(to, name), { recursive: true, mode: 0o700 });
      await copyTree(path, join(to, name), wanted, isDeep, depth + 1);
    } else if (facts?.isFile()) {
      await copyOne(path, join(to, name));
    }
  }
}

/** Waits until the disk has what is in `path`. Gives how much that is. */
async function syncTree(path: string): Promise<{ readonly files: number; readonly bytes: number }> {
  let [files, bytes] = [0, 0];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) {
      const size = await syncTree(below);
      files += size.files;
      bytes += size.bytes;
    } else if (entry.isFile()) {
      files++;
      bytes += await syncFile(below);
    }
  }
  await syncDirectory(path);
  return { files, bytes };
}

/** Gives its bytes. */
async function syncFile(path: string): Promise<number> {
  // Windows lets nobody wait who may not write.
  const file = await open(path, process.platform === 'win32' ? 'r+' : 'r');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** What says that a directory cannot be opened, or that its file system has nothing to wait for: as PostgreSQL has it (`fsync_fname_ext`). */
const UNSYNCED = /^(?:EACCES|EBADF|EINVAL|EISDIR|EPERM)$/;

async function syncDirectory(path: string): Promise<void> {
  try {
    await syncFile(path);
  } catch (error) {
    if (!UNSYNCED.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** The file of peers met lately: that of the Go service, either generation's. */

import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { dateOf, steadyTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import { makeDirectory } from '../../../shared/files/make-directory.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Settings } from '../../../shared/settings/table.js';
import { isRelayed, multiaddrHost } from '../addresses/multiaddrs.js';

/** Newest first: written is the first, read whichever is there. */
export const CACHE_FILE_NAMES = ['p2p_peers.json', 'teranode_peers.json'] as const;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_ADDRESSES = 16;
const MAX_ADDRESS_TEXT = 512;
const MAX_NAME_TEXT = 64;

export interface CachedPeer {
  /** Base58. */
  readonly id: string;
  readonly name: string;
  /** Multiaddrs without /p2p/<id>. */
  readonly addresses: readonly string[];
  /** Unix ms. */
  readonly lastSeen: number;
  /** What it connected from; not written. Undefined for one that was dialled or read from the file. */
  readonly from?: string | undefined;
}

/** `p2p_peer_cache_dir`, else `DATADIR`. */
export function peerCacheDirectory(settings: Pick<Settings, 'p2p_peer_cache_dir' | 'DATADIR'>): string {
  return settings.p2p_peer_cache_dir || settings.DATADIR;
}

/** Those of texts that are multiaddrs to dial, each once, at most 16. */
export function addressTexts(values: readonly unknown[]): string[] {
  const texts = new Set<string>();
  for (const value of values) {
    if (texts.size === MAX_ADDRESSES) break;
    if (typeof value !== 'string' || value.length > MAX_ADDRESS_TEXT) continue;
    try {
      const address = multiaddr(value);
      if (multiaddrHost(address) !== undefined && !isRelayed(address)) texts.add(address.toString());
    } catch {
      // The others may be good.
    }
  }
  return [...texts];
}

/** What is shown of a name that somebody gave: printable ASCII, at most 64 characters. */
export function nameText(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[^\x20-\x7e]/g, '').slice(0, MAX_NAME_TEXT) : '';
}

function parseEntry(value: unknown, now: number): CachedPeer | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, name, addrs, last_seen: seen } = value as Record<string, unknown>;
  if (typeof id !== 'string' || id.length > 128) return undefined;
  try {
    peerIdFromString(id);
  } catch {
    return undefined;
  }
  const time = typeof seen === 'string' ? Date.parse(seen) : Number.NaN;
  return {
    id,
    name: nameText(name),
    addresses: addressTexts(Array.isArray(addrs) ? addrs : []),
    // Without a time, or with Go's zero time, the entry is kept, as Go keeps it; one from the future is of now.
    lastSeen: Number.isNaN(time) || time <= 0 ? now : Math.min(time, now),
  };
}

/** The entries of a cache file, bad ones left out. Throws when it is no JSON array. */
export function parsePeerCache(text: string, now = steadyTime()): CachedPeer[] {
  const parsed: unknown = JSON.parse(text);
  if (parsed === null) return [];
  if (!Array.isArray(parsed)) throw new SyntaxError('not an array');
  return parsed.flatMap((value) => parseEntry(value, now) ?? []);
}

/** The text of a cache file. */
export function formatPeerCache(peers: readonly CachedPeer[]): string {
  const entries = peers.map(({ id, name, addresses, lastSeen }) => ({
    id,
    name,
    addrs: addresses,
    last_seen: new Date(dateOf(lastSeen)).toISOString(),
  }));
  return JSON.stringify(entries, undefined, 2);
}

/** The entries of the file in a directory; none where it cannot be read, which is logged, as the cache is a convenience. */
export async function readPeerCache(directory: string, logger: Logger): Promise<CachedPeer[]> {
  for (const name of CACHE_FILE_NAMES) {
    const path = join(directory, name);
    try {
      const { size } = await stat(path);
      if (size > MAX_FILE_BYTES) throw new SyntaxError(`has ${size} bytes`);
      return parsePeerCache(await readFile(path, 'utf8'));
    } catch (error) {
      if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      logger.warn({ path, error: errorMessage(error) }, 'the peer cache cannot be read');
      if (error instanceof SyntaxError) await setAside(path, logger);
      return [];
    }
  }
  return [];
}

/** One is kept, for whoever wonders. */
async function setAside(path: string, logger: Logger): Promise<void> {
  try {
    await rename(path, `${path}.corrupt`);
  } catch (error) {
    logger.warn({ path, error: errorMessage(error) }, 'it cannot be set aside either');
  }
}

/** Writes the file in a directory, whole or not at all. */
export async function writePeerCache(directory: string, peers: readonly CachedPeer[]): Promise<void> {
  const path = join(directory, CACHE_FILE_NAMES[0]);
  const partial = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    makeDirectory(dirname(path));
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(formatPeerCache(peers));
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw error;
  }
}

/**
 * What a container that was started as root does before it becomes another user: Teranode's compose files and operator name no user, and the
 * volumes of its nodes are root's. Given are only the P2P service's own files; a volume may be shared with every other service of the node.
 */

import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ConfigurationError } from '../../shared/errors.js';
import type { Settings } from '../../shared/settings/table.js';
import { ADMIN_KEY_FILE } from '../grpc/admin-key.js';
import { KEY_FILE_NAME } from '../node/identity/keys.js';
import { CACHE_FILE_NAMES, peerCacheDirectory } from '../node/peer-store/cache-file.js';
import { LEFT } from '../outbox-upgrade/due.js';

/** Who the server is to be. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What the server keeps in `DATADIR`, besides what is there only while it runs. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  ADMIN_KEY_FILE,
  'journal',
  'run.json',
  'spare',
  'store',
  ...Object.values(LEFT),
]);
/** A gateway's journal (`main/gateway/stretch.ts`). */
const GATEWAY_JOURNAL = /^gateway-\d+$/;
/** Of the capabilities that Linux counts: to become another group, another user. */
const SETGID = 6n;
const SETUID = 7n;

/** Reads `1000:1000`. */
export function ownerOf(text: string): Owner {
  const [, uid, gid] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? [];
  if (uid === undefined) throw new RangeError(`${JSON.stringify(text)} is not uid:gid`);
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * Makes `DATADIR` and the directory of the key and the peer cache usable for `owner`, which this process, root, is about to become. What is not
 * root's is somebody's on purpose and stays. Where the file system refuses (root of a network share is nobody there), the start that
 * follows says what it cannot write. Throws ConfigurationError where this process cannot become anybody.
 */
export function takeOver(settings: Pick<Settings, 'DATADIR' | 'p2p_peer_cache_dir'>, owner: Owner): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  if ((effective & (1n << SETUID)) === 0n || (effective & (1n << SETGID)) === 0n) {
    throw new ConfigurationError([
      `started as root without the capabilities SETUID and SETGID, with which it becomes user ${owner.uid}: start it as that user (user: "${owner.uid}:${owner.gid}", runAsUser: ${owner.uid}), or leave it those two`,
    ]);
  }
  const data = resolve(settings.DATADIR);
  const cache = resolve(peerCacheDirectory(settings));
  for (const directory of [cache, data]) {
    makeFor(directory, owner);
    attempt(() => open(directory, owner));
  }
  for (const name of [KEY_FILE_NAME, ...CACHE_FILE_NAMES]) attempt(() => give(join(cache, name), owner));
  attempt(() => {
    for (const name of readdirSync(data)) {
      if (OWN_NAMES.has(name) || GATEWAY_JOURNAL.test(name)) giveAll(join(data, name), owner);
    }
  });
}

/** What is made for the server is the server's. */
function makeFor(path: string, owner: Owner): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeFor(dirname(path), owner);
  attempt(() => {
    mkdirSync(path, { mode: 0o755 });
    chownSync(path, owner.uid, owner.gid);
  });
}

/** A directory of root's stays so, for other services may be root: its group is now `owner`'s, and may do what root may. */
function open(directory: string, { uid, gid }: Owner): void {
  const { uid: holder, mode } = statSync(directory);
  if (holder !== 0 || uid === 0) return;
  chownSync(directory, 0, gid);
  chmodSync(directory, (mode & 0o7777) | 0o070);
}

function give(path: string, { uid, gid }: Owner): void {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (facts !== undefined && facts.uid === 0) lchownSync(path, uid, gid);
}

/** Follows no links. */
function giveAll(path: string, owner: Owner): void {
  give(path, owner);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveAll(join(path, name), owner);
}

/** What the file system refuses is told by whoever needs it. */
function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // See above.
  }
}

/**
 * Peers met lately, kept in a file so that a restart finds the network without bootstrap peers (WIRE §1). The file is that of the Go
 * service, either generation's.
 */

import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Connection, IdentifyResult, Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { Serial } from '../../../shared/async/serial.js';
import { dateOf, steadyTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import { makeDirectory } from '../../../shared/files/make-directory.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { sourceOf } from '../../../shared/net/ip.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Settings } from '../../../shared/settings/table.js';
import { isRelayed, multiaddrHost } from '../addresses/multiaddrs.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';

/** Newest first: written is the first, read whichever is there. */
export const CACHE_FILE_NAMES = ['p2p_peers.json', 'teranode_peers.json'] as const;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_PEERS = QUEUES.peerCache.bounds.peers;
const MAX_AGE_MS = QUEUES.peerCache.bounds.ageMs;
const MAX_ADDRESSES = 16;
const MAX_ADDRESS_TEXT = 512;
const MAX_NAME_TEXT = 64;
/** Inbound peers of one address that are kept: one machine with a thousand identities would else be all that is known. */
const MAX_PER_ADDRESS = 16;
/** Cached peers dialled at start, newest first, and how many at once. */
const MAX_DIALS = 50;
const DIALS_AT_ONCE = 5;

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

export interface PeerCacheComponents {
  readonly libp2p: Pick<
    Libp2p,
    'peerId' | 'dial' | 'getConnections' | 'peerStore' | 'addEventListener' | 'removeEventListener'
  >;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'peerCachePeers'>;
}

export interface PeerCacheOptions {
  /** See {@link peerCacheDirectory}. */
  readonly directory: string;
  /** Dial cached peers at start. Default true. */
  readonly dial?: boolean;
  /** Default 1,000. */
  readonly maxPeers?: number;
  /** Default 24 h, ms. */
  readonly maxAgeMs?: number;
  /** Milliseconds between writes. Default 60,000. */
  readonly writeIntervalMs?: number;
}

/** `p2p_peer_cache_dir`, else `DATADIR`. */
export function peerCacheDirectory(settings: Pick<Settings, 'p2p_peer_cache_dir' | 'DATADIR'>): string {
  return settings.p2p_peer_cache_dir || settings.DATADIR;
}

function addressTexts(values: readonly unknown[]): string[] {
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

function nameText(value: unknown): string {
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

export class PeerCache {
  readonly #components: PeerCacheComponents;
  readonly #options: PeerCacheOptions;
  readonly #peers: LRUCache<string, CachedPeer>;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  readonly #writing = new Serial();
  #dialling: Promise<void> = Promise.resolve();

  constructor(components: PeerCacheComponents, options: PeerCacheOptions) {
    this.#components = components;
    this.#options = options;
    this.#peers = new LRUCache({ max: options.maxPeers ?? MAX_PEERS });
  }

  /** Newest first. */
  peers(): CachedPeer[] {
    const oldest = steadyTime() - this.#maxAge;
    return [...this.#peers.values()].filter(({ lastSeen }) => lastSeen > oldest);
  }

  /** Reads the file, then dials in the background. A file that cannot be read is no reason not to start. */
  async start(): Promise<void> {
    await this.#load();
    const { libp2p } = this.#components;
    libp2p.addEventListener('peer:identify', this.#onIdentify);
    this.#timer = setInterval(() => void this.save(), this.#options.writeIntervalMs ?? 60_000).unref();
    if (this.#options.dial !== false) this.#dialling = this.#dialAll(this.peers().slice(0, MAX_DIALS));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#components.libp2p.removeEventListener('peer:identify', this.#onIdentify);
    this.#stopping.abort();
    await this.#dialling;
    await this.save();
  }

  /** Names a peer that is, or comes to be, in the cache. */
  setName(peerId: string, name: string): void {
    const known = this.#peers.peek(peerId);
    if (known !== undefined) this.#peers.set(peerId, { ...known, name: nameText(name) });
  }

  /** Notes a peer as met now. Addresses that do not parse are left out; without any, those known stay. `from`: where it connected from. */
  met(peerId: string, addresses: readonly string[], from?: string): void {
    const known = this.#peers.peek(peerId);
    const texts = addressTexts(addresses);
    if (texts.length === 0 && known === undefined) return;
    if (known === undefined && from !== undefined) this.#makeRoom(from);
    this.#peers.set(peerId, {
      id: peerId,
      name: known?.name ?? '',
      addresses: texts.length > 0 ? texts : (known?.addresses ?? []),
      lastSeen: steadyTime(),
      // Dialled since: then it is no longer one of many that knock.
      from: known === undefined || (texts.length > 0 && from === undefined) ? from : known.from,
    });
    this.#components.metrics.peerCachePeers.set(this.#peers.size);
  }

  /** The least recently met of an address's goes when there are many. */
  #makeRoom(from: string): void {
    const same = [...this.#peers.values()].filter((peer) => peer.from === from);
    for (const { id } of same.slice(MAX_PER_ADDRESS - 1)) this.#peers.delete(id);
  }

  /** Writes the file. Failures are logged: the cache is a convenience. */
  async save(): Promise<void> {
    await this.#writing.run(async () => {
      try {
        for (const { remotePeer } of this.#components.libp2p.getConnections())
          this.met(remotePeer.toString(), []);
        await this.#write(formatPeerCache(this.peers()));
      } catch (error) {
        this.#components.logger.warn({ error: errorMessage(error) }, 'the peer cache cannot be written');
      }
    });
  }

  get #maxAge(): number {
    return this.#options.maxAgeMs ?? MAX_AGE_MS;
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { peerId, listenAddrs, connection } = detail;
    this.met(peerId.toString(), dialledFirst(connection, listenAddrs.map(String)), inboundFrom(connection));
  };

  async #load(): Promise<void> {
    for (const name of CACHE_FILE_NAMES) {
      const path = join(this.#options.directory, name);
      try {
        const { size } = await stat(path);
        if (size > MAX_FILE_BYTES) throw new SyntaxError(`has ${size} bytes`);
        const now = steadyTime();
        const fresh = parsePeerCache(await readFile(path, 'utf8'), now).filter(
          ({ lastSeen }) => lastSeen > now - this.#maxAge,
        );
        // Oldest first, so that the newest are the most recently used.
        fresh.sort((a, b) => a.lastSeen - b.lastSeen);
        for (const peer of fresh) this.#peers.set(peer.id, peer);
        this.#components.metrics.peerCachePeers.set(this.#peers.size);
        return;
      } catch (error) {
        if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        this.#components.logger.warn({ path, error: errorMessage(error) }, 'the peer cache cannot be read');
        if (error instanceof SyntaxError) await this.#setAside(path);
        return;
      }
    }
  }

  /** One is kept, for whoever wonders. */
  async #setAside(path: string): Promise<void> {
    try {
      await rename(path, `${path}.corrupt`);
    } catch (error) {
      this.#components.logger.warn({ path, error: errorMessage(error) }, 'it cannot be set aside either');
    }
  }

  async #write(text: string): Promise<void> {
    const path = join(this.#options.directory, CACHE_FILE_NAMES[0]);
    const partial = `${path}.${randomBytes(6).toString('hex')}`;
    try {
      makeDirectory(dirname(path));
      const file = await open(partial, 'wx', 0o600);
      try {
        await file.writeFile(text);
      } finally {
        await file.close();
      }
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {});
      throw error;
    }
  }

  async #dialAll(peers: readonly CachedPeer[]): Promise<void> {
    const waiting = [...peers];
    const dialNext = async (): Promise<void> => {
      for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
        if (this.#stopping.signal.aborted) return;
        await this.#dial(peer);
      }
    };
    await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dialNext));
  }

  async #dial({ id, addresses }: CachedPeer): Promise<void> {
    const { libp2p, logger } = this.#components;
    const peerId = peerIdFromString(id);
    if (addresses.length === 0 || peerId.equals(libp2p.peerId) || libp2p.getConnections(peerId).length > 0)
      return;
    try {
      await libp2p.peerStore.merge(peerId, { multiaddrs: addresses.map((text) => multiaddr(text)) });
      await libp2p.dial(peerId, {
        signal: deadlineSignal(10_000, this.#stopping.signal),
      });
    } catch (error) {
      logger.debug({ peer: id, error: errorMessage(error) }, 'cached peer cannot be reached');
    }
  }
}

/** The address or IPv6 network that a peer connected from; undefined when it was dialled. */
function inboundFrom({ direction, remoteAddr }: Connection): string | undefined {
  const host = direction === 'inbound' ? multiaddrHost(remoteAddr) : undefined;
  return host?.kind === 'ip' ? sourceOf(host.address) : undefined;
}

/** The address that was dialled is known to work; one that was dialled from is not an address to dial. */
function dialledFirst(connection: Connection, listening: readonly string[]): string[] {
  const dialled =
    connection.direction === 'outbound' ? [connection.remoteAddr.decapsulateCode(CODE_P2P).toString()] : [];
  return [...dialled, ...listening];
}

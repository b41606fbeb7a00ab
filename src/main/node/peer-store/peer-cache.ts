/** Peers met lately, kept in a file so that a restart finds the network without bootstrap peers (WIRE §1). */

import type { Connection, IdentifyResult, Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { Repeating } from '../../../shared/async/repeat.js';
import { Serial } from '../../../shared/async/serial.js';
import { steadyTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { sourceOf } from '../../../shared/net/ip.js';
import { QUEUES } from '../../../shared/queues.js';
import { multiaddrHost } from '../addresses/multiaddrs.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';
import { addressTexts, type CachedPeer, nameText, readPeerCache, writePeerCache } from './cache-file.js';

const MAX_PEERS = QUEUES.peerCache.bounds.peers;
const MAX_AGE_MS = QUEUES.peerCache.bounds.ageMs;
/** Inbound peers of one address that are kept: one machine with a thousand identities would else be all that is known. */
const MAX_PER_ADDRESS = 16;
/** Cached peers dialled at start, newest first, and how many at once. */
const MAX_DIALS = 50;
const DIALS_AT_ONCE = 5;

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
  /**
   * Dial cached peers at start.
   * @default true
   */
  readonly dial?: boolean;
  /**
   * Peers kept.
   * @default 1,000
   */
  readonly maxPeers?: number;
  /**
   * Since when a peer was met at the least, ms.
   * @default 24 h
   */
  readonly maxAgeMs?: number;
  /**
   * Milliseconds between writes.
   * @default 60,000
   */
  readonly writeIntervalMs?: number;
}

export class PeerCache {
  readonly #components: PeerCacheComponents;
  readonly #options: PeerCacheOptions;
  readonly #peers: LRUCache<string, CachedPeer>;
  readonly #stopping = new AbortController();
  readonly #writes: Repeating;
  readonly #writing = new Serial();
  #dialling: Promise<void> = Promise.resolve();

  constructor(components: PeerCacheComponents, options: PeerCacheOptions) {
    this.#components = components;
    this.#options = options;
    this.#writes = new Repeating(() => this.save(), { everyMs: options.writeIntervalMs ?? 60_000 });
    this.#peers = new LRUCache({ max: options.maxPeers ?? MAX_PEERS });
  }

  /** Newest first. */
  peers(): CachedPeer[] {
    const oldest = steadyTime() - this.#maxAge;
    return [...this.#peers.values()].filter(({ lastSeen }) => lastSeen > oldest);
  }

  /** Reads the file, then dials in the background. A file that cannot be read is no reason not to start. */
  async start(): Promise<void> {
    const now = steadyTime();
    const read = await readPeerCache(this.#options.directory, this.#components.logger);
    // Oldest first, so that the newest are the most recently used.
    const fresh = read.filter(({ lastSeen }) => lastSeen > now - this.#maxAge);
    for (const peer of fresh.sort((a, b) => a.lastSeen - b.lastSeen)) this.#peers.set(peer.id, peer);
    this.#components.metrics.peerCachePeers.set(this.#peers.size);
    const { libp2p } = this.#components;
    libp2p.addEventListener('peer:identify', this.#onIdentify);
    this.#writes.start();
    if (this.#options.dial !== false) this.#dialling = this.#dialAll(this.peers().slice(0, MAX_DIALS));
  }

  async stop(): Promise<void> {
    void this.#writes.stop();
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
        await writePeerCache(this.#options.directory, this.peers());
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

/** What peers told of themselves: unproven, so bounded, and the newest word of each counts. */

import { LRUCache } from 'lru-cache';
import type { PeerFact } from '../../shared/pipeline/types.js';
import type { PeerMetrics } from './metrics.js';
import { decodeFlat, encodeFlat } from './stored-object.js';

export interface KnownPeer {
  /** Base58. */
  readonly id: string;
  /** As told, at the most ours plus `p2p_max_unvalidated_advertised_height_lead`; 0 before the first word of it. */
  readonly height: number;
  /** Height when it was first heard. */
  readonly startingHeight: number;
  /** Best block, 64 hex digits in display order, or empty. */
  readonly bestBlock: string;
  /** Data hub, or empty. */
  readonly url: string;
  /** Client name, or empty. */
  readonly name: string;
  /** `full`, `pruned`, or empty. */
  readonly storage: string;
  /** Hex, or empty. */
  readonly chainWork: string;
  /** Unix ms of its last message; 0 for none. */
  readonly lastHeard: number;
  /** Unix ms of its last block; 0 for none. */
  readonly lastBlock: number;
  /** Unix ms when it was last connected; 0 for never. */
  readonly connectedAt: number;
  /** Over the connections that have closed. */
  readonly bytesReceived: bigint;
}

export interface KnownPeersComponents {
  readonly metrics: PeerMetrics;
  /** Our own best height now; undefined while the chain has not said it, and then heights are taken as they come. */
  readonly ownHeight: () => number | undefined;
  /** What is known of a peer is new, different or forgotten. */
  readonly onChange?: (peerId: string) => void;
  /** Unix ms; Date.now unless told. */
  readonly clock?: () => number;
}

export interface KnownPeersOptions {
  /** p2p_max_unvalidated_advertised_height_lead. */
  readonly maxHeightLead: number;
  /** 10,000 unless told; past it the least recently heard is forgotten. */
  readonly maxPeers?: number;
}

/** Peers of which something is known. */
export const MAX_KNOWN = 10_000;

const STRANGER: Omit<KnownPeer, 'id'> = {
  height: 0,
  startingHeight: 0,
  bestBlock: '',
  url: '',
  name: '',
  storage: '',
  chainWork: '',
  lastHeard: 0,
  lastBlock: 0,
  connectedAt: 0,
  bytesReceived: 0n,
};

/** Heights are 32-bit on every wire. */
const MAX_HEIGHT = 0xffff_ffff;

export class KnownPeers {
  readonly #metrics: PeerMetrics;
  readonly #ownHeight: () => number | undefined;
  readonly #onChange: (peerId: string) => void;
  readonly #now: () => number;
  readonly #maxHeightLead: number;
  readonly #peers: LRUCache<string, KnownPeer>;

  constructor(components: KnownPeersComponents, options: KnownPeersOptions) {
    this.#metrics = components.metrics;
    this.#ownHeight = components.ownHeight;
    this.#onChange = components.onChange ?? (() => {});
    this.#now = components.clock ?? Date.now;
    this.#maxHeightLead = options.maxHeightLead;
    this.#peers = new LRUCache({
      max: options.maxPeers ?? MAX_KNOWN,
      dispose: (_, peer, reason) => {
        if (reason === 'evict') this.#onChange(peer);
      },
    });
  }

  /** Takes in the fact of an accepted message. Gives what is known of its author now. */
  learn(fact: PeerFact): KnownPeer {
    const now = this.#now();
    const before = this.#of(fact.peer);
    return this.#set({ ...before, ...this.#told(fact, before), lastHeard: now });
  }

  /** The peer is connected. */
  connected(peerId: string): void {
    this.#set({ ...this.#of(peerId), connectedAt: this.#now() });
  }

  /** The peer's last connection has closed, after `bytesReceived` over all of them. */
  disconnected(peerId: string, bytesReceived: bigint): void {
    const before = this.#of(peerId);
    this.#set({ ...before, bytesReceived: before.bytesReceived + bytesReceived });
  }

  /** What is known of a peer as JSON; undefined for a stranger. */
  encoded(peerId: string): string | undefined {
    const known = this.#peers.peek(peerId);
    return known === undefined ? undefined : encodeFlat(known);
  }

  /** Takes what an earlier run knew. Throws what `decodeFlat` throws, and RangeError on a height that no wire carries. */
  restore(peerId: string, json: string): void {
    const known = decodeFlat({ id: peerId, ...STRANGER }, json);
    if (Math.max(known.height, known.startingHeight) > MAX_HEIGHT)
      throw new RangeError('a height is not 32-bit');
    this.#peers.set(peerId, { ...known, id: peerId });
    this.#metrics.known.set(this.#peers.size);
  }

  /** What is known of a base58 peer ID. */
  get(peerId: string): KnownPeer | undefined {
    return this.#peers.peek(peerId);
  }

  /** Everybody known, the most recently heard first. */
  list(): KnownPeer[] {
    return [...this.#peers.values()];
  }

  /** Ends the restoring: who was heard least recently is the first to be forgotten. */
  restored(): void {
    const byAge = this.list().sort((one, other) => one.lastHeard - other.lastHeard);
    for (const { id } of byAge) this.#peers.get(id);
  }

  #of(peerId: string): KnownPeer {
    return this.#peers.get(peerId) ?? { ...STRANGER, id: peerId };
  }

  #set(known: KnownPeer): KnownPeer {
    this.#peers.set(known.id, known);
    this.#metrics.known.set(this.#peers.size);
    this.#onChange(known.id);
    return known;
  }

  #told(fact: PeerFact, before: KnownPeer): Partial<KnownPeer> {
    if (fact.type === 'best_block_requested') return {};
    const height = this.#capped(fact.height);
    const common = {
      startingHeight: before.startingHeight === 0 ? height : before.startingHeight,
      // An empty URL is one not told, as of a listening node: it takes the old one back.
      url: fact.url,
      name: fact.clientName === '' ? before.name : fact.clientName,
    };
    if (fact.type === 'node_status') {
      const { storage, chainWork, hash: bestBlock } = fact;
      return { ...common, height, bestBlock, storage, chainWork };
    }
    const lastBlock = this.#now();
    // An old block announced late does not take its announcer back.
    if (fact.height < before.height) return { ...common, lastBlock };
    return { ...common, lastBlock, height, bestBlock: fact.hash };
  }

  #capped(told: number): number {
    const own = this.#ownHeight();
    const height = Number.isFinite(told) ? Math.max(0, Math.floor(told)) : 0;
    return Math.min(height, MAX_HEIGHT, own === undefined ? MAX_HEIGHT : own + this.#maxHeightLead);
  }
}

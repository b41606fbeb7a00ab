/**
 * What peers told of themselves: unproven, so bounded, and the newest word of each counts. Identities cost nothing, so those
 * who only spoke share one half of the capacity, and however many they are, they push out each other alone. In the other half
 * who once was connected goes before who is recorded, and who is connected or configured stays.
 */

import { LRUCache } from 'lru-cache';
import { steadyTime } from '../../shared/clock.js';
import type { PeerFact } from '../../shared/messages/fact.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { QUEUES } from '../../shared/queues.js';
import { decodeKnown, encodeKnown, type KnownPeer, MAX_HEIGHT, NOTHING_KNOWN } from './known-peer.js';
import type { PeerMetrics } from './metrics.js';

export interface KnownPeersComponents {
  readonly metrics: PeerMetrics;
  /** Our own best height now; undefined while the chain has not said it, and then heights are taken as they come. */
  readonly ownHeight: () => number | undefined;
  /**
   * Whether there is a record of how dealing with a base58 peer ID went.
   * @default none
   */
  readonly isRecorded?: (peerId: PeerIdText) => boolean;
  /** What is known of a peer is new, different or forgotten. */
  readonly onChange?: (peerId: PeerIdText) => void;
  /**
   * Unix ms.
   * @default steadyTime
   */
  readonly clock?: () => number;
}

export interface KnownPeersOptions {
  /** p2p_max_unvalidated_advertised_height_lead. */
  readonly maxHeightLead: number;
  /**
   * Whether the settings name a base58 peer ID.
   * @default none
   */
  readonly isConfigured?: (peerId: PeerIdText) => boolean;
  /**
   * Half of it for strangers; past it whose last message is oldest is forgotten.
   * @default 10_000
   */
  readonly maxPeers?: number;
}

/** Peers of which something is known. */
const { peers: MAX_KNOWN, strangers: MAX_STRANGERS } = QUEUES.peerFacts.bounds;

/** Bytes of a data hub's URL that are kept of who only spoke; real ones are below a hundred, and 2,048 may be told. */
const STRANGERS_URL_MAX = 256;

export class KnownPeers {
  readonly #metrics: PeerMetrics;
  readonly #ownHeight: () => number | undefined;
  readonly #isRecorded: (peerId: PeerIdText) => boolean;
  readonly #onChange: (peerId: PeerIdText) => void;
  readonly #now: () => number;
  readonly #maxHeightLead: number;
  readonly #isConfigured: (peerId: PeerIdText) => boolean;
  readonly #connected = new Set<PeerIdText>();
  /** Received so far over connections that are open. */
  #live = new Map<PeerIdText, bigint>();
  /** Connected, configured or recorded. */
  readonly #kept: LRUCache<PeerIdText, KnownPeer>;
  /** Connected once. */
  readonly #met: LRUCache<PeerIdText, KnownPeer>;
  readonly #strangers: LRUCache<PeerIdText, KnownPeer>;
  /** Capacity of `#kept` and `#met` together. */
  readonly #maxFamiliar: number;
  #restoring: KnownPeer[] = [];

  constructor(components: KnownPeersComponents, options: KnownPeersOptions) {
    this.#metrics = components.metrics;
    this.#ownHeight = components.ownHeight;
    this.#isRecorded = components.isRecorded ?? (() => false);
    this.#onChange = components.onChange ?? (() => {});
    this.#now = components.clock ?? steadyTime;
    this.#maxHeightLead = options.maxHeightLead;
    this.#isConfigured = options.isConfigured ?? (() => false);
    const maxPeers = options.maxPeers ?? MAX_KNOWN;
    const maxStrangers = Math.min(MAX_STRANGERS, Math.max(1, Math.floor(maxPeers / 2)));
    this.#maxFamiliar = maxPeers - maxStrangers;
    const store = (max: number): LRUCache<PeerIdText, KnownPeer> =>
      new LRUCache({
        max,
        dispose: (_, peer, reason) => {
          if (reason === 'evict') this.#onChange(peer);
        },
      });
    // One over the bound for a moment: who goes is chosen below.
    this.#kept = store(this.#maxFamiliar + 1);
    this.#met = store(this.#maxFamiliar + 1);
    this.#strangers = store(maxStrangers);
  }

  /** Takes in the fact of an accepted message. Gives what is known of its author now. */
  learn(fact: PeerFact): KnownPeer {
    const now = this.#now();
    const before = this.#of(fact.peer);
    const known: KnownPeer = { ...before, ...this.#told(fact, before), lastReceived: now };
    const tooLong = known.dataHubUrl.length > STRANGERS_URL_MAX && this.#storeOf(known) === this.#strangers;
    return this.#set(tooLong ? { ...known, dataHubUrl: '' } : known);
  }

  /** Whether a base58 peer ID is connected now. Constant time. */
  isConnected(peerId: PeerIdText): boolean {
    return this.#connected.has(peerId);
  }

  /** The peer is connected. */
  connected(peerId: PeerIdText): void {
    this.#connected.add(peerId);
    this.#set({ ...this.#of(peerId), connectedAt: this.#now() });
  }

  /** The peer's last connection has closed, after `bytesReceived` over all of them. */
  disconnected(peerId: PeerIdText, bytesReceived: bigint): void {
    this.#connected.delete(peerId);
    this.#live.delete(peerId);
    const before = this.#of(peerId);
    this.#set({ ...before, bytesReceived: before.bytesReceived + bytesReceived });
  }

  /** What came over the connections that are open, all of them: it is stored with the rest, should the process not see their end. */
  counted(open: Iterable<{ readonly id: PeerIdText; readonly bytesReceived: bigint }>): void {
    const before = this.#live;
    this.#live = new Map();
    for (const { id, bytesReceived } of open) {
      if (!this.#connected.has(id)) continue;
      this.#live.set(id, bytesReceived);
      if (before.get(id) !== bytesReceived) this.#onChange(id);
    }
  }

  /** There is a record of the peer now, or no longer: it is kept elsewhere. */
  reconsider(peerId: PeerIdText): void {
    const known = this.get(peerId);
    if (known !== undefined && !this.#storeOf(known).has(peerId)) this.#put(known);
  }

  /** What is known of a peer as JSON, the bytes of its open connections included; undefined for a stranger. */
  encoded(peerId: PeerIdText): string | undefined {
    const known = this.get(peerId);
    if (known === undefined) return undefined;
    return encodeKnown({
      ...known,
      bytesReceived: known.bytesReceived + (this.#live.get(peerId) ?? 0n),
    });
  }

  /**
   * Takes what an earlier run knew; it is there after {@link restored}. Throws what {@link decodeKnown} throws. Times to come, as after a
   * clock was set back, are taken as now: else what was told then would be news until then.
   */
  restore(peerId: PeerIdText, json: string): void {
    const known = decodeKnown(peerId, json);
    const now = this.#now();
    this.#restoring.push({
      ...known,
      lastReceived: Math.min(known.lastReceived, now),
      lastBlock: Math.min(known.lastBlock, now),
      connectedAt: Math.min(known.connectedAt, now),
    });
  }

  /** Ends the restoring: whose last message is oldest is the first to be forgotten. */
  restored(): void {
    const byAge = this.#restoring.sort((one, other) => one.lastReceived - other.lastReceived);
    this.#restoring = [];
    for (const known of byAge) this.#put(known);
  }

  /** What is known of a base58 peer ID. */
  get(peerId: PeerIdText): KnownPeer | undefined {
    for (const store of this.#stores()) {
      const known = store.peek(peerId);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  /** Everybody known. */
  list(): KnownPeer[] {
    return this.#stores().flatMap((store) => [...store.values()]);
  }

  #stores(): LRUCache<PeerIdText, KnownPeer>[] {
    return [this.#kept, this.#met, this.#strangers];
  }

  #of(peerId: PeerIdText): KnownPeer {
    return this.get(peerId) ?? { ...NOTHING_KNOWN, id: peerId };
  }

  #set(known: KnownPeer): KnownPeer {
    this.#put(known);
    this.#onChange(known.id);
    return known;
  }

  #put(known: KnownPeer): void {
    const store = this.#storeOf(known);
    for (const other of this.#stores()) {
      if (other !== store) other.delete(known.id);
    }
    store.set(known.id, known);
    while (this.#kept.size + this.#met.size > this.#maxFamiliar) {
      if (this.#met.size > 0) this.#met.pop();
      else this.#forgetKept();
    }
    this.#metrics.known.set(this.#kept.size + this.#met.size + this.#strangers.size);
  }

  #storeOf({ id, connectedAt }: KnownPeer): LRUCache<PeerIdText, KnownPeer> {
    if (this.#stays(id) || this.#isRecorded(id)) return this.#kept;
    return connectedAt > 0 ? this.#met : this.#strangers;
  }

  #stays(peerId: PeerIdText): boolean {
    return this.#connected.has(peerId) || this.#isConfigured(peerId);
  }

  /** Whose last message is oldest, of those who are merely recorded; where all are more than that, of all. */
  #forgetKept(): void {
    for (const peer of this.#kept.rkeys()) {
      if (this.#stays(peer)) continue;
      this.#kept.delete(peer);
      this.#onChange(peer);
      return;
    }
    this.#kept.pop();
  }

  #told(fact: PeerFact, before: KnownPeer): Partial<KnownPeer> {
    if (fact.type === 'best_block_requested') return {};
    const height = this.#capped(fact.height);
    const common: Pick<KnownPeer, 'startingHeight' | 'dataHubUrl' | 'name'> = {
      startingHeight: before.startingHeight === 0 ? height : before.startingHeight,
      // An empty URL is one not told, as of a listening node: it takes the old one back.
      dataHubUrl: fact.dataHubUrl,
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

/**
 * The one view of peers: what a peer told, how dealing with it went, its connection, its bans and scores, and what the blockchain service's registry has of
 * it, joined at the moment of asking. Each of these is written where it is learned; whoever wants to know about a peer asks here.
 */

import { inSlices } from '../../shared/async/slices.js';
import { steadyTime } from '../../shared/clock.js';
import { plainHost } from '../../shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { BanList } from '../bans/list.js';
import type { BanScores } from '../bans/scores.js';
import type { ConnectedPeer, P2PNode } from '../node/types.js';
import type { KnownPeer } from './known-peer.js';
import { type ConnectedSnapshot, type PeerSnapshot, peerSnapshot } from './peer-snapshot.js';
import type { PeerRegistry } from './registry.js';
import type { ServiceRow } from './service-row.js';

export interface PeerViewComponents {
  readonly registry: PeerRegistry;
  readonly node: Pick<P2PNode, 'peers' | 'peer' | 'peerId'>;
  readonly list: Pick<BanList, 'isPeerBanned'>;
  readonly scores: Pick<BanScores, 'score'>;
  /** What the blockchain service has of peers, where it has a registry. */
  readonly service?: {
    row(peer: PeerIdText): ServiceRow | undefined;
    rows(): Iterable<ServiceRow>;
    /** Whether it says that a peer's reputation is too low to take in all that it says; undefined where it has not said anything of late. */
    isLow(peer: PeerIdText): boolean | undefined;
  };
  /**
   * Unix ms.
   * @default steadyTime
   */
  readonly clock?: () => number;
}

export interface PeerViewOptions {
  /** Lower-case hosts whose data hubs are not used. */
  readonly blacklistedHosts: readonly string[];
}

const STORAGE_ORDER: Readonly<Record<string, number>> = { full: 2, pruned: 1 };

/** Full storage before pruned before unknown, then by reputation, then by the last success. */
function bestFirst(one: PeerSnapshot, other: PeerSnapshot): number {
  return (
    (STORAGE_ORDER[other.storage] ?? 0) - (STORAGE_ORDER[one.storage] ?? 0) ||
    other.record.reputation - one.record.reputation ||
    other.record.lastSuccess - one.record.lastSuccess
  );
}

export class PeerView {
  readonly #components: PeerViewComponents;
  readonly #blacklistedHosts: ReadonlySet<string>;
  readonly #now: () => number;

  constructor(components: PeerViewComponents, { blacklistedHosts }: PeerViewOptions) {
    this.#components = components;
    this.#blacklistedHosts = new Set(blacklistedHosts);
    this.#now = components.clock ?? steadyTime;
  }

  /** One peer by its base58 ID; undefined for a stranger. */
  get(id: PeerIdText): PeerSnapshot | undefined {
    const { registry, node, service } = this.#components;
    const connection = node.peer(id);
    const isKnown =
      connection !== undefined ||
      registry.known.get(id) !== undefined ||
      registry.records.has(id) ||
      (id !== node.peerId && service?.row(id) !== undefined);
    return isKnown ? this.#snapshot(id, connection) : undefined;
  }

  /** Who is connected now, without this node. */
  connected(): ConnectedSnapshot[] {
    const { node } = this.#components;
    return node
      .peers()
      .filter(({ id }) => id !== node.peerId)
      .map((connection) => ({ ...this.#snapshot(connection.id, connection), connection }));
  }

  /** Everybody known, recorded or connected, without this node; the best reputation first, then whose last message is newest. */
  async all(): Promise<PeerSnapshot[]> {
    return (await inSlices(this.#each(true))).sort(
      (one, other) =>
        other.record.reputation - one.record.reputation ||
        (other.known?.lastReceived ?? 0) - (one.known?.lastReceived ?? 0),
    );
  }

  /** Base58 IDs of everybody known, recorded or connected, without this node. */
  ids(): ReadonlySet<PeerIdText> {
    return this.#ids(
      this.#components.node.peers().map(({ id }) => id),
      true,
    );
  }

  /** What peers told, and nothing else of them: cheap, for who looks at everybody. */
  known(): readonly KnownPeer[] {
    return this.#components.registry.known.list();
  }

  /** Whether a base58 peer ID is banned now. Constant time. */
  isBanned(id: PeerIdText): boolean {
    return this.#components.list.isPeerBanned(id);
  }

  /** Whether a peer's reputation is too low to take in all that it says. Constant time. */
  isLow(id: PeerIdText): boolean {
    const { service, registry } = this.#components;
    return service?.isLow(id) ?? registry.records.isLow(id);
  }

  /**
   * Those from whose data hub one may catch up, the best first: not banned, with a data hub that is not blacklisted. Without `remote`, who is known to the
   * blockchain service's registry alone is not among them.
   */
  forCatchup({ remote = false }: { readonly remote?: boolean } = {}): PeerSnapshot[] {
    return [...this.#usable(remote)].sort(bestFirst);
  }

  /** The same, `remote`, with turns of the event loop between slices. */
  async forCatchupInSlices(): Promise<PeerSnapshot[]> {
    return (await inSlices(this.#usable(true))).sort(bestFirst);
  }

  *#each(remote: boolean): Generator<PeerSnapshot> {
    const { node } = this.#components;
    const connections = new Map(node.peers().map((connection) => [connection.id, connection]));
    for (const id of this.#ids(connections.keys(), remote)) yield this.#snapshot(id, connections.get(id));
  }

  #ids(connected: Iterable<PeerIdText>, remote: boolean): Set<PeerIdText> {
    const { registry, node, service } = this.#components;
    const ids = new Set([...connected, ...registry.peers()]);
    for (const { id } of (remote ? service?.rows() : undefined) ?? []) ids.add(id);
    ids.delete(node.peerId);
    return ids;
  }

  *#usable(remote: boolean): Generator<PeerSnapshot> {
    for (const peer of this.#each(remote)) {
      if (!peer.banned && this.#isUsable(peer.dataHubUrl)) yield peer;
    }
  }

  #isUsable(dataHubUrl: string): boolean {
    if (dataHubUrl === '' || !URL.canParse(dataHubUrl)) return false;
    return !this.#blacklistedHosts.has(plainHost(new URL(dataHubUrl).hostname));
  }

  #snapshot(id: PeerIdText, connection: ConnectedPeer | undefined): PeerSnapshot {
    const { registry, list, scores, service } = this.#components;
    const sources = {
      known: registry.known.get(id),
      record: registry.records.get(id),
      connection,
      row: service?.row(id),
      banScore: scores.score(id),
      banned: list.isPeerBanned(id),
    };
    return peerSnapshot(id, sources, this.#now());
  }
}

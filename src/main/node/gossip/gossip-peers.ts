/** Which connected peers GossipSub should know: those that speak its protocol, on a connection that it may use. */

import type { Connection, PeerId, PeerStore } from '@libp2p/interface';
import type { ConnectionManager } from '@libp2p/interface-internal';
import type { OwnedStreams } from '../patches/gossip-streams.js';

/** Between looks at connected peers that GossipSub does not know: each costs a read of the peer store. */
const UNKNOWN_PEERS_MS = 10_000;

/** Of libp2p's components. */
export interface GossipPeersComponents {
  readonly peerStore: Pick<PeerStore, 'get'>;
  readonly connectionManager: Pick<ConnectionManager, 'getConnections'>;
}

export class GossipPeers {
  readonly #components: GossipPeersComponents;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(components: GossipPeersComponents) {
    this.#components = components;
  }

  /** Connections on which GossipSub runs: not those that a relay limits. */
  usable(peerId: PeerId): Connection[] {
    return this.#components.connectionManager
      .getConnections(peerId)
      .filter(({ status, limits }) => status === 'open' && limits === undefined);
  }

  /** Whether GossipSub should know the peer. */
  async isThere(peerId: PeerId, streams: OwnedStreams): Promise<boolean> {
    if (this.usable(peerId).length === 0) return false;
    try {
      const { protocols } = await this.#components.peerStore.get(peerId);
      return streams.speaks(protocols);
    } catch {
      // Not in the store, or the store has closed.
      return false;
    }
  }

  /** Has GossipSub forget whom it cannot reach, and meet whom it does not know, the latter every ten seconds at the most. */
  check(streams: OwnedStreams): void {
    // Who is gone, or is there through a limited relay alone, whatever GossipSub was told of it.
    for (const peerId of [...streams.peers.values()]) {
      if (this.usable(peerId).length === 0) streams.forget(peerId);
    }
    if (performance.now() < this.#lookedAt + UNKNOWN_PEERS_MS) return;
    this.#lookedAt = performance.now();
    const unknown = new Map<string, PeerId>();
    for (const { remotePeer } of this.#components.connectionManager.getConnections()) {
      const id = remotePeer.toString();
      if (!streams.peers.has(id)) unknown.set(id, remotePeer);
    }
    for (const peerId of unknown.values()) this.#meet(peerId, streams).catch(() => {});
  }

  async #meet(peerId: PeerId, streams: OwnedStreams): Promise<void> {
    if (!(await this.isThere(peerId, streams))) return;
    const [connection] = this.usable(peerId);
    if (connection !== undefined) streams.meet(peerId, connection);
  }
}

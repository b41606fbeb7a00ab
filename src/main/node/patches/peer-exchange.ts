/**
 * Recommended peers are connected to on the side, a few at a time.
 *
 * Reason: the library waits for every connection before it answers the rest of what came with the PRUNE, lets one that fails undo the rest,
 * and tries as many as strangers name.
 */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';

/** Connections being tried; more are not, and the next PRUNE is not far. */
const MAX_TRIED = 16;

/** A peer in a PRUNE. */
export type Recommended = RPC.PeerInfo;

/** What GossipSub has and its exported type does not show. */
export interface ConnectingGossip {
  /** Connects to recommended peers, their signed addresses checked. Rejects when one cannot be reached. */
  pxConnect(peers: Recommended[]): Promise<void>;
}

/** Applies the patch to one GossipSub. */
export function connectBeside(gossip: ConnectingGossip): void {
  const connect = gossip.pxConnect.bind(gossip);
  const tried = new Set<string>();
  gossip.pxConnect = (recommended) => {
    for (const peer of recommended) {
      if (peer.peerID === undefined || tried.size >= MAX_TRIED) continue;
      const id = Buffer.from(peer.peerID).toString('hex');
      if (tried.has(id)) continue;
      tried.add(id);
      const done = () => tried.delete(id);
      connect([peer]).then(done, done);
    }
    return Promise.resolve();
  };
}

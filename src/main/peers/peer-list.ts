/** Connected peers as the outside sees them: what the node counted, what they told, what they did wrong. */

import type { BanScores } from '../bans/scores.js';
import type { ConnectedPeer, P2PNode } from '../node/types.js';
import type { KnownPeer, KnownPeers } from './known-peers.js';

export interface ListedPeer {
  readonly connection: ConnectedPeer;
  /** Undefined until it told something. */
  readonly known: KnownPeer | undefined;
  /** Points now. */
  readonly banScore: number;
}

export interface PeerListComponents {
  readonly node: Pick<P2PNode, 'peers' | 'peerId'>;
  readonly knownPeers: Pick<KnownPeers, 'get'>;
  readonly scores: Pick<BanScores, 'score'>;
  /** Base58 IDs of bootstrap peers, which are left out. */
  readonly bootstrapPeers: Pick<ReadonlySet<string>, 'has'>;
}

/** The peers connected now, without the node itself and its bootstrap peers. */
export function listPeers({ node, knownPeers, scores, bootstrapPeers }: PeerListComponents): ListedPeer[] {
  return node
    .peers()
    .filter(({ id }) => id !== node.peerId && !bootstrapPeers.has(id))
    .map((connection) => ({
      connection,
      known: knownPeers.get(connection.id),
      banScore: scores.score(connection.id),
    }));
}

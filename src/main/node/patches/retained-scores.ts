/**
 * A bad score outlives the connection.
 *
 * Reason: GossipSub retains the score of a peer that leaves and overwrites it when the peer comes back, so that 25 forgeries (−12,500)
 * are forgiven for a new connection; Go goes on with what it retained. The overwritten entry's addresses are never forgotten: 276 bytes
 * a reconnection from another address, and IDs that are gone count as neighbours of whoever has such an address. Nor has what is
 * retained a bound, which matters where an identity costs nothing.
 *
 * Gain: a peer comes back to the score that it left with, within `retainScore`. Retained is only what a peer did wrong; who did nothing
 * is forgotten at once. Addresses count while a peer is connected.
 */

import { LRUCache } from 'lru-cache';
import { libraryTime } from '../../../shared/clock.js';

/** Some 5 MB. Past it the one that left longest ago is forgiven. */
const MAX_RETAINED = 10_000;

interface PeerStatsInternals {
  connected: boolean;
  /** Ms as the library reads them. */
  expire: number;
  readonly topics: Readonly<
    Record<string, { readonly invalidMessageDeliveries: number; readonly meshFailurePenalty: number }>
  >;
  readonly knownIPs: Set<string>;
  readonly behaviourPenalty: number;
}

/** What GossipSub's score has and its type does not show. */
export interface ScoreInternals {
  rejectInvalidMessage(from: string, topic: string): void;
  addPeer(id: string): void;
  removePeer(id: string): void;
  removeIPsForPeer(id: string, addresses: Iterable<string>): void;
  readonly peerStats: Map<string, PeerStatsInternals>;
  readonly peerIPs: Map<string, Set<string>>;
  readonly scoreCache: Map<string, unknown>;
}

function didWrong({ behaviourPenalty, topics }: PeerStatsInternals): boolean {
  return (
    behaviourPenalty > 0 ||
    Object.values(topics).some(
      ({ invalidMessageDeliveries, meshFailurePenalty }) =>
        invalidMessageDeliveries > 0 || meshFailurePenalty > 0,
    )
  );
}

/** Applies the patch to one score. `max`: of those that have left, 10,000 unless told. */
export function retainScores(score: ScoreInternals, { max = MAX_RETAINED }: { max?: number } = {}): void {
  const forget = (id: string): void => {
    score.peerStats.delete(id);
    score.scoreCache.delete(id);
  };
  const left = new LRUCache<string, true>({
    max,
    disposeAfter: (_value, id, reason) => {
      if (reason === 'evict' && score.peerStats.get(id)?.connected === false) forget(id);
    },
  });

  const addPeer = score.addPeer.bind(score);
  score.addPeer = (id) => {
    left.delete(id);
    const stats = score.peerStats.get(id);
    if (stats === undefined || (!stats.connected && libraryTime() > stats.expire)) {
      score.scoreCache.delete(id);
      addPeer(id);
      return;
    }
    stats.connected = true;
    stats.expire = 0;
  };

  const removePeer = score.removePeer.bind(score);
  score.removePeer = (id) => {
    const stats = score.peerStats.get(id);
    // The library asks whether the score is good; the answer must not be from before what was just done.
    score.scoreCache.delete(id);
    removePeer(id);
    if (stats === undefined) return;
    score.removeIPsForPeer(id, stats.knownIPs);
    stats.knownIPs.clear();
    if (score.peerStats.has(id) && didWrong(stats)) left.set(id, true);
    else forget(id);
  };
}

/** From whom to catch up: who may be asked, and who first. Pure but for the order of equals. */

import type { RegisteredPeer } from '../peers/registered-peers.js';
import { LOW_REPUTATION } from '../peers/reputation.js';

export interface SyncCandidate {
  /** Base58. */
  readonly id: string;
  /** Above ours. */
  readonly height: number;
  /** Its best block, 64 hex digits in display order. */
  readonly hash: string;
  /** Its data hub. */
  readonly url: string;
  readonly full: boolean;
  readonly banScore: number;
  readonly reputation: number;
}

export interface Selection {
  readonly ownHeight: number;
  /** p2p_allow_pruned_node_fallback. */
  readonly allowPruned: boolean;
  /** Unix ms since when a peer must have been heard: what it told before is no news. */
  readonly heardSince: number;
  /** Peers that were tried in vain a short while ago. */
  readonly isResting: (peer: string) => boolean;
  /** Blocks that our node found invalid. */
  readonly isInvalid: (hash: string) => boolean;
}

const HASH = /^[0-9a-f]{64}$/;

function candidateOf(peer: RegisteredPeer): SyncCandidate {
  const { id, height, blockHash: hash, known, storage, banScore, record } = peer;
  const { reputation } = record;
  return { id, height, hash, url: known?.url ?? '', full: storage === 'full', banScore, reputation };
}

/** Whether it told a best block above ours, and a data hub that may have it. */
function isAhead({ hash, height, url }: SyncCandidate, { ownHeight, isInvalid }: Selection): boolean {
  return url !== '' && height > ownHeight && HASH.test(hash) && !isInvalid(hash);
}

/** One peer, whatever it did; undefined where there is nothing to catch up on. */
export function forcedCandidate(
  peer: RegisteredPeer | undefined,
  selection: Selection,
): SyncCandidate | undefined {
  if (peer === undefined) return undefined;
  const candidate = candidateOf(peer);
  return isAhead(candidate, selection) ? candidate : undefined;
}

/** Those of `peers` (without banned ones and blacklisted data hubs) from which one can catch up, the best first. */
export function syncCandidates(peers: readonly RegisteredPeer[], selection: Selection): SyncCandidate[] {
  const { allowPruned, heardSince, isResting } = selection;
  return peers
    .filter(({ known }) => (known?.lastHeard ?? 0) >= heardSince)
    .map(candidateOf)
    .filter(
      (candidate) =>
        isAhead(candidate, selection) &&
        candidate.reputation >= LOW_REPUTATION &&
        (allowPruned || candidate.full) &&
        !isResting(candidate.id),
    )
    .map((candidate) => ({ candidate, draw: Math.random() }))
    .sort((one, other) => inOrder(one.candidate, other.candidate) || one.draw - other.draw)
    .map(({ candidate }) => candidate);
}

/**
 * Full storage first, since a pruned peer may lack what we are missing; then the lowest ban score, which is what it did,
 * before the height, which is what it says; then the reputation. Equals are drawn: identities can be made to order.
 */
export function inOrder(one: SyncCandidate, other: SyncCandidate): number {
  return (
    Number(other.full) - Number(one.full) ||
    one.banScore - other.banScore ||
    other.height - one.height ||
    other.reputation - one.reputation
  );
}

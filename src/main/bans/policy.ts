/** What the libp2p node asks of the bans: is this one kept out, and what does GossipSub think of it. */

import type { BanPolicy } from '../node/types.js';
import type { BanList } from './list.js';
import type { BanScores } from './scores.js';

/** Below GossipSub's graylist threshold of −8,000: nothing a banned peer sends is looked at. */
const BANNED_SCORE = -10_000;
/**
 * Just short of the ban threshold: half way to the gossip threshold of −2,000, so that a suspect leaves the mesh before
 * others do, but is still heard.
 */
const SUSPECT_SCORE = -1_000;

export function createBanPolicy(list: BanList, scores: BanScores): BanPolicy {
  return {
    isAddressBanned: (address) => list.isAddressBanned(address),
    isPeerBanned: (peerId) => list.isPeerBanned(peerId),
    applicationScore(peerId) {
      if (list.isPeerBanned(peerId)) return BANNED_SCORE;
      const score = scores.score(peerId);
      // A positive zero for the innocent.
      return score === 0 ? 0 : SUSPECT_SCORE * Math.min(1, score / scores.threshold);
    },
  };
}

/**
 * Peer exchange: a peer that has no place for us in its mesh recommends others. Whom to believe, and how much of it to look at.
 *
 * Unsigned or forged addresses are not taken (the library sees to it), the gater judges each as it does any other, and
 * strangers decide neither how much is verified nor how many connections are tried (patches/peer-exchange.ts).
 */

import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { GossipInternals } from '../patches/gossip-internals.js';
import type { Recommended } from '../patches/peer-exchange.js';
import { RECOMMENDER_SCORE } from './score-parameters.js';

/** What one PRUNE may recommend; a node that is full says so for all of its topics at once, mostly with the same peers. */
const AT_ONCE = 128;
/** Recommendations of one peer that are looked at in the long run: each costs a signature to verify. */
const PER_SECOND = 0.5;
const MAX_RECOMMENDERS = 10_000;

/** Decides on recommendations as they come in. */
export class PeerExchange {
  readonly #gossip: Pick<GossipInternals, 'getScore' | 'outbound'>;
  readonly #rate = new KeyedRate({ perSecond: PER_SECOND, burst: AT_ONCE, maxKeys: MAX_RECOMMENDERS });

  constructor(gossip: Pick<GossipInternals, 'getScore' | 'outbound'>) {
    this.#gossip = gossip;
  }

  /**
   * The recommendations of a peer that are believed. Of one that we called, those at any score but a negative one: to who is new, a
   * full hub is the one that matters, and has had no time to earn anything. Of one that called us, those once it has earned it.
   */
  admit(from: string, recommended: readonly Recommended[]): Recommended[] {
    const score = this.#gossip.getScore(from);
    const called = this.#gossip.outbound.get(from) === true;
    if (score < (called ? 0 : RECOMMENDER_SCORE)) return [];
    return recommended.filter(() => this.#rate.take(from));
  }
}

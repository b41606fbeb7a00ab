/**
 * Peer exchange: a peer that has no place for us in its mesh recommends others. Whom to believe, and how much of it to do.
 *
 * Unsigned or forged addresses are not taken (the library sees to it), the gater judges each as it does any other, and
 * strangers decide neither how much is verified nor how many connections are tried.
 */

import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { GossipInternals, Recommended } from '../patches/library-patches.js';
import { RECOMMENDER_SCORE } from './score-parameters.js';

/** What one PRUNE may recommend; a node that is full says so for all of its topics at once, mostly with the same peers. */
const AT_ONCE = 128;
/** Recommendations of one peer that are looked at in the long run: each costs a signature to verify. */
const PER_SECOND = 0.5;
const MAX_RECOMMENDERS = 10_000;
/** Connections being tried; more are not, and the next PRUNE is not far. */
const MAX_TRIED = 16;

/** What this needs of GossipSub. */
export type ExchangingGossip = Pick<GossipInternals, 'getScore' | 'outbound' | 'pxConnect'>;

/** Decides on recommendations as they come in, and tries them. */
export class PeerExchange {
  readonly #gossip: ExchangingGossip;
  readonly #rate = new KeyedRate({ perSecond: PER_SECOND, burst: AT_ONCE, maxKeys: MAX_RECOMMENDERS });
  readonly #tried = new Set<string>();

  /** Takes the place of the library's own trying. */
  constructor(gossip: ExchangingGossip) {
    this.#gossip = gossip;
    const connect = gossip.pxConnect.bind(gossip);
    gossip.pxConnect = (recommended) => {
      for (const peer of recommended) this.#try(peer, connect);
      return Promise.resolve();
    };
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

  /**
   * On the side: the library waits for every connection before it answers the rest of what came with the PRUNE, and lets one that
   * fails undo the rest.
   */
  #try(peer: Recommended, connect: ExchangingGossip['pxConnect']): void {
    if (peer.peerID === undefined || this.#tried.size >= MAX_TRIED) return;
    const id = Buffer.from(peer.peerID).toString('hex');
    if (this.#tried.has(id)) return;
    this.#tried.add(id);
    const done = () => this.#tried.delete(id);
    connect([peer]).then(done, done);
  }
}

/**
 * GossipSub's peer scores: what costs how much, and from where on it has consequences. With the library's defaults a
 * rejected message costs nothing, and a topic on which little is said costs every quiet peer its place.
 */

import type {
  PeerScoreParams,
  PeerScoreThresholds,
  TopicScoreParams,
} from '@chainsafe/libp2p-gossipsub/score';

/** As the newest Go nodes have them (WIRE §1); what is below them matters only relative to these. */
export const SCORE_THRESHOLDS: PeerScoreThresholds = {
  /** Below: no IHAVE and IWANT with the peer. */
  gossipThreshold: -2000,
  /** Below: nothing of ours is published to it. */
  publishThreshold: -4000,
  /** Below: everything it says is dropped unread. */
  graylistThreshold: -8000,
  /** The least score at which any peer's recommendations are believed; see peer-exchange.ts for the rest of the rule. */
  acceptPXThreshold: 0,
  /** Median of the mesh below which better peers are grafted in. */
  opportunisticGraftThreshold: 1,
};

/**
 * A peer that called us is believed from here on when it recommends others. Nothing but time in the mesh and news earn it: some ten
 * minutes of both.
 */
export const RECOMMENDER_SCORE = 5;

/**
 * The same for every topic: what is said seldom (blocks) must not make a peer look idle, so deliveries that are missing
 * (P3, P3b) cost nothing.
 */
const TOPIC_SCORE: TopicScoreParams = {
  topicWeight: 1,
  // A little for staying: after ten minutes 0.6 a topic, at the most 6 after 100. Less than one bad message costs.
  timeInMeshWeight: 0.001,
  timeInMeshQuantum: 1000,
  timeInMeshCap: 6000,
  // A little for being first. A hundred in two minutes at the most, or chatter would buy impunity.
  firstMessageDeliveriesWeight: 0.02,
  firstMessageDeliveriesDecay: 0.9,
  firstMessageDeliveriesCap: 100,
  // Off: a peer without news is no bad peer. Decays and windows only have to be valid.
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.9,
  meshMessageDeliveriesCap: 100,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 60_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.9,
  // The square of the count: 1 costs 20 and the mesh, 10 gossip, 15 publishing, 20 everything. Honest relays never send
  // one: only forged signatures and what its author itself sent are counted. Halves in two minutes.
  invalidMessageDeliveriesWeight: -20,
  invalidMessageDeliveriesDecay: 0.93,
};

/** Go's. */
const DECAY_INTERVAL_MS = 12_000;

/** A set that GossipSub only ever asks `has`: subnets do not fit into a list of addresses. */
class ExemptAddresses extends Set<string> {
  readonly #isExempt: (address: string) => boolean;
  constructor(isExempt: (address: string) => boolean) {
    super();
    this.#isExempt = isExempt;
  }
  override has(address: string): boolean {
    return this.#isExempt(address);
  }
}

export interface ScoreInputs {
  readonly topics: readonly string[];
  /** From the ban score: 0 or negative, in points of the graylist's scale. */
  applicationScore(peerId: string): number;
  /** Loopback and allow-listed addresses. */
  isExempt(address: string): boolean;
}

/** The parameters for these topics; `colocated` peers of one address cost nothing. */
export function scoreParameters(
  { topics, applicationScore, isExempt }: ScoreInputs,
  colocated: number,
): PeerScoreParams {
  return {
    topics: Object.fromEntries(topics.map((topic) => [topic, TOPIC_SCORE])),
    // What all topics together can earn: far from any threshold.
    topicScoreCap: 50,
    appSpecificScore: applicationScore,
    appSpecificWeight: 1,
    // Go's: 11 peers of one address cost each 35, 18 the gossip threshold.
    IPColocationFactorWeight: -35,
    IPColocationFactorThreshold: colocated,
    IPColocationFactorWhitelist: new ExemptAddresses(isExempt),
    // Go's: broken promises (IHAVE without a message, GRAFT too early) are forgiven six times, then cost their square.
    behaviourPenaltyWeight: -16,
    behaviourPenaltyThreshold: 6,
    behaviourPenaltyDecay: 0.928,
    decayInterval: DECAY_INTERVAL_MS,
    decayToZero: 0.01,
    // A bad peer does not become a good one by reconnecting within the hour: see retained-scores.ts.
    retainScore: 3_600_000,
  };
}

/** Nothing costs or earns anything: every peer's score is 0. */
export const NO_SCORES: PeerScoreParams = {
  ...scoreParameters({ topics: [], applicationScore: () => 0, isExempt: () => true }, 1),
  appSpecificWeight: 0,
  IPColocationFactorWeight: 0,
  behaviourPenaltyWeight: 0,
};

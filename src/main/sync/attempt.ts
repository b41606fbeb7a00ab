/** One peer from which we catch up, and when that is over. Times are unix ms. */

import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainView } from '../chain/follower.js';
import type { PeerView } from '../peers/peer-view.js';
import { LOW_REPUTATION } from '../peers/reputation.js';
import { compareWork, type SyncCandidate } from './candidates.js';
import type { SyncEnd } from './metrics.js';
import type { SyncPace } from './sync-pace.js';

export interface AttemptComponents {
  readonly settings: Pick<
    Settings,
    | 'p2p_force_sync_peer'
    | 'p2p_sync_peer_no_progress_timeout'
    | 'p2p_sync_coordinator_periodic_evaluation_interval'
  >;
  readonly peers: Pick<PeerView, 'get'>;
  readonly chain: Pick<ChainView, 'fsmState'>;
  readonly pace: Pick<SyncPace, 'roseAt' | 'settleMs'>;
  /** From whom else one can catch up, the best first. */
  readonly candidates: () => readonly SyncCandidate[];
}

export class Attempt {
  readonly candidate: SyncCandidate;
  readonly since: number;
  readonly fromHeight: number;
  readonly #components: AttemptComponents;
  /** When we looked for a better one last. */
  #evaluatedAt: number;
  /** When the chain was last seen to catch up; undefined before. */
  #lastCatching: number | undefined;

  constructor(
    components: AttemptComponents,
    { candidate, since, fromHeight }: Pick<Attempt, 'candidate' | 'since' | 'fromHeight'>,
  ) {
    this.#components = components;
    this.candidate = candidate;
    this.since = since;
    this.fromHeight = fromHeight;
    this.#evaluatedAt = since;
  }

  get peer(): PeerIdText {
    return this.candidate.id;
  }

  /** Why it is over at `now`, with our height; undefined while it is not. */
  verdict(ownHeight: number, now: number): SyncEnd | undefined {
    const { settings, chain, pace } = this.#components;
    if (ownHeight >= this.candidate.height) return 'caught_up';
    const isForced = settings.p2p_force_sync_peer !== '';
    const unfit = isForced ? undefined : this.#unfit();
    if (unfit !== undefined) return unfit;
    const state = chain.fsmState;
    if (state === 'CATCHINGBLOCKS') this.#lastCatching = now;
    const still = Math.max(pace.roseAt, this.since);
    if (now - still >= settings.p2p_sync_peer_no_progress_timeout) return 'standstill';
    if (!isForced && this.#isOutdone(now, now - still)) return 'outdone';
    // The chain was at it and is no longer, without having got there.
    if (this.#lastCatching === undefined || state !== 'RUNNING') return undefined;
    return now - Math.max(still, this.#lastCatching) >= pace.settleMs ? 'ended_early' : undefined;
  }

  /** Why one does not catch up from the peer any more, whatever the chain does. */
  #unfit(): SyncEnd | undefined {
    const peer = this.#components.peers.get(this.peer);
    if (peer === undefined) return 'forgotten';
    if (peer.banned) return 'banned';
    return peer.record.reputation < LOW_REPUTATION ? 'low_reputation' : undefined;
  }

  /** Whether a peer with more validated work is there, while this one has moved nothing for half of the time that it has. */
  #isOutdone(now: number, stillMs: number): boolean {
    const { settings, peers, candidates } = this.#components;
    if (stillMs <= settings.p2p_sync_peer_no_progress_timeout / 2) return false;
    if (now - this.#evaluatedAt < settings.p2p_sync_coordinator_periodic_evaluation_interval) return false;
    this.#evaluatedAt = now;
    const { validatedWork = '' } = peers.get(this.peer)?.record ?? {};
    return candidates().some(
      (other) => other.id !== this.peer && other.ahead && compareWork(other.validatedWork, validatedWork) > 0,
    );
  }
}

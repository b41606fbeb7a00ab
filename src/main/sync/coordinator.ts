/**
 * Catching up: while the node is behind and nothing else moves it, a peer is chosen, its best block is handed to block
 * validation, and our height is watched. A peer that fails or leads nowhere is left for another.
 */

import { dateOf, steadyTime } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainView } from '../chain/follower.js';
import type { BlockHeaderInfo } from '../chain/types.js';
import type { PeerView } from '../peers/peer-view.js';
import { LOW_REPUTATION } from '../peers/reputation.js';
import {
  compareWork,
  forcedCandidate,
  hubsToAsk,
  inOrder,
  isProven,
  type Selection,
  type SyncCandidate,
  syncCandidates,
} from './candidates.js';
import type { DataHubs } from './data-hubs.js';
import type { SyncEnd, SyncMetrics } from './metrics.js';
import { PeerBackoff } from './peer-backoff.js';
import type { SyncPeer } from './sync-peer.js';

export interface SyncCoordinatorComponents {
  readonly settings: Pick<
    Settings,
    | 'p2p_force_sync_peer'
    | 'p2p_allow_pruned_node_fallback'
    | 'p2p_health_check_enabled'
    | 'p2p_sync_interval'
    | 'p2p_sync_peer_no_progress_timeout'
    | 'p2p_sync_coordinator_periodic_evaluation_interval'
    | 'p2p_max_unproven_sync_probes_per_backoff_window'
    | 'p2p_full_delivery_freshness_window'
  >;
  readonly logger: Logger;
  readonly metrics: SyncMetrics;
  readonly peers: Pick<PeerView, 'forCatchup' | 'get' | 'known'>;
  /** Whether the settings name a base58 peer ID; none unless told. */
  readonly isConfigured?: (peerId: PeerIdText) => boolean;
  readonly hubs: Pick<DataHubs, 'answering'>;
  readonly chain: Pick<ChainView, 'fsmState'> & {
    readonly best: Pick<BlockHeaderInfo, 'height' | 'chainWork'> | undefined;
  };
  readonly isInvalid: (hash: string) => boolean;
  /** False where the record was refused. */
  readonly requestCatchup: (candidate: SyncCandidate) => Promise<boolean>;
  /** Unix ms; steadyTime unless told. */
  readonly clock?: () => number;
}

/** One peer from which we catch up. */
interface Attempt {
  readonly candidate: SyncCandidate;
  /** Unix ms. */
  readonly since: number;
  readonly fromHeight: number;
  /** Unix ms of the last look for a better one. */
  evaluatedAt: number;
  /** Unix ms of the last look at which the chain said that it catches up; undefined before. */
  lastCatching: number | undefined;
}

/** Intervals during which our height must stand still before a peer is asked: a block just announced is on its way. */
const SETTLE_INTERVALS = 5;
const MAX_BACKOFF = 32;
/** What was heard longer ago than this is no reason to catch up. */
const HEARD_WITHIN_MS = 600_000;

export class SyncCoordinator {
  readonly #components: SyncCoordinatorComponents;
  readonly #now: () => number;
  readonly #backoff: PeerBackoff;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #attempt: Attempt | undefined;
  #height: number | undefined;
  /** Unix ms when our height rose last, or was first known. */
  #roseAt = 0;
  /** Attempts in vain since our height rose, and looks that found nobody. */
  #failures = 0;
  #nextAt = 0;
  /** Peers of which nothing is proven that may still be tried until our height rises or a backoff is over. */
  #probes: number;
  #probesRenewed = false;
  #toldNobody = false;

  constructor(components: SyncCoordinatorComponents) {
    this.#components = components;
    this.#now = components.clock ?? steadyTime;
    this.#probes = this.#maxProbes;
    this.#backoff = new PeerBackoff(this.#now);
  }

  /** Begins to look, every `p2p_sync_interval`. */
  start(): void {
    if (this.#maxProbes === 0 && this.#components.settings.p2p_force_sync_peer === '') {
      this.#components.logger.warn(
        'p2p_max_unproven_sync_probes_per_backoff_window is 0: a node that is new catches up from nobody until a peer is proven',
      );
    }
    this.#later();
  }

  /** Ends the look under way; the attempt under way is the chain's affair. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** From whom we catch up, for node_status. */
  get syncPeer(): SyncPeer | undefined {
    if (this.#attempt === undefined) return undefined;
    const { candidate, since } = this.#attempt;
    const { height, blockHash: hash } = this.#components.peers.get(candidate.id) ?? {
      ...candidate,
      blockHash: candidate.hash,
    };
    return { id: candidate.id, height, hash, connectedAt: Math.floor(dateOf(since) / 1000) };
  }

  /** The chain says that catching up from a peer failed; undefined: whoever it was. */
  peerFailed(peerId: PeerIdText | undefined, reason: string): void {
    const current = this.#attempt?.candidate.id;
    if (current === undefined || (peerId ?? current) !== current) return;
    this.#fail('failure', reason);
  }

  /** Looks once: ends the attempt that is over, begins one where one is needed. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        this.#components.logger.warn({ reason: errorMessage(error) }, 'catching up could not be seen to');
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  #later(): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.look()
        .then(() => this.#later())
        .catch(() => {});
    }, this.#components.settings.p2p_sync_interval);
  }

  async #look(): Promise<void> {
    const own = this.#components.chain.best?.height;
    if (own === undefined) return;
    this.#noteHeight(own);
    const behind = this.#behind(own);
    this.#components.metrics.behind.set(behind);
    if (this.#attempt !== undefined) {
      const verdict = this.#verdict(this.#attempt, own);
      if (verdict === undefined) return;
      if (verdict === 'caught_up') this.#arrived(this.#attempt);
      else this.#fail(verdict);
    }
    if (behind === 0) {
      this.#failures = 0;
      this.#toldNobody = false;
      return;
    }
    if (this.#isDue()) await this.#begin(own);
  }

  #noteHeight(own: number): void {
    const before = this.#height;
    this.#height = own;
    if (before !== undefined && own <= before) return;
    this.#roseAt = this.#now();
    this.#probes = this.#maxProbes;
    if (before !== undefined) this.#failures = 0;
  }

  /** Blocks by which the highest of those heard lately says to be ahead: a cheap look at everybody. */
  #behind(own: number): number {
    const since = this.#now() - HEARD_WITHIN_MS;
    let highest = own;
    for (const { height, lastReceived: lastHeard } of this.#components.peers.known()) {
      if (height > highest && lastHeard >= since) highest = height;
    }
    return highest - own;
  }

  /** Another state than RUNNING has its own ways to move, and a height that rises needs nobody. */
  #isDue(): boolean {
    if (this.#components.chain.fsmState !== 'RUNNING' || this.#now() < this.#nextAt) return false;
    return this.#failures > 0 || this.#now() - this.#roseAt >= this.#settleMs;
  }

  get #settleMs(): number {
    return SETTLE_INTERVALS * this.#components.settings.p2p_sync_interval;
  }

  /** Why the attempt is over; undefined while it is not. */
  #verdict(attempt: Attempt, own: number): SyncEnd | undefined {
    const { peers, settings, chain } = this.#components;
    const now = this.#now();
    if (own >= attempt.candidate.height) return 'caught_up';
    if (settings.p2p_force_sync_peer === '') {
      const peer = peers.get(attempt.candidate.id);
      if (peer === undefined) return 'forgotten';
      if (peer.banned) return 'banned';
      if (peer.record.reputation < LOW_REPUTATION) return 'low_reputation';
    }
    const state = chain.fsmState;
    if (state === 'CATCHINGBLOCKS') attempt.lastCatching = now;
    const still = Math.max(this.#roseAt, attempt.since);
    if (now - still >= settings.p2p_sync_peer_no_progress_timeout) return 'standstill';
    if (this.#isOutdone(attempt, now - still)) return 'outdone';
    // The chain was at it and is no longer, without having got there.
    const { lastCatching } = attempt;
    if (lastCatching === undefined || state !== 'RUNNING') return undefined;
    return now - Math.max(still, lastCatching) >= this.#settleMs ? 'ended_early' : undefined;
  }

  /** Whether a peer with more validated work is there, while this one has moved nothing for half of the time that it has. */
  #isOutdone(attempt: Attempt, stillMs: number): boolean {
    const { settings, peers } = this.#components;
    const now = this.#now();
    if (settings.p2p_force_sync_peer !== '') return false;
    if (stillMs <= settings.p2p_sync_peer_no_progress_timeout / 2) return false;
    if (now - attempt.evaluatedAt < settings.p2p_sync_coordinator_periodic_evaluation_interval) return false;
    attempt.evaluatedAt = now;
    const { validatedWork = '' } = peers.get(attempt.candidate.id)?.record ?? {};
    const better = syncCandidates(peers.forCatchup(), this.#selection(this.#height ?? 0)).filter(
      (other) => other.id !== attempt.candidate.id,
    );
    return better.some((other) => other.ahead && compareWork(other.validatedWork, validatedWork) > 0);
  }

  /** The attempt led nowhere: another peer is tried. */
  #fail(reason: SyncEnd, detail = ''): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { id, height } = attempt.candidate;
    const own = this.#height ?? 0;
    this.#components.logger.warn(
      {
        peer: id,
        reason,
        ...(detail === '' ? {} : { detail }),
        height: own,
        blocks: own - attempt.fromHeight,
        of: height,
      },
      'the sync peer is given up',
    );
    this.#backoff.failed(id);
    this.#finish(reason);
    this.#backOff();
    // Else it alone would be tried, each time that it may be woken, and nobody of whom nothing is proven any more.
    if (isProven(attempt.candidate)) this.#probesRenewed = true;
  }

  #arrived({ candidate: { id, height } }: Attempt): void {
    this.#components.logger.info({ peer: id, height }, 'caught up with the sync peer');
    this.#backoff.succeeded(id);
    this.#failures = 0;
    this.#probes = this.#maxProbes;
    this.#finish('caught_up');
  }

  #finish(reason: SyncEnd): void {
    this.#attempt = undefined;
    this.#components.metrics.active.set(0);
    this.#components.metrics.ended.inc({ reason });
  }

  /** The first time one interval, then two, and so on, 32 at the most. */
  #backOff(): void {
    const intervals = Math.min(MAX_BACKOFF, 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#nextAt = this.#now() + intervals * this.#components.settings.p2p_sync_interval;
  }

  async #begin(own: number): Promise<void> {
    const { logger, metrics, requestCatchup, settings } = this.#components;
    if (this.#probesRenewed) {
      this.#probesRenewed = false;
      this.#probes = this.#maxProbes;
    }
    const candidate = await this.#choose(own);
    if (this.#stopping.signal.aborted) return;
    if (candidate === undefined) {
      if (!this.#toldNobody) logger.info({ height: own }, 'behind, and no peer to catch up from');
      this.#toldNobody = true;
      this.#backOff();
      // When it is over, those of whom nothing is proven have their turns again.
      this.#probesRenewed = true;
      return;
    }
    this.#toldNobody = false;
    const taken = await this.#untilStopped(requestCatchup(candidate));
    if (taken === undefined) return;
    metrics.triggers.inc({ outcome: taken ? 'sent' : 'refused' });
    if (!taken) {
      logger.warn({ peer: candidate.id }, 'the outbox refuses the block to catch up from');
      this.#backOff();
      return;
    }
    const since = this.#now();
    if (settings.p2p_force_sync_peer === '' && !isProven(candidate)) this.#probes--;
    this.#attempt = { candidate, since, fromHeight: own, evaluatedAt: since, lastCatching: undefined };
    metrics.active.set(1);
    const { id, height, hash, dataHubUrl: url, full } = candidate;
    const forced = settings.p2p_force_sync_peer !== '';
    logger.info({ peer: id, own, height, hash, url, full, forced }, 'catching up from a peer');
  }

  /** The best of those whose data hub answers. Who does not answer rests. */
  async #choose(own: number): Promise<SyncCandidate | undefined> {
    const { settings, peers, hubs } = this.#components;
    const selection = this.#selection(own);
    const candidates =
      settings.p2p_force_sync_peer === ''
        ? syncCandidates(peers.forCatchup(), selection)
        : this.#forced(selection);
    if (!settings.p2p_health_check_enabled || candidates.length === 0) return candidates[0];
    const wanted = hubsToAsk(candidates, (peer) => this.#backoff.triedAt(peer));
    const answers = await hubs.answering(
      wanted.map(({ dataHubUrl }) => dataHubUrl),
      this.#stopping.signal,
    );
    if (this.#stopping.signal.aborted) return undefined;
    for (const { id, dataHubUrl } of wanted) {
      if (answers.has(dataHubUrl) && answers.get(dataHubUrl) === undefined) this.#backoff.unanswered(id);
    }
    const msOf = ({ dataHubUrl }: SyncCandidate): number =>
      answers.get(dataHubUrl) ?? Number.POSITIVE_INFINITY;
    const [best] = wanted
      .filter((candidate) => msOf(candidate) < Number.POSITIVE_INFINITY)
      .sort((one, other) => inOrder(one, other) || msOf(one) - msOf(other));
    return best;
  }

  #forced(selection: Selection): SyncCandidate[] {
    const { settings, peers } = this.#components;
    const id = parsePeerId(settings.p2p_force_sync_peer);
    const candidate = id && forcedCandidate(peers.get(id), selection);
    return candidate === undefined ? [] : [candidate];
  }

  #selection(own: number): Selection {
    const { settings, isInvalid, chain, isConfigured = () => false } = this.#components;
    const now = this.#now();
    const window = settings.p2p_full_delivery_freshness_window;
    return {
      ownHeight: own,
      ownWork: Buffer.from(chain.best?.chainWork ?? [])
        .toString('hex')
        .replace(/^0+/, ''),
      now,
      // 0: however long ago.
      deliveredSince: window === 0 ? 0 : now - window,
      allowUnproven: this.#probes > 0,
      allowPruned: settings.p2p_allow_pruned_node_fallback,
      receivedSince: now - HEARD_WITHIN_MS,
      backoff: this.#backoff,
      isConfigured,
      isInvalid,
    };
  }

  get #maxProbes(): number {
    return this.#components.settings.p2p_max_unproven_sync_probes_per_backoff_window;
  }

  /** Undefined where the stop comes first. */
  async #untilStopped<T>(promise: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#stopping;
    let give = (): void => {};
    const stopped = new Promise<undefined>((resolve) => {
      give = () => resolve(undefined);
      signal.addEventListener('abort', give, { once: true });
    });
    promise.catch(() => {});
    try {
      return await Promise.race([promise, stopped]);
    } finally {
      signal.removeEventListener('abort', give);
    }
  }
}

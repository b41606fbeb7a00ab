/**
 * Catching up: while the node is behind and nothing else moves it, a peer is chosen, its best block is handed to block
 * validation, and our height is watched. A peer that fails or leads nowhere is left for another.
 */

import { raceSignal } from 'race-signal';
import { Repeating } from '../../shared/async/repeat.js';
import { SingleFlight } from '../../shared/async/single-flight.js';
import { dateOf, steadyTime } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainView } from '../chain/follower.js';
import type { BlockHeaderInfo } from '../chain/types.js';
import type { PeerView } from '../peers/peer-view.js';
import { Attempt } from './attempt.js';
import { isProven, type SyncCandidate } from './candidates.js';
import { RECEIVED_WITHIN_MS, SyncChoice } from './choice.js';
import type { DataHubs } from './data-hubs.js';
import type { SyncEnd, SyncMetrics } from './metrics.js';
import { PeerBackoff } from './peer-backoff.js';
import { SyncPace } from './sync-pace.js';
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
  /**
   * Whether the settings name a base58 peer ID.
   * @default none
   */
  readonly isConfigured?: (peerId: PeerIdText) => boolean;
  readonly hubs: Pick<DataHubs, 'answering'>;
  readonly chain: Pick<ChainView, 'fsmState'> & {
    readonly best: Pick<BlockHeaderInfo, 'height' | 'chainWork'> | undefined;
  };
  readonly isInvalid: (hash: string) => boolean;
  /** False where the record was refused. */
  readonly requestCatchup: (candidate: SyncCandidate) => Promise<boolean>;
  /**
   * Unix ms.
   * @default steadyTime
   */
  readonly clock?: () => number;
}

export class SyncCoordinator {
  readonly #components: SyncCoordinatorComponents;
  readonly #now: () => number;
  readonly #backoff: PeerBackoff;
  readonly #stopping = new AbortController();
  readonly #rounds: Repeating;
  readonly #looking = new SingleFlight<void>();
  readonly #pace: SyncPace;
  readonly #choice: SyncChoice;
  #attempt: Attempt | undefined;
  #toldNobody = false;

  constructor(components: SyncCoordinatorComponents) {
    this.#components = components;
    this.#now = components.clock ?? steadyTime;
    this.#rounds = new Repeating(() => this.look(), { everyMs: components.settings.p2p_sync_interval });
    this.#backoff = new PeerBackoff(this.#now);
    this.#pace = new SyncPace(components.settings, this.#now);
    this.#choice = new SyncChoice(components, { backoff: this.#backoff, now: this.#now });
  }

  /** Begins to look, every `p2p_sync_interval`. */
  start(): void {
    if (this.#pace.maxProbes === 0 && this.#components.settings.p2p_force_sync_peer === '') {
      this.#components.logger.warn(
        'p2p_max_unproven_sync_probes_per_backoff_window is 0: a node that is new catches up from nobody until a peer is proven',
      );
    }
    this.#rounds.start();
  }

  /** Ends the look under way; the attempt under way is the chain's affair. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rounds.stop();
    await this.#looking.underWay;
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
    return this.#looking.run(async () => {
      try {
        await this.#look();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#components.logger.warn({ reason: errorMessage(error) }, 'catching up could not be seen to');
      }
    });
  }

  async #look(): Promise<void> {
    const { chain } = this.#components;
    const own = chain.best?.height;
    if (own === undefined) return;
    this.#pace.noteHeight(own);
    const behind = this.#behind(own);
    this.#components.metrics.behind.set(behind);
    if (this.#attempt !== undefined) {
      const verdict = this.#attempt.verdict(own, this.#now());
      if (verdict === undefined) return;
      if (verdict === 'caught_up') this.#arrived(this.#attempt);
      else this.#fail(verdict);
    }
    if (behind === 0) {
      this.#pace.level();
      this.#toldNobody = false;
      return;
    }
    // Another state than RUNNING has its own ways to move.
    if (chain.fsmState === 'RUNNING' && this.#pace.isDue) await this.#begin(own);
  }

  /** Blocks by which the highest of those received lately says to be ahead: a cheap look at everybody. */
  #behind(own: number): number {
    const since = this.#now() - RECEIVED_WITHIN_MS;
    let highest = own;
    for (const { height, lastReceived } of this.#components.peers.known()) {
      if (height > highest && lastReceived >= since) highest = height;
    }
    return highest - own;
  }

  /** The attempt led nowhere: another peer is tried. */
  #fail(reason: SyncEnd, detail = ''): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { id, height } = attempt.candidate;
    const own = this.#pace.height ?? 0;
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
    this.#pace.backOff();
    // Else it alone would be tried, each time that it may be woken, and nobody of whom nothing is proven any more.
    if (isProven(attempt.candidate)) this.#pace.renewProbes();
  }

  #arrived({ candidate: { id, height } }: Attempt): void {
    this.#components.logger.info({ peer: id, height }, 'caught up with the sync peer');
    this.#backoff.succeeded(id);
    this.#pace.succeeded();
    this.#finish('caught_up');
  }

  #finish(reason: SyncEnd): void {
    this.#attempt = undefined;
    this.#components.metrics.active.set(0);
    this.#components.metrics.ended.inc({ reason });
  }

  async #begin(own: number): Promise<void> {
    const { logger, metrics, requestCatchup, settings } = this.#components;
    const { signal } = this.#stopping;
    this.#pace.begin();
    const candidate = await this.#choice.best(own, this.#pace.allowsProbe, signal);
    if (signal.aborted) return;
    if (candidate === undefined) {
      if (!this.#toldNobody) logger.info({ height: own }, 'behind, and no peer to catch up from');
      this.#toldNobody = true;
      this.#pace.backOff();
      // When it is over, those of whom nothing is proven have their turns again.
      this.#pace.renewProbes();
      return;
    }
    this.#toldNobody = false;
    const taken = await raceSignal(requestCatchup(candidate), signal);
    metrics.triggers.inc({ outcome: taken ? 'sent' : 'refused' });
    if (!taken) {
      logger.warn({ peer: candidate.id }, 'the outbox refuses the block to catch up from');
      this.#pace.backOff();
      return;
    }
    const forced = settings.p2p_force_sync_peer !== '';
    if (!forced && !isProven(candidate)) this.#pace.probed();
    this.#attempt = new Attempt(
      {
        ...this.#components,
        pace: this.#pace,
        candidates: () => this.#choice.candidates(this.#pace.height ?? 0, this.#pace.allowsProbe),
      },
      { candidate, since: this.#now(), fromHeight: own },
    );
    metrics.active.set(1);
    const { id, height, hash, dataHubUrl: url, full } = candidate;
    logger.info({ peer: id, own, height, hash, url, full, forced }, 'catching up from a peer');
  }
}

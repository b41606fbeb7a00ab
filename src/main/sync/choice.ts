/** Whom to catch up from now: of those who say to be ahead, the best whose data hub answers. */

import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { BlockHeaderInfo } from '../chain/types.js';
import type { PeerView } from '../peers/peer-view.js';
import {
  forcedCandidate,
  hubsToAsk,
  inOrder,
  type Selection,
  type SyncCandidate,
  syncCandidates,
} from './candidates.js';
import type { DataHubs } from './data-hubs.js';
import type { PeerBackoff } from './peer-backoff.js';

export interface ChoiceComponents {
  readonly settings: Pick<
    Settings,
    | 'p2p_force_sync_peer'
    | 'p2p_allow_pruned_node_fallback'
    | 'p2p_health_check_enabled'
    | 'p2p_full_delivery_freshness_window'
  >;
  readonly peers: Pick<PeerView, 'forCatchup' | 'get'>;
  /**
   * Whether the settings name a peer.
   * @default none
   */
  readonly isConfigured?: (peerId: PeerIdText) => boolean;
  readonly hubs: Pick<DataHubs, 'answering'>;
  readonly chain: { readonly best: Pick<BlockHeaderInfo, 'chainWork'> | undefined };
  readonly isInvalid: (hash: string) => boolean;
}

export interface ChoiceOptions {
  readonly backoff: PeerBackoff;
  /** Unix ms. */
  readonly now: () => number;
}

/** What was received longer ago than this is no reason to catch up. */
export const RECEIVED_WITHIN_MS = 600_000;

export class SyncChoice {
  readonly #components: ChoiceComponents;
  readonly #backoff: PeerBackoff;
  readonly #now: () => number;

  constructor(components: ChoiceComponents, { backoff, now }: ChoiceOptions) {
    this.#components = components;
    this.#backoff = backoff;
    this.#now = now;
  }

  /** From whom one can catch up, the best first, whether or not their data hubs answer. `allowUnproven`: also those of whom nothing is proven. */
  candidates(ownHeight: number, allowUnproven: boolean): SyncCandidate[] {
    return syncCandidates(this.#components.peers.forCatchup(), this.#selection(ownHeight, allowUnproven));
  }

  /** The best of those whose data hub answers. Who does not answer is left alone for a while. Undefined where there is none, or `signal` comes first. */
  async best(
    ownHeight: number,
    allowUnproven: boolean,
    signal: AbortSignal,
  ): Promise<SyncCandidate | undefined> {
    const { settings, hubs } = this.#components;
    const candidates =
      settings.p2p_force_sync_peer === ''
        ? this.candidates(ownHeight, allowUnproven)
        : this.#forced(this.#selection(ownHeight, allowUnproven));
    if (!settings.p2p_health_check_enabled || candidates.length === 0) return candidates[0];
    const wanted = hubsToAsk(candidates, (peer) => this.#backoff.triedAt(peer));
    const answers = await hubs.answering(
      wanted.map(({ dataHubUrl }) => dataHubUrl),
      signal,
    );
    if (signal.aborted) return undefined;
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

  #selection(ownHeight: number, allowUnproven: boolean): Selection {
    const { settings, isInvalid, chain, isConfigured = () => false } = this.#components;
    const now = this.#now();
    const window = settings.p2p_full_delivery_freshness_window;
    return {
      ownHeight,
      ownWork: Buffer.from(chain.best?.chainWork ?? [])
        .toString('hex')
        .replace(/^0+/, ''),
      now,
      // 0: however long ago.
      deliveredSince: window === 0 ? 0 : now - window,
      allowUnproven,
      allowPruned: settings.p2p_allow_pruned_node_fallback,
      receivedSince: now - RECEIVED_WITHIN_MS,
      backoff: this.#backoff,
      isConfigured,
      isInvalid,
    };
  }
}

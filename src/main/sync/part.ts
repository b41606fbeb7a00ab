/** Catching up: whether the settings and the chain have a use for it, and what it hears of. */

import type { HashHex } from '../../shared/bitcoin/hash.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { displayText } from '../../shared/messages/text.js';
import { parsePeerId } from '../../shared/net/peer-id.js';
import type { ChainFollower } from '../chain/follower.js';
import type { InvalidBlocks } from '../feedback/invalid-blocks.js';
import type { Connections } from '../node/connections/index.js';
import type { Peers } from '../peers/part.js';
import { CATCHUP_ERROR_MAX } from '../peers/peer-record.js';

import type { Pipeline } from '../pipeline/index.js';
import { SyncCoordinator } from './coordinator.js';
import { DataHubs } from './data-hubs.js';
import type { GuardedHttp } from './guarded-http.js';
import { createSyncMetrics } from './metrics.js';
import { requestCatchup } from './request-catchup.js';

export interface SyncNeighbours {
  readonly chain: ChainFollower;
  /** An embedded chain follows by itself. */
  readonly isChainEmbedded: boolean;
  readonly connections: Connections;
  readonly peers: Peers;
  readonly pipeline: Pipeline;
  readonly invalidBlocks: InvalidBlocks;
  /** How data hubs of peers are asked. */
  readonly http: Pick<GuardedHttp, 'get'>;
}

/** `coordinator` is undefined where there is no use for it. */
export function createSync(
  { settings, loggers, registry }: PartContext,
  { chain, isChainEmbedded, connections, peers, pipeline, invalidBlocks, http }: SyncNeighbours,
): { readonly coordinator: SyncCoordinator | undefined; readonly part: Part } {
  const metrics = createSyncMetrics(registry);
  const coordinator =
    isChainEmbedded || !settings.p2p_sync_coordination
      ? undefined
      : new SyncCoordinator({
          settings,
          logger: loggers.of('sync'),
          metrics,
          chain,
          peers: peers.view,
          isConfigured: (peer) => connections.isNamed(peer),
          hubs: new DataHubs({ http, metrics }),
          isInvalid: (hash) => invalidBlocks.has(hash as HashHex),
          requestCatchup: async (candidate) => {
            const taken = await requestCatchup({ settings, publisher: pipeline.publisher }, candidate);
            if (taken) peers.client?.syncAttempt(candidate.id);
            return taken;
          },
        });
  // A peer's failure is told by the services themselves too; whichever comes first is recorded.
  chain.on('notification', (notification) => {
    if (notification.type !== 'peer_failure' || notification.failureType !== 'catchup') return;
    const peer = parsePeerId(notification.peerId);
    const reason = displayText(notification.reason, CATCHUP_ERROR_MAX);
    if (peer !== undefined || notification.peerId === '') coordinator?.peerFailed(peer, reason);
    if (peer === undefined) return;
    const { records } = peers.registry;
    records.catchupFailure(peer, 'notification');
    if (reason !== '') records.catchupError(peer, reason);
  });
  return {
    coordinator,
    part: { name: 'sync', start: () => coordinator?.start(), stop: () => coordinator?.stop() },
  };
}

/** What this node says of itself. */

import { monotonic, wall } from '../../shared/clock.js';
import type { BlockAssemblyClient, BlockAssemblyState } from '../../shared/grpc/block-assembly-client.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { NodeStatus } from '../../shared/messages/node-status.js';
import { toldName } from '../../shared/messages/text.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainView } from '../chain/follower.js';
import type { BlockchainClient, BlockHeaderInfo } from '../chain/types.js';
import type { P2PNode } from '../node/types.js';
import type { SyncPeer } from '../sync/sync-peer.js';
import { Cached } from './cached.js';
import { feePolicy, PERSISTED_STATE, type PolicySettings, storageOf } from './fee-policy.js';
import type { AnnouncedUrls } from './urls.js';

/** Milliseconds that a service may hold up a status; what it answers later is in the next. */
const PATIENCE_MS = 500;

export interface StatusComponents {
  readonly settings: Pick<
    Settings,
    'clientName' | 'version' | 'commit' | 'listen_mode' | 'global_blockHeightRetention'
  > &
    PolicySettings;
  readonly logger: Logger;
  readonly chain: Pick<ChainView, 'fsmState'>;
  readonly blockchain: Pick<BlockchainClient, 'getBestBlockHeader' | 'getState'>;
  readonly node: Pick<P2PNode, 'peerId' | 'peers'>;
  readonly urls: AnnouncedUrls;
  readonly assembly?: Pick<BlockAssemblyClient, 'state'>;
  readonly syncPeer?: () => SyncPeer | undefined;
  /** Peers of the legacy service, by the blockchain service's list; undefined where it keeps none. */
  readonly legacyPeers?: () => number | undefined;
  /** Told where the setting is empty. */
  readonly version: string;
  /** Unix ms. */
  readonly startedAt: number;
}

/** Builds node_status from what the chain and the other services say, or said last. */
export class Status {
  readonly #components: StatusComponents;
  readonly #best: Cached<BlockHeaderInfo>;
  /** By the clock that is never set. */
  readonly #began: number;
  readonly #assembled: Cached<BlockAssemblyState | undefined>;
  readonly #persisted: Cached<{ readonly state: Uint8Array | undefined }>;

  constructor(components: StatusComponents) {
    const { blockchain, assembly, logger } = components;
    this.#components = components;
    this.#began = monotonic() - Math.max(0, wall.told() - components.startedAt);
    const failed = (line: string) => ({
      patienceMs: PATIENCE_MS,
      failed: (reason: string) => logger.warn({ reason }, line),
    });
    this.#best = new Cached(
      async () => blockchain.getBestBlockHeader(),
      failed('node status with the last known best block'),
    );
    this.#assembled = new Cached(async () => assembly?.state(), failed('node status without block assembly'));
    this.#persisted = new Cached(
      async () => ({ state: await blockchain.getState(PERSISTED_STATE) }),
      failed('node status with the last known storage'),
    );
  }

  /** The tip as it was just read of the chain. */
  newBest(best: BlockHeaderInfo): void {
    this.#best.learn(best);
  }

  /**
   * Never rejects, and waits for no service longer than half a second: without the chain it tells the last best block that it
   * knew, without block assembly no figures of it. Storage is left out until the chain has told of it.
   */
  async current(): Promise<Partial<NodeStatus>> {
    const { settings, node, urls, chain, syncPeer, legacyPeers, version, startedAt } = this.#components;
    const [best, assembled, persisted] = await Promise.all([
      this.#best.current(),
      this.#assembled.current(),
      this.#persisted.current(),
    ]);
    const sync = syncPeer?.();
    const listening = settings.listen_mode === 'listen_only';
    return {
      peerId: node.peerId,
      clientName: toldName(settings.clientName),
      type: 'node_status',
      baseUrl: listening ? '' : urls.dataHubUrl,
      propagationUrl: listening ? '' : urls.propagation,
      version: toldName(settings.version || version),
      commitHash: toldName(settings.commit),
      bestBlockHash: best?.hash ?? '',
      bestHeight: best?.height ?? 0,
      txCount: assembled?.txCount ?? 0,
      subtreeCount: assembled?.subtreeCount ?? 0,
      fsmState: chain.fsmState ?? 'UNKNOWN',
      startTime: Math.floor(startedAt / 1000),
      uptime: (monotonic() - this.#began) / 1000,
      minerName: toldName(best?.miner ?? ''),
      listenMode: settings.listen_mode,
      chainWork: best === undefined ? '' : Buffer.from(best.chainWork).toString('hex'),
      syncPeerId: sync?.id ?? '',
      syncPeerHeight: sync?.height ?? 0,
      syncPeerBlockHash: sync?.hash ?? '',
      syncConnectedAt: sync?.connectedAt ?? 0,
      minMiningTxFee: settings.minminingtxfee,
      feePolicy: feePolicy(settings),
      connectedPeersCount: node.peers().length,
      legacyConnectedPeersCount: legacyPeers?.() ?? 0,
      storage:
        persisted === undefined || best === undefined
          ? ''
          : storageOf(persisted.state, best.height, settings.global_blockHeightRetention),
    };
  }
}

/** What this node says of itself. */

import { errorMessage } from '../../shared/errors.js';
import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import type { Logger } from '../../shared/logging.js';
import type { NodeStatus } from '../../shared/messages/node-status.js';
import type { Settings } from '../../shared/settings/table.js';
import type { BlockchainClient, BlockHeaderInfo, FsmState } from '../blockchain/types.js';
import type { P2PNode } from '../node/types.js';
import type { AnnouncedUrls } from './urls.js';

/** The peer from which the node catches up. */
export interface SyncPeer {
  readonly id: string;
  readonly height: number;
  readonly hash: string;
  /** Unix seconds. */
  readonly connectedAt: number;
}

export interface StatusComponents {
  readonly settings: Pick<Settings, 'clientName' | 'version' | 'commit' | 'listen_mode'>;
  readonly logger: Logger;
  readonly chain: Pick<BlockchainClient, 'getBestBlockHeader'>;
  readonly node: Pick<P2PNode, 'peerId' | 'peers'>;
  readonly urls: AnnouncedUrls;
  readonly fsmState: () => FsmState | undefined;
  readonly assembly?: Pick<BlockAssemblyClient, 'state'>;
  readonly syncPeer?: () => SyncPeer | undefined;
  /** Told where the setting is empty. */
  readonly version: string;
  /** Unix ms. */
  readonly startedAt: number;
}

/** Builds node_status from what the chain and the other services say, or said last. */
export class Status {
  readonly #components: StatusComponents;
  #best: BlockHeaderInfo | undefined;
  #failing = false;

  constructor(components: StatusComponents) {
    this.#components = components;
  }

  /** Never rejects: without the chain it tells the last best block that it knew. */
  async current(): Promise<Partial<NodeStatus>> {
    const { settings, node, urls, fsmState, assembly, syncPeer, version, startedAt } = this.#components;
    const [best, assembled] = await Promise.all([this.#bestBlock(), assembly?.state()]);
    const sync = syncPeer?.();
    const listening = settings.listen_mode === 'listen_only';
    return {
      peerId: node.peerId,
      clientName: settings.clientName,
      type: 'node_status',
      baseUrl: listening ? '' : urls.dataHub,
      propagationUrl: listening ? '' : urls.propagation,
      version: settings.version || version,
      commitHash: settings.commit,
      bestBlockHash: best?.hash ?? '',
      bestHeight: best?.height ?? 0,
      txCount: assembled?.txCount ?? 0,
      subtreeCount: assembled?.subtreeCount ?? 0,
      fsmState: fsmState() ?? 'UNKNOWN',
      startTime: Math.floor(startedAt / 1000),
      uptime: Math.max(0, Date.now() - startedAt) / 1000,
      minerName: best?.miner ?? '',
      listenMode: settings.listen_mode,
      chainWork: best === undefined ? '' : Buffer.from(best.chainWork).toString('hex'),
      syncPeerId: sync?.id ?? '',
      syncPeerHeight: sync?.height ?? 0,
      syncPeerBlockHash: sync?.hash ?? '',
      syncConnectedAt: sync?.connectedAt ?? 0,
      connectedPeersCount: node.peers().length,
    };
  }

  async #bestBlock(): Promise<BlockHeaderInfo | undefined> {
    try {
      this.#best = await this.#components.chain.getBestBlockHeader();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        this.#components.logger.warn(
          { reason: errorMessage(error) },
          'node status with the last known best block',
        );
      }
      this.#failing = true;
    }
    return this.#best;
  }
}

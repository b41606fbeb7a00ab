/** What this node says to the network. */

import pTimeout from 'p-timeout';
import { monotonic } from '../../shared/clock.js';
import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { ChainFollower } from '../chain/follower.js';
import type { BlockchainClient } from '../chain/types.js';
import type { InvalidBlocks } from '../feedback/invalid-blocks.js';
import type { P2PNode } from '../node/types.js';
import type { Peers } from '../peers/part.js';
import type { Pipeline } from '../pipeline/index.js';
import type { SyncCoordinator } from '../sync/coordinator.js';
import { requestCatchup } from '../sync/request-catchup.js';
import { Announcer } from './announcer.js';
import { createAnnounceMetrics } from './metrics.js';
import type { AnnouncedUrls } from './urls.js';

/** What the chain told before the stop is announced within this time of it. */
const LAST_WORDS_MS = 2_000;

export interface AnnounceNeighbours {
  readonly chain: ChainFollower;
  readonly blockchain: BlockchainClient;
  readonly assembly: BlockAssemblyClient;
  readonly node: P2PNode;
  readonly pipeline: Pipeline;
  readonly peers: Peers;
  readonly sync: SyncCoordinator | undefined;
  readonly invalidBlocks: InvalidBlocks;
  /** Rejected transactions of our own node. */
  readonly rejectedTx: KafkaConsumer | undefined;
}

export function createAnnouncements(
  { settings, loggers, registry, tracing }: PartContext,
  { pipeline, peers, sync, invalidBlocks, ...neighbours }: AnnounceNeighbours,
  { urls, version }: { readonly urls: AnnouncedUrls; readonly version: string },
): Part {
  const logger = loggers.of('announce');
  const announcer = new Announcer(
    {
      settings,
      logger,
      metrics: createAnnounceMetrics(registry),
      showOwn: (kind, message, trace) => pipeline.pushOwn(kind, message, trace),
      tracers: tracing,
      urls,
      syncPeer: () => sync?.syncPeer,
      legacyPeers: () => peers.client?.legacyConnected,
      isInvalid: (hash) => invalidBlocks.has(hash),
      // Elsewhere the coordinator sees what a peer has, and decides.
      ...(settings.p2p_generation === 'first' && sync === undefined
        ? { catchUp: (from) => requestCatchup({ settings, publisher: pipeline.publisher }, from) }
        : {}),
      ...neighbours,
    },
    { version },
  );
  pipeline.on('bestBlock', (block) => void announcer.followBestBlock(block));
  pipeline.on('fact', ({ type, peer }) => {
    if (type !== 'best_block_requested') return;
    announcer.answerBestBlock(peer).catch((error: unknown) => {
      logger.warn({ peer, err: error }, 'a best-block request was not answered');
    });
  });
  return {
    name: 'announcements',
    start: () => announcer.start(),
    stop: async (deadline) => {
      // What is told from now on is not taken, so that none of it is taken and lost.
      const said = neighbours.chain.unsubscribe().then(() => announcer.idle());
      const milliseconds = Math.max(1, Math.min(LAST_WORDS_MS, deadline - monotonic()));
      try {
        const isSaid = await pTimeout(
          said.then(() => true),
          { milliseconds, message: false },
        );
        if (isSaid !== true)
          logger.warn('the stop did not wait for all that the chain had told to be announced');
      } finally {
        await announcer.stop();
      }
    },
    health: [{ resource: 'data hub', check: async () => announcer.dataHubHealth() }],
  };
}

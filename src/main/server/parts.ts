/** The list of parts: built in the order in which they need each other, started in the order of the list, stopped backwards. */

import type { PrivateKey } from '@libp2p/interface';
import type { Part } from '../../shared/lifecycle/part.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { createAnnouncements } from '../announce/part.js';
import type { AnnouncedUrls } from '../announce/urls.js';
import { archiving } from '../archive/part.js';
import { createBanStore } from '../bans/create-store.js';
import type { BanList } from '../bans/list.js';
import { createBanEnforcement, createBans } from '../bans/part.js';
import type { BanScores } from '../bans/scores.js';
import type { EmbeddedChain } from '../chain/embedded-chain.js';
import type { ChainFollower } from '../chain/follower.js';
import { createChain } from '../chain/part.js';
import type { BlockchainClient } from '../chain/types.js';
import { backUp } from '../data-directory/backup.js';
import { directoryWatch } from '../data-directory/part.js';
import { createFeedback } from '../feedback/part.js';
import type { AdminKey } from '../grpc/admin-key.js';
import { createGrpc } from '../grpc/part.js';
import type { LifeComponents } from '../life/foundation.js';
import { createStatus } from '../life/status-part.js';
import { Connections } from '../node/connections/index.js';
import type { Libp2pNode } from '../node/index.js';
import { createNode } from '../node/part.js';
import { createPeers, followConnections, type Peers } from '../peers/part.js';
import type { Pipeline } from '../pipeline/index.js';
import { createPipeline, receiveFrom } from '../pipeline/part.js';
import type { SyncCoordinator } from '../sync/coordinator.js';
import { createSync } from '../sync/part.js';
import type { NotificationServers } from '../websocket/index.js';
import { createNotificationServers } from '../websocket/part.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { isolation } from './isolation-part.js';
import { embeddedBroker, embeddedNeighbours, kafkaConsumers, serviceClients } from './neighbours.js';

/** What was found when the directory was open. */
export interface Opened {
  readonly privateKey: PrivateKey;
  /** Base58. */
  readonly peerId: PeerIdText;
  readonly adminKey: AdminKey;
  /** The node's blockchain service, or the embedded chain. */
  readonly blockchain: BlockchainClient;
  readonly embeddedChain: EmbeddedChain | undefined;
}

export interface PartsComponents extends LifeComponents {
  readonly dependencies: ServerDependencies;
  readonly opened: Opened;
}

export interface ServerParts {
  /** In the order of their start. */
  readonly list: readonly Part[];
  // For who drives the server from within its process: tests and benchmarks.
  readonly chain: ChainFollower;
  readonly embeddedChain: EmbeddedChain | undefined;
  readonly node: Libp2pNode;
  readonly bans: BanList;
  readonly scores: BanScores;
  readonly registry: Peers['registry'];
  readonly pipeline: Pipeline;
  readonly notifications: NotificationServers;
  /** Undefined where there is no use for it. */
  readonly sync: SyncCoordinator | undefined;
}

/** Builds every part. Nothing runs yet. */
export function createParts(
  { dependencies: given, opened, handOver, running, runtimeInfo, tracing }: PartsComponents,
  urls: AnnouncedUrls,
  { version = '', origin, parts: further = [] }: ServerOptions,
): ServerParts {
  const { settings, loggers, directory, brokerSocketPath } = given;
  const { peerId, blockchain, embeddedChain } = opened;
  const { store } = directory;

  const chain = createChain(given, blockchain);
  const { follower } = chain;
  const connections = new Connections({ settings });
  const banStore = createBanStore(settings, { level: store, logger: loggers.of('bans') });
  const bans = createBans(given, { store: banStore, connections });
  const calls = given.blockchain?.peerRegistry;
  const peers = createPeers(given, { store, calls, chain: follower, connections, bans }, { peerId });
  const pipelineParts = createPipeline(
    given,
    { chain: follower, bans, peers, directory, handOver },
    { peerId, brokerSocketPath, tracing },
  );
  const { pipeline, frameSocketPath } = pipelineParts;
  const { node, part: libp2p } = createNode(
    given,
    { store, connections, bans: bans.policy, checks: pipeline },
    { privateKey: opened.privateKey, kinds: MESSAGE_KINDS },
  );
  receiveFrom(node, pipeline);
  followConnections(peers, node);
  const notifications = createNotificationServers(
    given,
    { handOver },
    { peerId, frameSocketPath, dataHubUrl: urls.dataHubUrl, tracing },
  );
  const { invalidBlocks: blocks, invalidSubtrees: subtrees, rejectedTx, assembly } = given;
  const reports = { chain: follower, scores: bans.scores, peers, pipeline, blocks, subtrees };
  const { invalidBlocks, part: feedback } = createFeedback(given, reports, { peerId });
  const isChainEmbedded = embeddedChain !== undefined;
  const http = given.dataHubs;
  const heard = { chain: follower, peers, pipeline, invalidBlocks };
  const sync = createSync(given, { ...heard, isChainEmbedded, connections, http });
  const announcements = createAnnouncements(
    given,
    { ...heard, blockchain, assembly, node, sync: sync.coordinator, rejectedTx },
    { urls, version },
  );
  const enforcement = createBanEnforcement(given, { bans, node });
  const { adminKey } = opened;
  const tls = given.tls.of('peerservice');
  const grpc = createGrpc(given, { adminKey, tls, node, connections, bans, peers });

  const status = createStatus(
    given,
    {
      logger: loggers.of('server'),
      running,
      runtimeInfo,
      commands: {
        publisher: pipeline.publisher,
        backUp: (path) => backUp(store, settings, path),
      },
      notifications: notifications.servers,
      sources: {
        version,
        peerId,
        node: { chain: follower, peers: peers.view, sync: sync.coordinator, bans: bans.list },
      },
    },
    { brokerSocketPath },
  );

  return {
    list: [
      directoryWatch(given, directory),
      isolation(given, origin),
      bans.loading,
      peers.storing,
      chain.service,
      notifications.preparation,
      grpc.preparation,
      embeddedBroker(given),
      serviceClients(given),
      pipelineParts.threads,
      archiving(given, { directory: () => directory.file('journal'), cursors: 'node' }),
      notifications.serving,
      pipelineParts.batches,
      // Ends after libp2p: then it tells that nobody is connected any more.
      peers.telling,
      libp2p,
      // What follows it may announce something.
      chain.following,
      announcements,
      enforcement,
      feedback,
      kafkaConsumers(given),
      sync.part,
      grpc.serving,
      embeddedNeighbours(given, { chain: embeddedChain, pipeline }),
      ...further.map((create) => create(given)),
      status,
    ],
    chain: follower,
    embeddedChain,
    node,
    bans: bans.list,
    scores: bans.scores,
    registry: peers.registry,
    pipeline,
    notifications: notifications.servers,
    sync: sync.coordinator,
  };
}

/** The list of parts: built in the order in which they need each other, started in the order of the list, stopped backwards. */

import type { Part } from '../../shared/lifecycle/part.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
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
import { backUp } from '../data-directory/backup.js';
import { directoryWatch } from '../data-directory/part.js';
import { createFeedback } from '../feedback/part.js';
import { createGrpc } from '../grpc/part.js';
import type { HandOver } from '../hand-over/hand-over.js';
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
import type { Opened } from './foundation.js';
import { isolation } from './isolation-part.js';
import { embeddedBroker, embeddedNeighbours, kafkaConsumers, serviceClients } from './neighbours.js';
import type { RuntimeInfo } from './runtime-info.js';
import { createStatus, type Running } from './status-part.js';

export interface PartsComponents {
  readonly dependencies: ServerDependencies;
  readonly opened: Opened;
  readonly handOver: HandOver;
  readonly running: Running;
  readonly runtimeInfo: RuntimeInfo;
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
  { dependencies: given, opened, handOver, running, runtimeInfo }: PartsComponents,
  urls: AnnouncedUrls,
  { version = '', origin, parts: further = [] }: ServerOptions,
): ServerParts {
  const { settings, loggers, directory, brokerSocketPath } = given;
  const { peerId, blockchain, embeddedChain, tracingOrder: tracing } = opened;
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
      running,
      runtimeInfo,
      commands: {
        publisher: pipeline.publisher,
        setLogLevel: (level) => running.setLogLevel(level),
        backUp: (path) => backUp(store, settings, path),
      },
      notifications: notifications.servers,
      sources: {
        version,
        peerId,
        chain: follower,
        peers: peers.view,
        sync: sync.coordinator,
        bans: bans.list,
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

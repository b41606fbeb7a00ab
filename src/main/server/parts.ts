/** The server's own parts, built and tied together. Nothing runs yet: `server.ts` starts and stops them. */

import type { PrivateKey } from '@libp2p/interface';
import { LevelDatastore } from 'datastore-level';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { parseHeader } from '../../shared/bitcoin/header.js';
import { localSocketPath } from '../../shared/ipc/socket-path.js';
import type { ComponentLoggers, Logger } from '../../shared/logging/logger.js';
import type { PeerFact } from '../../shared/messages/fact.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import { outcomeAt } from '../../shared/messages/outcomes.js';
import { displayText } from '../../shared/messages/text.js';
import { blocks, subtrees } from '../../shared/messages/topics.js';
import { parsePeerId } from '../../shared/net/peer-id.js';
import { checkDirect } from '../../shared/pipeline/check.js';
import { checkContextOf } from '../../shared/pipeline/check-context.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import { Announcer } from '../announce/announcer.js';
import { createAnnounceMetrics } from '../announce/metrics.js';
import type { AnnouncedUrls } from '../announce/urls.js';
import { BanEnforcer } from '../bans/enforcer.js';
import { BanList } from '../bans/list.js';
import { createBanMetrics } from '../bans/metrics.js';
import { createBanPolicy } from '../bans/policy.js';
import { createBanProtection } from '../bans/protection.js';
import { BanScores } from '../bans/scores.js';
import { ChainFollower } from '../chain/follower.js';
import { createChainMetrics } from '../chain/metrics.js';
import type { BlockHeaderInfo, ChainNotification } from '../chain/types.js';
import { InvalidBlocks } from '../feedback/invalid-blocks.js';
import { InvalidFeedback } from '../feedback/invalid-feedback.js';
import { createFeedbackMetrics } from '../feedback/metrics.js';
import type { AdminKey } from '../grpc/admin-key.js';
import { GrpcConnections } from '../grpc/connections.js';
import { createPeerServiceMetrics } from '../grpc/metrics.js';
import { createPeerService } from '../grpc/peer-service.js';
import { CATCHUP_ERROR_MAX } from '../grpc/registry-service.js';
import { GrpcServer } from '../grpc/server.js';
import { olderBootstrapIds } from '../node/addresses/configured-peers.js';
import { Connections } from '../node/connections/index.js';
import { Libp2pNode } from '../node/index.js';
import type { BanPolicy } from '../node/types.js';
import { createPeerMetrics } from '../peers/metrics.js';
import { PeerView } from '../peers/peer-view.js';
import { PeerRegistry } from '../peers/registry.js';
import { RegistryClient } from '../peers/service/client.js';
import { createRegistryClientMetrics } from '../peers/service/metrics.js';
import { Pipeline } from '../pipeline/index.js';
import { createPipelineMetrics } from '../pipeline/metrics.js';
import { SyncCoordinator } from '../sync/coordinator.js';
import { DataHubs } from '../sync/data-hubs.js';
import { createSyncMetrics } from '../sync/metrics.js';
import { requestCatchup } from '../sync/request-catchup.js';
import { createNotificationsMetrics, NotificationServers } from '../websocket/index.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';

/** What `init` found before the parts can be built. */
export interface Identity {
  readonly privateKey: PrivateKey;
  readonly adminKey: AdminKey;
  readonly urls: AnnouncedUrls;
}

export class ServerParts {
  readonly bans: BanList;
  readonly scores: BanScores;
  readonly enforcer: BanEnforcer;
  readonly registry: PeerRegistry;
  /** The blockchain service's registry of peers; undefined with an embedded chain. */
  readonly registryClient: RegistryClient | undefined;
  readonly connections: Connections;
  readonly node: Libp2pNode;
  /** What is known of each peer, joined. */
  readonly peers: PeerView;
  readonly datastore: LevelDatastore;
  readonly pipeline: Pipeline;
  readonly notifications: NotificationServers;
  readonly announcer: Announcer;
  readonly feedback: InvalidFeedback;
  /** Undefined where the settings, or an embedded chain that follows by itself, have no use for it. */
  readonly sync: SyncCoordinator | undefined;
  readonly grpc: GrpcServer;
  readonly adminKey: AdminKey;
  readonly chain: ChainFollower;
  readonly #dependencies: ServerDependencies;
  readonly #logger: Logger;
  #tipBits = 0;

  constructor(
    dependencies: ServerDependencies,
    options: ServerOptions,
    { privateKey, adminKey, urls }: Identity,
    loggers: ComponentLoggers,
  ) {
    const { settings, registry, directory, tracing } = dependencies;
    this.#dependencies = dependencies;
    this.adminKey = adminKey;
    this.#logger = loggers.of('server');
    this.chain = new ChainFollower({
      chain: dependencies.blockchain,
      logger: loggers.of('announce'),
      metrics: createChainMetrics(registry),
    });

    const banMetrics = createBanMetrics(registry);
    const banLogger = loggers.of('bans');
    this.bans = new BanList({ store: dependencies.banStore, logger: banLogger, metrics: banMetrics });
    this.connections = new Connections({ settings });
    const protection = createBanProtection(
      settings,
      () => this.connections.peers(),
      (peer) => this.connections.isNamed(peer),
    );
    this.scores = new BanScores(
      {
        list: this.bans,
        logger: banLogger,
        metrics: banMetrics,
        isProtected: (peer) => protection.isProtected(peer),
        addressesOf: (peer) => protection.addressesOf(peer),
        onOffence: (peer, reason, points) => this.registryClient?.offended(peer, reason, points),
      },
      {
        threshold: settings.p2p_ban_threshold,
        durationMs: settings.p2p_ban_duration,
        generation: settings.p2p_generation,
      },
    );
    const banPolicy: BanPolicy = createBanPolicy(this.bans, this.scores);

    this.registry = new PeerRegistry(
      {
        level: directory.store,
        logger: loggers.of('peers'),
        metrics: createPeerMetrics(registry),
        ownHeight: () => this.chain.best?.height,
        connections: () => this.connections.peers(),
        onReport: (report) => this.registryClient?.reported(report),
      },
      {
        maxHeightLead: settings.p2p_max_unvalidated_advertised_height_lead,
        storageDoubtMs: settings.p2p_full_storage_penalty_duration,
        isConfigured: (peer) => this.connections.isNamed(peer),
      },
    );

    const registryMetrics = createRegistryClientMetrics(registry);
    this.registryClient =
      dependencies.peerRegistry === undefined
        ? undefined
        : new RegistryClient(
            {
              calls: dependencies.peerRegistry,
              logger: loggers.of('peers'),
              metrics: registryMetrics,
              registry: this.registry,
              list: this.bans,
              level: directory.store,
              ownPeer: () => this.node.peerId,
              connections: () => this.connections.peers(),
              isConfigured: (peer) => this.connections.isNamed(peer),
              isProtected: (peer) => protection.isProtected(peer),
            },
            {
              intervalMs: settings.p2p_peer_registry_batch_interval,
              banDurationMs: settings.p2p_ban_duration,
            },
          );

    this.datastore = new LevelDatastore(
      directory.store.sublevel('libp2p', { keyEncoding: 'utf8', valueEncoding: 'view' }) as never,
    );
    this.node = new Libp2pNode({
      settings,
      logger: loggers.of('node'),
      privateKey,
      datastore: this.datastore,
      registry,
      connections: this.connections,
      bans: banPolicy,
      // Built below; messages come when both have started.
      checks: { check: (message) => this.pipeline.check(message) },
      kinds: MESSAGE_KINDS,
    });
    this.peers = new PeerView(
      {
        registry: this.registry,
        node: this.node,
        list: this.bans,
        scores: this.scores,
        ...(this.registryClient === undefined ? {} : { service: this.registryClient }),
      },
      { blacklistedHosts: checkContextOf(settings).blacklistedHosts },
    );

    const service = {
      peerId: this.node.peerId,
      clientName: settings.clientName,
      version: options.version ?? '',
    };
    const publisher: PublisherConfig = {
      settings,
      journalPath: directory.file('journal'),
      frameSocketPath: localSocketPath(directory.path, 'frames.sock'),
      brokerSocketPath: dependencies.brokerSocketPath,
      peerId: this.node.peerId,
      logLevel: loggers.level,
      tracing: tracing.orderOf(service),
    };
    this.pipeline = new Pipeline(
      {
        settings,
        logger: loggers.of('pipeline'),
        metrics: createPipelineMetrics(registry),
        verdicts: this.node,
        bans: banPolicy,
        reputation: this.peers,
        standingOf: (author) => this.registry.standingOf(author),
        ...(this.registryClient === undefined
          ? {}
          : { onAccepted: (author) => this.registryClient?.received(author) }),
        onFact: (fact) => this.#learn(fact),
        onOffence: (author, offence) => this.scores.add(author, offence),
        tracers: tracing,
      },
      { publisher },
    );

    this.notifications = new NotificationServers(
      { settings, logger: loggers.of('notifications'), metrics: createNotificationsMetrics(registry) },
      {
        frameSocketPath: publisher.frameSocketPath,
        peerId: this.node.peerId,
        baseUrl: urls.dataHub,
        tracing: tracing.orderOf(service),
      },
    );

    const invalidBlocks = new InvalidBlocks();
    this.sync = this.#syncCoordinator(invalidBlocks, loggers.of('sync'));
    this.announcer = new Announcer(
      {
        settings,
        logger: loggers.of('announce'),
        metrics: createAnnounceMetrics(registry),
        chain: this.chain,
        blockchain: dependencies.blockchain,
        node: this.node,
        showOwn: (kind, message, trace) => this.pipeline.pushOwn(kind, message, trace),
        tracers: tracing,
        urls,
        assembly: dependencies.assembly,
        syncPeer: () => this.sync?.syncPeer,
        legacyPeers: () => this.registryClient?.legacyConnected,
        isInvalid: (hash) => invalidBlocks.has(hash),
        // Elsewhere the coordinator sees what a peer has, and decides.
        ...(settings.p2p_generation === 'first' && this.sync === undefined
          ? { catchUp: (from) => requestCatchup({ settings, publisher: this.pipeline.publisher }, from) }
          : {}),
        ...(dependencies.rejectedTx === undefined ? {} : { rejectedTx: dependencies.rejectedTx }),
      },
      options.version === undefined ? {} : { version: options.version },
    );

    this.feedback = new InvalidFeedback({
      logger: loggers.of('reports'),
      metrics: createFeedbackMetrics(registry),
      scores: this.scores,
      peers: this.peers,
      records: settings.p2p_generation === 'current' ? this.registry.records : undefined,
      invalidBlocks,
      announcersOf: (kind, hashes) =>
        this.pipeline.publisher.ask('announcers', {
          topic: (kind === 'block' ? blocks : subtrees).id,
          hashes,
        }),
      chain: this.chain,
      ownPeerId: () => this.node.peerId,
      blocks: dependencies.invalidBlocks,
      subtrees: dependencies.invalidSubtrees,
    });

    this.enforcer = new BanEnforcer({
      list: this.bans,
      node: this.node,
      logger: banLogger,
      metrics: banMetrics,
    });

    const grpcLogger = loggers.of('grpc');
    const grpcMetrics = createPeerServiceMetrics(registry);
    const connections = new GrpcConnections({ metrics: grpcMetrics });
    this.grpc = new GrpcServer(
      {
        logger: grpcLogger,
        connections,
        tls: dependencies.tls.of('peerservice'),
        service: createPeerService(
          {
            logger: grpcLogger,
            metrics: grpcMetrics,
            connections,
            adminKey,
            tracers: tracing,
            node: this.node,
            list: this.bans,
            scores: this.scores,
            peers: this.peers,
            records: this.registry.records,
            ...(this.registryClient === undefined ? {} : { service: this.registryClient }),
          },
          {
            banDurationMs: settings.p2p_ban_duration,
            bootstrapPeers: this.bootstrapPeers,
          },
        ),
      },
      settings,
    );

    this.node.on('connected', (peer) => protection.met(peer));
    this.#connect();
  }

  #syncCoordinator(invalidBlocks: InvalidBlocks, logger: Logger): SyncCoordinator | undefined {
    const { settings, registry, embedded, dataHubs } = this.#dependencies;
    const metrics = createSyncMetrics(registry);
    if (embedded.chain !== undefined || !settings.p2p_sync_coordination) return undefined;
    return new SyncCoordinator({
      settings,
      logger,
      metrics,
      peers: this.peers,
      isConfigured: (peer) => this.connections.isNamed(peer),
      hubs: new DataHubs({ http: dataHubs, metrics }),
      chain: this.chain,
      isInvalid: (hash) => invalidBlocks.has(hash as HashHex),
      requestCatchup: async (candidate) => {
        const taken = await requestCatchup({ settings, publisher: this.pipeline.publisher }, candidate);
        if (taken) this.registryClient?.syncAttempt(candidate.id);
        return taken;
      },
    });
  }

  /** Those that lists leave out: base58 IDs, those behind a /dnsaddr once it is resolved; those of p2p_bootstrapAddresses in both generations. */
  get bootstrapPeers(): Pick<ReadonlySet<string>, 'has'> {
    const { bootstrapPeers } = this.connections;
    const older = olderBootstrapIds(this.#dependencies.settings);
    return { has: (peerId) => bootstrapPeers.has(peerId) || older.has(peerId) };
  }

  /** From the node's events to those who care. */
  #connect(): void {
    const { settings } = this.#dependencies;
    this.chain.on('best', (best) => this.#setBest(best));
    this.chain.on('notification', (notification) => this.#notified(notification));
    this.node.on('received', (message) => this.pipeline.push(message));
    this.node.on('connected', (peer) => this.registry.known.connected(peer));
    this.node.on('disconnected', (peer, bytes) => {
      this.registry.known.disconnected(peer, bytes);
      this.registryClient?.disconnected(peer, bytes);
    });
    this.node.on('excess', (peer) => this.scores.add(peer, 'spam'));
    this.node.on('forged', (peer) => this.scores.add(peer, 'protocol_violation'));
    this.node.on('direct', ({ source, data }) => {
      const { outcome, fact } = checkDirect(source, data, checkContextOf(settings, this.#tipBits));
      const { name, offence } = outcomeAt(outcome) as { name: string; offence?: string };
      if (fact !== undefined) {
        this.#learn(fact);
        if (fact.type === 'block') void this.announcer.followBestBlock(fact);
      } else this.#logger.debug({ peer: source, outcome: name }, 'best-block answer refused');
      if (offence !== undefined) this.scores.add(source, offence);
    });
  }

  /** A peer's failure is told by the services themselves too; whichever comes first is recorded. */
  #notified(notification: ChainNotification): void {
    if (notification.type !== 'peer_failure' || notification.failureType !== 'catchup') return;
    const peer = parsePeerId(notification.peerId);
    const reason = displayText(notification.reason, CATCHUP_ERROR_MAX);
    if (peer !== undefined || notification.peerId === '') this.sync?.peerFailed(peer, reason);
    if (peer === undefined) return;
    this.registry.records.catchupFailure(peer, 'notification');
    if (reason !== '') this.registry.records.catchupError(peer, reason);
  }

  #setBest(best: BlockHeaderInfo): void {
    this.#tipBits = parseHeader(best.header).bits;
    this.pipeline.setTipBits(this.#tipBits);
  }

  #learn(fact: PeerFact): void {
    if (fact.type === 'best_block_requested') {
      this.announcer.answerBestBlock(fact.peer).catch((error: unknown) => {
        this.#logger.warn({ peer: fact.peer, err: error }, 'a best-block request was not answered');
      });
      return;
    }
    this.registry.known.learn(fact);
    this.registryClient?.told(fact.peer);
    if (fact.clientName !== '') this.node.setPeerName(fact.peer, fact.clientName);
    if (fact.type !== 'block') return;
    this.#dependencies.embedded.chain?.adopt(fact).catch((error: unknown) => {
      this.#logger.error({ hash: fact.hash, err: error }, 'the embedded chain could not follow a block');
    });
  }
}

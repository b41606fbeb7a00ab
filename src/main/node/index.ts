/** The libp2p node: receives and publishes on the network's topics, and is connected to its peers. */

import { type PeerIdText, peerIdText } from '../../shared/net/peer-id.js';
import '../../shared/process/polyfill.js';

import { EventEmitter } from 'node:events';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { Registry } from 'prom-client';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { nodeStatus } from '../../shared/messages/node-status.js';
import { isPrivateNetwork } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ResolveTxt } from './addresses/dnsaddr.js';
import { listenRefusal } from './addresses/listening.js';
import { abortMatching } from './connections/closing-connections.js';
import type { BanPolicy } from './connections/gater.js';
import type { Connections } from './connections/index.js';
import { peerWarnings, type WarnOfPeer } from './connections/peer-warnings.js';
import { Gossip } from './gossip/index.js';
import type { GossipStreamsOptions } from './gossip/streams.js';
import type { Verdict } from './gossip/verdicts.js';
import type { Host, HostComponents } from './host.js';
import { OwnKey } from './identity/own-key.js';
import { Preambles } from './identity/preambles.js';
import type { MessageChecks } from './messages/types.js';
import { createNodeMetrics, type NodeMetrics } from './metrics/node-metrics.js';
import { createPeripheryMetrics, type PeripheryMetrics } from './metrics/periphery-metrics.js';
import { ALL_PATCHES, type Patches } from './patches/index.js';
import { connectTo } from './peering/connect.js';
import { RunningHost } from './running-host.js';
import type { ConnectedPeer, NodeEvents, P2PNode } from './types.js';

export { Connections } from './connections/index.js';

export interface NodeComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  /** From `loadOrCreateKey`. */
  readonly privateKey: PrivateKey;
  /** `datastore-level`, open; closed by who opened it, after `stop`. */
  readonly datastore: HostComponents['datastore'];
  readonly registry: Registry;
  /** Of these settings, and of this node alone. */
  readonly connections: Connections;
  readonly bans: BanPolicy;
  /** Asked of every message before GossipSub is. */
  readonly checks: MessageChecks;
  /** The table of message kinds. */
  readonly kinds: readonly MessageKind[];
}

export interface NodeOptions {
  /** Patches of libraries that are off; all are on unless one is suspected. */
  readonly patches?: Partial<Patches>;
  /**
   * Told in identify.
   * @default `teranode-p2p`
   */
  readonly userAgent?: string;
  /**
   * Milliseconds between two questions to others where this node is.
   * @default 300,000
   */
  readonly ownLookupMs?: number;
  readonly gossipStreams?: GossipStreamsOptions;
  /** Resolves /dnsaddr; the system's resolver unless given. */
  readonly resolveTxt?: ResolveTxt;
  /**
   * How long a peer may be connected without a topic of ours before it is warned of, ms.
   * @default 30,000
   */
  readonly topicPatienceMs?: number;
}

/** The first generation's nodes know no direct peers: it would be agreed on one side alone. */
const hasDirectPeers = ({ p2p_generation }: Settings): boolean => p2p_generation === 'current';

export class Libp2pNode extends EventEmitter<NodeEvents> implements P2PNode {
  readonly peerId: PeerIdText;
  readonly #components: NodeComponents;
  readonly #options: NodeOptions;
  readonly #patches: Patches;
  readonly #warn: WarnOfPeer;
  readonly #metrics: NodeMetrics;
  readonly #peripheryMetrics: PeripheryMetrics;
  readonly #connections: Connections;
  readonly #gossip: Gossip;
  readonly #preambles: Preambles;
  readonly #ownKey: OwnKey;
  #running: RunningHost | undefined;

  constructor(components: NodeComponents, options: NodeOptions = {}) {
    super();
    const { settings, registry, logger, kinds, connections, bans } = components;
    this.#components = components;
    this.#options = options;
    this.#patches = { ...ALL_PATCHES, ...options.patches };
    this.peerId = peerIdText(peerIdFromPrivateKey(components.privateKey));
    this.#connections = connections;
    this.#warn = peerWarnings(logger, (peerId) => connections.isNamed(peerId));
    const names = kinds.map(({ name }) => name);
    this.#metrics = createNodeMetrics(registry, () => this.#observe(), names);
    this.#peripheryMetrics = createPeripheryMetrics(registry);
    this.#preambles = new Preambles(
      { logger, metrics: this.#peripheryMetrics },
      { isPrivate: isPrivateNetwork(settings) },
    );
    this.#ownKey = new OwnKey({ peerId: this.peerId, logger, metrics: this.#metrics });
    this.#gossip = new Gossip(
      { ...components, warn: this.#warn, metrics: this.#metrics, traffic: connections.traffic },
      {
        patches: this.#patches,
        self: this.peerId,
        directPeers: hasDirectPeers(settings) ? connections.configured.others(this.peerId) : [],
        applicationScore: (id) =>
          connections.isExempt(id) ? 0 : Math.min(0, bans.applicationScore(id as PeerIdText)),
        isExempt: (address) => connections.isExemptAddress(address),
        streams: options.gossipStreams,
        topicPatienceMs: options.topicPatienceMs,
      },
    );
    this.#listenToGossip();
  }

  /** Listens, joins the topics, and goes looking for peers. Throws ConfigurationError when the port is not to be had. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { settings, logger } = this.#components;
    try {
      this.#running = await this.#createHost();
      this.#listenToHost(this.#running.host);
      await this.#running.start(signal);
    } catch (error) {
      await this.stop();
      throw listenRefusal(error, settings);
    }
    logger.info(
      {
        peer: this.peerId,
        addresses: this.addresses(),
        topics: this.#gossip.topics,
        mode: settings.listen_mode,
      },
      'libp2p node started',
    );
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  async publish(kind: number, data: Uint8Array): Promise<number> {
    const { pubsub } = this.#host.services;
    if (kind === nodeStatus.id) this.#ownKey.sent(data);
    return this.#gossip.publish(kind, data, pubsub);
  }

  subscribers(kind: number): number {
    return this.#gossip.subscribers(kind);
  }

  report(messageId: string, verdict: Verdict): void {
    this.#gossip.report(messageId, verdict);
  }

  async sendDirect(peerId: PeerIdText, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (this.#running === undefined) throw new UnavailableError('the libp2p node is not running');
    await this.#running.sendDirect(peerId, data, signal);
  }

  isConnected(peerId: PeerIdText): boolean {
    return this.#connections.isConnected(peerId);
  }

  peers(): readonly ConnectedPeer[] {
    return this.#connections.peers();
  }

  peer(peerId: PeerIdText): ConnectedPeer | undefined {
    return this.#connections.peer(peerId);
  }

  addresses(): readonly string[] {
    return this.#running?.host.getMultiaddrs().map(String) ?? [];
  }

  /** The TCP port listened on, whatever is told to peers; undefined while not running. */
  get port(): number | undefined {
    return this.#running?.port;
  }

  async connect(address: string, signal?: AbortSignal): Promise<void> {
    const components = { host: this.#host, ownKey: this.#ownKey, preambles: this.#preambles };
    await connectTo(address, components, { isPrivate: isPrivateNetwork(this.#components.settings), signal });
  }

  async disconnect(peerId: PeerIdText): Promise<boolean> {
    return (await this.closeMatching((remote) => remote.peerId === peerId)) > 0;
  }

  async closeMatching(
    matches: (remote: { readonly address: string; readonly peerId: PeerIdText }) => boolean,
  ): Promise<number> {
    return abortMatching(this.#running?.host.getConnections() ?? [], matches);
  }

  setPeerName(peerId: PeerIdText, name: string): void {
    this.#running?.peering.setName(peerId, name);
  }

  async health(): Promise<DependencyHealth> {
    const peers = this.#running?.host.getPeers().length;
    if (peers === undefined) {
      return { resource: 'libp2p', status: 503, error: 'not started', message: 'not started' };
    }
    const { deafPeers, isUnheard, topics } = this.#gossip;
    const deaf = deafPeers > 0 ? ` (${deafPeers} of them without a gossip stream)` : '';
    // As with no peers at all: what only others can mend takes no node out of service.
    const unheard = isUnheard ? `, connected peers share no topic (ours: ${topics[0]}, …)` : '';
    const twin = this.#ownKey.warning === undefined ? '' : `, ${this.#ownKey.warning}`;
    return { resource: 'libp2p', status: 200, message: `${peers} peers connected${deaf}${twin}${unheard}` };
  }

  /** Messages being verified or without a verdict, now and at the most. */
  get pending(): { readonly now: number; readonly peak: number } {
    return this.#gossip.pending;
  }

  /** What runs underneath, for tests and diagnosis. */
  inspect(): {
    readonly host: Host | undefined;
    readonly settings: Settings;
    readonly connections: Connections;
  } {
    return {
      host: this.#running?.host,
      settings: this.#components.settings,
      connections: this.#connections,
    };
  }

  get #host(): Host {
    if (this.#running === undefined) throw new UnavailableError('the libp2p node is not running');
    return this.#running.host;
  }

  #createHost(): Promise<RunningHost> {
    const { userAgent = 'teranode-p2p', ownLookupMs, resolveTxt } = this.#options;
    return RunningHost.create(
      {
        ...this.#components,
        gossip: this.#gossip,
        preambles: this.#preambles,
        ownKey: this.#ownKey,
        warn: this.#warn,
        metrics: this.#metrics,
        peripheryMetrics: this.#peripheryMetrics,
      },
      {
        patches: this.#patches,
        userAgent,
        ownLookupMs,
        resolveTxt,
        onDirect: (message) => this.emit('direct', message),
      },
    );
  }

  #listenToGossip(): void {
    const gossip = this.#gossip;
    gossip.on('received', (message) => {
      if (message.author !== message.source) this.#running?.peering.receivedFrom(message.author);
      if (!this.emit('received', message)) gossip.report(message.id, 'ignore');
    });
    gossip.on('ownReceived', (kind, data, source) => {
      if (kind === nodeStatus.id) this.#ownKey.received(data, source);
    });
    gossip.on('excess', (peerId) => this.emit('excess', peerId));
    gossip.on('forged', (peerId) => this.emit('forged', peerId));
    // On the next turn: GossipSub is in the middle of telling others.
    gossip.on('stalled', (peerId) => setImmediate(() => this.#closeStalled(peerId)));
  }

  #closeStalled(peerId: PeerIdText): void {
    const connections = this.#running?.host.getConnections() ?? [];
    if (abortMatching(connections, (remote) => remote.peerId === peerId) === 0) return;
    this.#metrics.stalledPeers.inc();
    this.#warn({ peer: peerId }, 'does not read what it is sent: connection closed');
  }

  #listenToHost(host: Host): void {
    const { settings, logger } = this.#components;
    host.addEventListener('peer:connect', ({ detail }) => {
      const peerId = peerIdText(detail);
      // Behind a /dnsaddr there was no ID to make a direct peer of before.
      if (hasDirectPeers(settings) && this.#connections.isConfigured(peerId)) {
        this.#gossip.addDirectPeer(peerId);
      }
      this.#gossip.opened(peerId);
      this.emit('connected', peerId);
    });
    host.addEventListener('peer:disconnect', ({ detail }) => {
      const peerId = peerIdText(detail);
      const bytesReceived = this.#connections.forget(peerId);
      this.#gossip.closed(peerId);
      this.emit('disconnected', peerId, bytesReceived);
    });
    if (!settings.p2p_enable_mdns) return;
    host.addEventListener('peer:discovery', ({ detail }) => {
      host.dial(detail.id).catch((error: unknown) => {
        logger.debug({ peer: detail.id.toString(), err: errorMessage(error) }, 'no connection');
      });
    });
  }

  #observe(): void {
    this.#gossip.observe();
    this.#metrics.peers.set(this.#running?.host.getPeers().length ?? 0);
  }
}

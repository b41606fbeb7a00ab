/** The libp2p node: hears and publishes on the network's topics, and knows who is connected. */

import '../../shared/process/polyfill.js';

import { EventEmitter } from 'node:events';
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { AddrInfo } from '@chainsafe/libp2p-gossipsub/types';
import type { Connection, PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Counter, Registry } from 'prom-client';
import { KeyedRate } from '../../shared/async/keyed-rate.js';
import { monotonic } from '../../shared/clock.js';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { nodeStatus } from '../../shared/messages/node-status.js';
import { AddressList, isLoopbackAddress } from '../../shared/net/ip.js';
import { mainShares } from '../../shared/process/descriptors.js';
import { isPrivateNetwork } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';
import { warnOfDescriptors } from '../health/descriptors.js';
import { listenRefusal, multiaddrHost, multiaddrPeerId } from './addresses/multiaddrs.js';
import { createGater } from './gater.js';
import { Backpressure } from './gossip/backpressure.js';
import { ConnectionBudgets } from './gossip/budgets.js';
import { topicNames } from './gossip/service.js';
import { SharedTopics } from './gossip/shared-topics.js';
import { Verification } from './gossip/verification.js';
import { createHost, forgetHostMetrics, type Host, type HostComponents } from './host.js';
import { Identities } from './identity/identities.js';
import { OwnKey } from './identity/own-key.js';
import { Preambles } from './identity/preambles.js';
import { createNodeMetrics, type NodeMetrics } from './metrics/node-metrics.js';
import { createPeripheryMetrics, type PeripheryMetrics } from './metrics/periphery-metrics.js';
import { Traffic } from './metrics/traffic.js';
import { GossipStreams, type GossipStreamsOptions } from './patches/gossip-streams.js';
import { internalsOf } from './patches/host-internals.js';
import { ALL_PATCHES, judgementOf, type Patches, scoreInvalidMessage } from './patches/library-patches.js';
import type { ResolveTxt } from './peering/bootstrap.js';
import { DuplicateConnections } from './peering/duplicate-connections.js';
import { peerWarnings, type WarnOfPeer } from './peering/peer-warnings.js';
import { type ConfiguredPeers, configuredPeers, isConfigured, Peering } from './peering/peering.js';
import { DirectStream } from './protocols/direct-stream.js';
import { PeerPings } from './protocols/peer-pings.js';
import type {
  BanPolicy,
  ConnectedPeer,
  MessageChecks,
  NodeEvents,
  P2PNode,
  ReceivedMessage,
} from './types.js';

/** GossipSub forgets a message after two minutes: a verdict later than that was lost. */
const VERDICT_LOST_MS = 120_000;
const SWEEP_MS = 10_000;
/**
 * Messages of a peer's own, sent by itself, that may be invalid before each further one is an offence. Honest nodes send none; the first
 * ten cost GossipSub's score alone, and five more reach the usual ban threshold, which is before the graylist keeps the rest unread.
 */
const MISTAKES = { perSecond: 1 / 60, burst: 10, maxKeys: 10_000 };

export interface NodeComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  /** From `loadOrCreateKey`. */
  readonly privateKey: PrivateKey;
  /** `datastore-level`, open; closed by who opened it, after `stop`. */
  readonly datastore: HostComponents['datastore'];
  readonly registry: Registry;
  readonly bans: BanPolicy;
  /** Asked of every message before GossipSub is. */
  readonly checks: MessageChecks;
  /** The table of message kinds. */
  readonly kinds: readonly MessageKind[];
}

export interface NodeOptions {
  /** Library patches; all unless given. */
  readonly patches?: Patches;
  /** Told in identify. Default `teranode-p2p`. */
  readonly userAgent?: string;
  /** Milliseconds between two questions to others where this node is. Default 300,000. */
  readonly ownLookupMs?: number;
  /** How long a gossip stream may be missing before more is done about it; see gossip-streams.ts. */
  readonly gossipStreams?: GossipStreamsOptions;
  /** Resolves /dnsaddr; the system's resolver unless given. */
  readonly resolveTxt?: ResolveTxt;
  /** How long a peer may be connected without a topic of ours before it is warned of, ms. Default 30,000. */
  readonly topicPatienceMs?: number;
}

interface Awaiting {
  readonly author: string;
  readonly source: string;
  readonly topic: string;
  readonly since: number;
}

/** The first generation's nodes know no direct peers: it would be agreed on one side alone. */
const hasDirectPeers = ({ p2p_generation }: Settings): boolean => p2p_generation === 'current';

export class Libp2pNode implements P2PNode {
  readonly peerId: string;
  readonly #components: NodeComponents;
  readonly #options: NodeOptions;
  readonly #logger: Logger;
  readonly #warn: WarnOfPeer;
  readonly #metrics: NodeMetrics;
  /** Looked up by label once, not for each message. */
  readonly #verdictCounters: Record<'accept' | 'ignore' | 'reject', Counter.Internal>;
  readonly #peripheryMetrics: PeripheryMetrics;
  readonly #events = new EventEmitter();
  readonly #traffic = new Traffic();
  readonly #budgets: ConnectionBudgets;
  readonly #backpressure: Backpressure;
  readonly #streams: GossipStreams | undefined;
  readonly #verification: Verification | undefined;
  readonly #patches: Patches;
  readonly #topics: readonly string[];
  readonly #kindOfTopic: ReadonlyMap<string, MessageKind>;
  readonly #topicOfKind: ReadonlyMap<number, string>;
  readonly #sharedTopics: SharedTopics;
  readonly #allowed: AddressList;
  readonly #configured: ConfiguredPeers;
  /** Peers of exempt addresses: no application score. */
  readonly #exempt = new Set<string>();
  readonly #identities = new Identities();
  readonly #preambles: Preambles;
  /** Own messages that were not valid and may be by mistake. Outlives the connection. */
  readonly #mistakes = new KeyedRate(MISTAKES);
  /** Messages that are owed a verdict. Bounded by backpressure. */
  readonly #awaiting = new Map<string, Awaiting>();
  #host: Host | undefined;
  #peering: Peering | undefined;
  #direct: DirectStream | undefined;
  #pings: PeerPings | undefined;
  readonly #ownKey: OwnKey;
  #sweep: NodeJS.Timeout | undefined;

  constructor(components: NodeComponents, options: NodeOptions = {}) {
    const { settings, registry, logger, kinds } = components;
    this.#components = components;
    this.#options = options;
    this.#logger = logger;
    this.#warn = peerWarnings(logger, (peerId) => this.isNamed(peerId));
    this.peerId = peerIdFromPrivateKey(components.privateKey).toString();
    this.#metrics = createNodeMetrics(
      registry,
      () => this.#observe(),
      kinds.map(({ name }) => name),
    );
    const { verdicts } = this.#metrics;
    this.#verdictCounters = {
      accept: verdicts.labels('accept'),
      ignore: verdicts.labels('ignore'),
      reject: verdicts.labels('reject'),
    };
    this.#peripheryMetrics = createPeripheryMetrics(registry);
    this.#preambles = new Preambles(
      { logger, metrics: this.#peripheryMetrics },
      { isPrivate: isPrivateNetwork(settings) },
    );
    this.#ownKey = new OwnKey({ peerId: this.peerId, logger, metrics: this.#metrics });
    this.#patches = options.patches ?? ALL_PATCHES;
    this.#topics = topicNames(settings, kinds);
    const named = kinds.map((kind, index) => ({ kind, topic: this.#topics[index] as string }));
    this.#kindOfTopic = new Map(named.map(({ kind, topic }) => [topic, kind]));
    this.#topicOfKind = new Map(named.map(({ kind, topic }) => [kind.id, topic]));
    this.#sharedTopics = new SharedTopics(
      {
        logger,
        subscribers: (topic) => this.#host?.services.pubsub.getSubscribers(topic).map(String) ?? [],
      },
      {
        topics: this.#topics,
        ...(options.topicPatienceMs === undefined ? {} : { patienceMs: options.topicPatienceMs }),
      },
    );
    this.#allowed = new AddressList(settings.p2p_allowed_addresses);
    this.#configured = configuredPeers(settings);
    this.#budgets = new ConnectionBudgets(
      { metrics: this.#metrics },
      {
        messagesPerSecond: settings.p2p_connection_messages_per_second,
        bytesPerSecond: settings.p2p_connection_bytes_per_second,
        onExcess: (peerId) => {
          this.#warn({ peer: peerId }, 'sends more than its budget, second after second');
          this.#emit('excess', peerId);
        },
      },
    );
    this.#backpressure = new Backpressure(
      { metrics: this.#metrics },
      { streamOf: (source) => this.#host?.services.pubsub.streamsInbound.get(source)?.rawStream },
    );
    const parts = { logger, warn: this.#warn, metrics: this.#metrics };
    this.#streams = this.#patches.gossipStreams
      ? new GossipStreams({ ...parts, duplicates: new DuplicateConnections(parts) }, options.gossipStreams)
      : undefined;
    this.#verification = this.#patches.verification
      ? new Verification({ checks: components.checks, metrics: this.#metrics })
      : undefined;
  }

  /** Listens, joins the topics, and goes looking for peers. Throws ConfigurationError when the port is not to be had. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { settings, logger } = this.#components;
    try {
      const host = await this.#createHost();
      this.#host = host;
      const parts = { logger, metrics: this.#peripheryMetrics };
      this.#direct = new DirectStream(
        { ...parts, libp2p: host },
        { onMessage: (message) => this.#emit('direct', message) },
      );
      this.#peering = new Peering(
        { ...parts, host, settings, ownKey: this.#ownKey },
        {
          ...(this.#options.ownLookupMs === undefined ? {} : { ownLookupMs: this.#options.ownLookupMs }),
          configured: this.#configured,
          topics: this.#topics,
          ...(this.#options.resolveTxt === undefined ? {} : { resolveTxt: this.#options.resolveTxt }),
        },
      );
      this.#pings = new PeerPings(
        { libp2p: host, traffic: this.#traffic, logger, warn: this.#warn, metrics: this.#metrics },
        { deadAfterMs: settings.p2p_dead_peer_timeout },
      );
      this.#listenTo(host);
      await host.start();
      this.#pings.start();
      signal?.throwIfAborted();
      for (const topic of this.#topics) host.services.pubsub.subscribe(topic);
      await this.#direct?.start();
      await this.#peering?.start();
    } catch (error) {
      await this.stop();
      throw listenRefusal(error, settings);
    }
    this.#sharedTopics.start();
    this.#sweep = setInterval(() => this.#forgetLostVerdicts(), SWEEP_MS).unref();
    logger.info(
      { peer: this.peerId, addresses: this.addresses(), topics: this.#topics, mode: settings.listen_mode },
      'libp2p node started',
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#sharedTopics.stop();
    const host = this.#host;
    const running = host?.status === 'started';
    if (running) {
      await this.#peering?.stop();
      await this.#direct?.stop();
    }
    this.#pings?.stop();
    this.#pings = undefined;
    this.#peering = undefined;
    this.#direct = undefined;
    this.#host = undefined;
    await host?.stop();
    forgetHostMetrics(this.#components.registry);
    for (const { source } of this.#awaiting.values()) this.#backpressure.leave(source);
    this.#awaiting.clear();
    this.#identities.clear();
    this.#exempt.clear();
  }

  on<E extends keyof NodeEvents>(event: E, listener: NodeEvents[E]): void {
    this.#events.on(event, listener);
  }

  async publish(kind: number, data: Uint8Array): Promise<number> {
    const topic = this.#topicOfKind.get(kind);
    if (topic === undefined) throw new RangeError(`no message kind ${kind}`);
    const host = this.#running();
    if (kind === nodeStatus.id) this.#ownKey.sent(data);
    const { recipients } = await host.services.pubsub.publish(topic, data);
    this.#metrics.published.inc({ kind: this.#kindOfTopic.get(topic)?.name ?? '' });
    return recipients.length;
  }

  listeners(kind: number): number {
    const topic = this.#topicOfKind.get(kind);
    return topic === undefined ? 0 : (this.#host?.services.pubsub.getSubscribers(topic).length ?? 0);
  }

  report(messageId: string, _source: string, verdict: 'accept' | 'ignore' | 'reject'): void {
    const awaiting = this.#awaiting.get(messageId);
    if (awaiting === undefined) {
      this.#metrics.unknownVerdicts.inc();
      return;
    }
    this.#awaiting.delete(messageId);
    const { author, source, topic } = awaiting;
    const gossip = this.#host?.services.pubsub;
    if (gossip !== undefined) {
      const accepted = verdict === 'accept';
      gossip.reportMessageValidationResult(
        messageId,
        source,
        accepted ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore,
      );
      // Whoever else has passed it on is honest: they cannot know what we check.
      if (verdict === 'reject' && source === author) scoreInvalidMessage(gossip, author, topic);
    }
    this.#verdictCounters[verdict].inc();
    this.#backpressure.leave(source);
  }

  isConnected(peerId: string): boolean {
    return this.#traffic.has(peerId);
  }

  async sendDirect(peerId: string, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (this.#direct === undefined) throw new UnavailableError('the libp2p node is not running');
    await this.#direct.sendDirect(peerId, data, signal);
  }

  peers(): readonly ConnectedPeer[] {
    const host = this.#host;
    if (host === undefined) return [];
    const peers = new Map<string, ConnectedPeer>();
    for (const connection of host.getConnections()) {
      const id = connection.remotePeer.toString();
      if (!peers.has(id)) peers.set(id, this.#describe(host, connection));
    }
    return [...peers.values()];
  }

  #describe(host: Host, connection: Connection): ConnectedPeer {
    const id = connection.remotePeer.toString();
    const address = multiaddrHost(connection.remoteAddr);
    const configured = this.#isConfigured(id);
    return {
      id,
      address: connection.remoteAddr.toString(),
      inbound: connection.direction === 'inbound',
      connectedAt: connection.timeline.open,
      ...this.#traffic.of(id),
      pingMs: connection.rtt,
      ...this.#identities.of(id),
      configured,
      trusted: configured || (address?.kind === 'ip' && this.#allowed.has(address.address)),
      score: host.services.pubsub.getScore(id),
    };
  }

  addresses(): readonly string[] {
    return this.#host?.getMultiaddrs().map(String) ?? [];
  }

  /** The TCP port listened on, whatever is told to peers; undefined while not running. */
  get port(): number | undefined {
    if (this.#host === undefined) return undefined;
    const ports = internalsOf(this.#host)
      .transportManager.getAddrs()
      .flatMap((address) => /\/tcp\/(\d+)$/.exec(address.toString())?.[1] ?? []);
    return ports[0] === undefined ? undefined : Number(ports[0]);
  }

  async connect(address: string, signal?: AbortSignal): Promise<void> {
    let parsed: Multiaddr;
    try {
      parsed = multiaddr(address.trim());
    } catch (error) {
      throw new RangeError(`${address}: ${errorMessage(error)}`);
    }
    const peerId = multiaddrPeerId(parsed);
    if (peerId === undefined) throw new RangeError(`${address}: does not end in /p2p/<peer ID>`);
    const host = this.#running();
    if (peerId === this.peerId) {
      await this.#ownKey.look(host, [parsed], signal);
      throw new UnavailableError(
        `no connection to ${address}: that is this node's own peer ID${this.#ownKey.warning === undefined ? '' : `; ${this.#ownKey.warning}`}`,
      );
    }
    try {
      await host.dial(parsed, signal === undefined ? {} : { signal });
    } catch (error) {
      // It has dialled us at the same time, and its connection is the one that both keep.
      if (host.getConnections(peerIdFromString(peerId)).some(({ status }) => status === 'open')) return;
      const seen = this.#preambles.hintFor(parsed);
      // With another key each side waits for a handshake that it can read: all there is to see is silence.
      const unseen = isPrivateNetwork(this.#components.settings)
        ? 'on a private network this is also what another p2p_shared_key looks like'
        : '';
      const why = seen === '' ? unseen : seen;
      const hint = why === '' ? '' : ` (${why})`;
      throw new UnavailableError(`no connection to ${address}: ${errorMessage(error)}${hint}`, {
        cause: error,
      });
    }
  }

  async disconnect(peerId: string): Promise<boolean> {
    return (await this.closeMatching((remote) => remote.peerId === peerId)) > 0;
  }

  async closeMatching(
    matches: (remote: { readonly address: string; readonly peerId: string }) => boolean,
  ): Promise<number> {
    const connections = this.#host?.getConnections() ?? [];
    const matching = connections.filter((connection) => {
      const host = multiaddrHost(connection.remoteAddr);
      const address = host?.kind === 'ip' ? host.address : '';
      return matches({ address, peerId: connection.remotePeer.toString() });
    });
    // Aborted, not closed: the remote has no say in when.
    for (const connection of matching) connection.abort(new Error('closed by this node'));
    return matching.length;
  }

  /** Base58 IDs; those behind a /dnsaddr are added when it is resolved, before such a peer is dialled. */
  get bootstrapPeers(): ReadonlySet<string> {
    return this.#configured.bootstrapIds;
  }

  /** Static, bootstrap and relay peers. */
  isNamed(peerId: string): boolean {
    return this.#isConfigured(peerId) || this.#configured.relayIds.has(peerId);
  }

  setPeerName(peerId: string, name: string): void {
    this.#peering?.setName(peerId, name);
  }

  async health(): Promise<DependencyHealth> {
    const peers = this.#host?.getPeers().length;
    if (peers === undefined) {
      return { resource: 'libp2p', status: 503, error: 'not started', message: 'not started' };
    }
    const silent = this.#streams?.missing().peers ?? 0;
    const deaf = silent > 0 ? ` (${silent} of them without a gossip stream)` : '';
    // As with no peers at all: what only others can mend takes no node out of service.
    const unheard = this.#sharedTopics.none
      ? `, connected peers share no topic (ours: ${this.#topics[0]}, …)`
      : '';
    const twin = this.#ownKey.warning === undefined ? '' : `, ${this.#ownKey.warning}`;
    const message = `${peers} peers connected${deaf}${twin}${unheard}`;
    return { resource: 'libp2p', status: 200, message };
  }

  /** Messages being verified or without a verdict, now and at the most. */
  get pending(): { readonly now: number; readonly peak: number } {
    return { now: this.#backpressure.pending, peak: this.#backpressure.peak };
  }

  /** What runs underneath, for tests and diagnosis. */
  inspect(): {
    readonly host: Host | undefined;
    readonly settings: Settings;
    readonly identities: Identities;
  } {
    return { host: this.#host, settings: this.#components.settings, identities: this.#identities };
  }

  #running(): Host {
    if (this.#host === undefined) throw new UnavailableError('the libp2p node is not running');
    return this.#host;
  }

  #emit<E extends keyof NodeEvents>(event: E, ...values: Parameters<NodeEvents[E]>): void {
    this.#events.emit(event, ...values);
  }

  #isExempt(address: string): boolean {
    return isLoopbackAddress(address) || this.#allowed.has(address);
  }

  #createHost(): Promise<Host> {
    const { settings, logger, bans, privateKey, datastore, registry } = this.#components;
    warnOfDescriptors(logger, this.#configured.marks.ceiling);
    return createHost(
      {
        settings,
        privateKey,
        datastore,
        registry,
        budgets: this.#budgets,
        backpressure: this.#backpressure,
        traffic: this.#traffic,
        streams: this.#streams,
        verification: this.#verification,
        onUnblamed: () => this.#metrics.unblamed.inc(),
        onForged: (peerId) => {
          if (this.#mistakes.take(peerId)) return;
          this.#metrics.forgeries.inc();
          this.#emit('forged', peerId);
        },
        onSubscribed: (peerId, topic) => this.#sharedTopics.told(peerId, topic),
        onStalled: (peerId) => this.#closeStalled(peerId),
        preambles: this.#preambles,
        ownKey: this.#ownKey,
        gater: createGater({
          bans,
          settings,
          logger,
          metrics: this.#peripheryMetrics,
          slots: Math.min(this.#configured.marks.ceiling, mainShares().peers),
          isProtected: (peerId) => this.#isConfigured(peerId),
        }),
      },
      {
        patches: this.#patches,
        relayIds: this.#configured.relayIds,
        userAgent: this.#options.userAgent ?? 'teranode-p2p',
        topics: this.#topics,
        kindOfTopic: this.#kindOfTopic,
        directPeers: this.#directPeers(),
        applicationScore: (peerId) =>
          this.#exempt.has(peerId) || this.#isConfigured(peerId)
            ? 0
            : Math.min(0, bans.applicationScore(peerId)),
        isExempt: (address) => this.#isExempt(address),
      },
    );
  }

  #directPeers(): AddrInfo[] {
    if (!hasDirectPeers(this.#components.settings)) return [];
    const peers = new Map<string, Multiaddr[]>();
    const { staticAddresses, bootstrapAddresses } = this.#configured;
    for (const address of [...staticAddresses, ...bootstrapAddresses].map((text) => multiaddr(text))) {
      const id = multiaddrPeerId(address);
      if (id !== undefined && id !== this.peerId) peers.set(id, [...(peers.get(id) ?? []), address]);
    }
    return [...peers].map(([id, addrs]) => ({ id: peerIdFromString(id), addrs }));
  }

  /** Closed on the next turn: GossipSub is in the middle of telling others. */
  #closeStalled(peerId: string): void {
    setImmediate(() => {
      this.closeMatching((remote) => remote.peerId === peerId).then(
        (closed) => {
          if (closed === 0) return;
          this.#metrics.stalledPeers.inc();
          this.#warn({ peer: peerId }, 'does not read what it is sent: connection closed');
        },
        (error: unknown) => this.#logger.error({ err: error, peer: peerId }, 'closing a connection failed'),
      );
    });
  }

  #isConfigured(peerId: string): boolean {
    return isConfigured(this.#configured, peerId);
  }

  #listenTo(host: Host): void {
    this.#identities.watch(host);
    host.addEventListener('connection:open', ({ detail: connection }) => {
      // Gone before it was told of: no disconnection will be.
      if (connection.status !== 'open') return;
      this.#traffic.opened(connection);
      const address = multiaddrHost(connection.remoteAddr);
      if (address?.kind === 'ip' && this.#isExempt(address.address)) {
        this.#exempt.add(connection.remotePeer.toString());
      }
    });
    host.addEventListener('connection:close', ({ detail }) => this.#traffic.closed(detail));
    host.addEventListener('peer:connect', ({ detail }) => {
      const peerId = detail.toString();
      // Behind a /dnsaddr there was no ID to make a direct peer of before.
      if (hasDirectPeers(this.#components.settings) && this.#isConfigured(peerId))
        host.services.pubsub.direct.add(peerId);
      this.#sharedTopics.opened(peerId);
      this.#emit('connected', peerId);
    });
    host.addEventListener('peer:disconnect', ({ detail }) => {
      const peerId = detail.toString();
      const { bytesReceived } = this.#traffic.of(peerId);
      this.#traffic.forget(peerId);
      this.#budgets.forget(peerId);
      this.#exempt.delete(peerId);
      this.#sharedTopics.closed(peerId);
      this.#emit('disconnected', peerId, bytesReceived);
    });
    if (this.#components.settings.p2p_enable_mdns) {
      host.addEventListener('peer:discovery', ({ detail }) => {
        host.dial(detail.id).catch((error: unknown) => {
          this.#logger.debug({ peer: detail.id.toString(), err: errorMessage(error) }, 'no connection');
        });
      });
    }
    const heardByKind = new Map(
      this.#components.kinds.map((kind) => [kind.id, this.#metrics.received.labels(kind.name)]),
    );
    host.services.pubsub.addEventListener('gossipsub:message', ({ detail }) => {
      const { msg, msgId, propagationSource } = detail;
      const source = propagationSource.toString();
      const kind = this.#kindOfTopic.get(msg.topic)?.id;
      const author = msg.type === 'signed' ? msg.from.toString() : '';
      // Come again after GossipSub has forgotten it, for its ids are bounded: one verdict is for both.
      if (this.#awaiting.has(msgId)) return;
      this.#awaiting.set(msgId, { author, source, topic: msg.topic, since: monotonic() });
      this.#backpressure.enter(source);
      // Our own come back after a restart, when GossipSub has forgotten them.
      if (kind === undefined || author === '' || author === this.peerId) {
        if (author === this.peerId && kind === nodeStatus.id) {
          this.#ownKey.received(msg.data, source);
        }
        this.report(msgId, source, 'ignore');
        return;
      }
      heardByKind.get(kind)?.inc();
      if (author !== source) this.#peering?.receivedFrom(author);
      this.#hear({ id: msgId, kind, author, source, data: msg.data, judgement: judgementOf(msg) });
    });
  }

  #hear(message: ReceivedMessage): void {
    if (this.#events.listenerCount('received') === 0) {
      this.report(message.id, message.source, 'ignore');
      return;
    }
    try {
      this.#emit('received', message);
    } catch (error) {
      this.#logger.error({ err: error, peer: message.source }, 'hearing a message failed');
      if (this.#awaiting.has(message.id)) this.report(message.id, message.source, 'ignore');
    }
  }

  #forgetLostVerdicts(): void {
    const before = monotonic() - VERDICT_LOST_MS;
    let lost = 0;
    for (const [id, { since, source }] of this.#awaiting) {
      if (since > before) break;
      this.#awaiting.delete(id);
      this.#backpressure.leave(source);
      lost++;
    }
    if (lost > 0) this.#logger.error({ messages: lost }, 'messages never got their verdict');
  }

  #observe(): void {
    this.#backpressure.observe();
    this.#streams?.observe();
    const { ids = 0, messages = 0 } = this.#host?.services.pubsub.remembered?.() ?? {};
    this.#metrics.gossipBytes.set({ of: 'ids' }, ids);
    this.#metrics.gossipBytes.set({ of: 'messages' }, messages);
    this.#metrics.peers.set(this.#host?.getPeers().length ?? 0);
    this.#metrics.strangers.set(this.#sharedTopics.strangers().length);
  }
}

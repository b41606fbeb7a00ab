/** Gossip on the network's topics: what comes waits for a verdict before it is passed on, and nobody can send more than its share. */

import { EventEmitter } from 'node:events';
import type { AddrInfo } from '@chainsafe/libp2p-gossipsub/types';
import type { Counter } from 'prom-client';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { MessageKind } from '../../../shared/messages/kind.js';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import type { Settings } from '../../../shared/settings/table.js';
import { DuplicateConnections } from '../connections/duplicate-connections.js';
import type { WarnOfPeer } from '../connections/peer-warnings.js';
import type { Traffic } from '../connections/traffic.js';
import type { MessageChecks, ReceivedMessage } from '../messages/types.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { judgementOf } from '../patches/checker-verification.js';
import type { GossipInternals } from '../patches/gossip-internals.js';
import type { Patches } from '../patches/index.js';
import { Backpressure } from './backpressure.js';
import { ConnectionBudgets } from './budgets.js';
import type { ScoreInputs } from './score-parameters.js';
import { type GossipService, gossipService, topicNames } from './service.js';
import { SharedTopics } from './shared-topics.js';
import { GossipStreams, type GossipStreamsOptions } from './streams.js';
import { type Verdict, Verdicts } from './verdicts.js';
import { Verification } from './verification.js';

/**
 * Messages of a peer's own, sent by itself, that may be invalid before each further one is an offence. Honest nodes send none; the first
 * ten cost GossipSub's score alone, and five more reach the usual ban threshold, which is before the graylist keeps the rest unread.
 */
const MISTAKES = { perSecond: 1 / 60, burst: 10, maxKeys: 10_000 };

export interface GossipComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly warn: WarnOfPeer;
  readonly metrics: NodeMetrics;
  readonly traffic: Traffic;
  /** Asked of every message before GossipSub is. */
  readonly checks: MessageChecks;
  /** The table of message kinds. */
  readonly kinds: readonly MessageKind[];
}

export interface GossipOptions extends Omit<ScoreInputs, 'topics'> {
  readonly patches: Patches;
  /** This node's peer ID, base58. */
  readonly self: string;
  /** Static and bootstrap peers of the current generation: always spoken to. */
  readonly directPeers: readonly AddrInfo[];
  readonly streams?: GossipStreamsOptions | undefined;
  /**
   * How long a peer may be connected without a topic of ours before it is warned of, ms.
   * @default 30,000
   */
  readonly topicPatienceMs?: number | undefined;
}

/** Peer IDs are base58. */
export interface GossipEvents {
  /** A verdict is owed: `report` is to be called exactly once a message. */
  received: [message: ReceivedMessage];
  /** A message of this node's own has come back from a peer. */
  ownReceived: [kind: number, data: Uint8Array, source: string];
  /** Persistent excess of a connection's budget. */
  excess: [peerId: PeerIdText];
  /** It has sent one more message in its own name that is not valid than can be by mistake. */
  forged: [peerId: PeerIdText];
  /** It has not read for so long that its connection should be closed; may come again until it is. */
  stalled: [peerId: PeerIdText];
}

export class Gossip extends EventEmitter<GossipEvents> {
  /** In the order of the kinds. */
  readonly topics: readonly string[];
  readonly #components: GossipComponents;
  readonly #self: string;
  readonly #kindOfTopic: ReadonlyMap<string, MessageKind>;
  readonly #topicOfKind: ReadonlyMap<number, string>;
  /** Looked up by label once, not for each message. */
  readonly #receivedCounters: ReadonlyMap<number, Counter.Internal>;
  readonly #budgets: ConnectionBudgets;
  readonly #backpressure: Backpressure;
  readonly #streams: GossipStreams;
  readonly #verdicts: Verdicts;
  readonly #sharedTopics: SharedTopics;
  /** Own messages that were not valid and may be by mistake. Outlives the connection. */
  readonly #mistakes = new KeyedRate(MISTAKES);
  #pubsub: GossipInternals | undefined;

  /** What libp2p takes as a service. */
  readonly service: GossipService;

  constructor(components: GossipComponents, options: GossipOptions) {
    super();
    const { settings, logger, warn, metrics, traffic, checks, kinds } = components;
    this.#components = components;
    this.#self = options.self;
    this.topics = topicNames(settings, kinds);
    const named = kinds.map((kind, index) => ({ kind, topic: this.topics[index] as string }));
    this.#kindOfTopic = new Map(named.map(({ kind, topic }) => [topic, kind]));
    this.#topicOfKind = new Map(named.map(({ kind, topic }) => [kind.id, topic]));
    this.#receivedCounters = new Map(kinds.map(({ id, name }) => [id, metrics.received.labels(name)]));
    this.#budgets = new ConnectionBudgets(
      { metrics },
      {
        messagesPerSecond: settings.p2p_connection_messages_per_second,
        bytesPerSecond: settings.p2p_connection_bytes_per_second,
        onExcess: (peerId) => {
          warn({ peer: peerId }, 'sends more than its budget, second after second');
          this.emit('excess', peerId);
        },
      },
    );
    this.#backpressure = new Backpressure(
      { metrics },
      { streamOf: (source) => this.#pubsub?.streamsInbound.get(source)?.rawStream },
    );
    const parts = { logger, warn, metrics };
    this.#streams = new GossipStreams(
      { ...parts, duplicates: new DuplicateConnections(parts) },
      options.streams,
    );
    this.#verdicts = new Verdicts({ ...parts, backpressure: this.#backpressure });
    this.#sharedTopics = new SharedTopics(
      { logger, subscribers: (topic) => this.#pubsub?.getSubscribers(topic).map(String) ?? [] },
      {
        topics: this.topics,
        ...(options.topicPatienceMs === undefined ? {} : { patienceMs: options.topicPatienceMs }),
      },
    );
    this.service = gossipService(
      {
        settings,
        budgets: this.#budgets,
        backpressure: this.#backpressure,
        traffic,
        streams: this.#streams,
        verification: new Verification({ checks, metrics }),
      },
      {
        ...options,
        topics: this.topics,
        kindOfTopic: this.#kindOfTopic,
        onUnblamed: () => metrics.unblamed.inc(),
        onForged: (peerId) => {
          if (this.#mistakes.take(peerId)) return;
          metrics.forgeries.inc();
          this.emit('forged', peerId);
        },
        onSubscribed: (peerId, topic) => this.#sharedTopics.told(peerId, topic),
        onStalled: (peerId) => this.emit('stalled', peerId),
      },
    );
  }

  /** Messages being verified or without a verdict, now and at the most. */
  get pending(): { readonly now: number; readonly peak: number } {
    return { now: this.#backpressure.pending, peak: this.#backpressure.peak };
  }

  /** Connected peers of the gossip protocol without a gossip stream. */
  get deafPeers(): number {
    return this.#streams.missing().peers;
  }

  /** Somebody is connected, and nobody who shares a topic. */
  get isUnheard(): boolean {
    return this.#sharedTopics.none;
  }

  /** Takes what the host made of `service`, before the host starts. */
  attach(pubsub: GossipInternals): void {
    this.#pubsub = pubsub;
    pubsub.addEventListener('gossipsub:message', ({ detail: { msg, msgId, propagationSource } }) => {
      const source = peerIdText(propagationSource);
      const kind = this.#kindOfTopic.get(msg.topic)?.id;
      const author = msg.type === 'signed' ? peerIdText(msg.from) : undefined;
      // Come again after GossipSub has forgotten it, for its ids are bounded: one verdict is for both.
      if (this.#verdicts.has(msgId)) return;
      this.#verdicts.expect(msgId, { author, source, topic: msg.topic });
      // Our own come back after a restart, when GossipSub has forgotten them.
      if (kind === undefined || author === undefined || author === this.#self) {
        if (kind !== undefined && author !== undefined) this.emit('ownReceived', kind, msg.data, source);
        this.report(msgId, 'ignore');
        return;
      }
      this.#receivedCounters.get(kind)?.inc();
      this.#handOut({ id: msgId, kind, author, source, data: msg.data, judgement: judgementOf(msg) });
    });
  }

  /** After the host has started. */
  start(): void {
    for (const topic of this.topics) this.#pubsub?.subscribe(topic);
    this.#sharedTopics.start();
    this.#verdicts.start();
  }

  /** Before the host stops: what comes from now on is given its verdict, but GossipSub is not told. */
  detach(): void {
    this.#pubsub = undefined;
  }

  /** After the host has stopped. */
  stop(): void {
    this.#sharedTopics.stop();
    this.#verdicts.stop();
  }

  /** Resolves with the number of peers it went to. Throws RangeError on an unknown kind. */
  async publish(kind: number, data: Uint8Array, pubsub: GossipInternals): Promise<number> {
    const topic = this.#topicOfKind.get(kind);
    if (topic === undefined) throw new RangeError(`no message kind ${kind}`);
    const { recipients } = await pubsub.publish(topic, data);
    this.#components.metrics.published.inc({ kind: this.#kindOfTopic.get(topic)?.name ?? '' });
    return recipients.length;
  }

  /** Connected peers that have said that they listen to a kind's topic. */
  subscribers(kind: number): number {
    const topic = this.#topicOfKind.get(kind);
    return topic === undefined ? 0 : (this.#pubsub?.getSubscribers(topic).length ?? 0);
  }

  report(messageId: string, verdict: Verdict): void {
    this.#verdicts.give(messageId, verdict, this.#pubsub);
  }

  /** A peer has connected. */
  opened(peerId: string): void {
    this.#sharedTopics.opened(peerId);
  }

  /** Its last connection has closed. */
  closed(peerId: PeerIdText): void {
    this.#budgets.forget(peerId);
    this.#backpressure.closed(peerId);
    this.#sharedTopics.closed(peerId);
  }

  /** Has a peer always spoken to: one behind a /dnsaddr had no ID to make a direct peer of before. */
  addDirectPeer(peerId: string): void {
    this.#pubsub?.direct.add(peerId);
  }

  /** Sets the gauges; for the scrape. */
  observe(): void {
    const { gossipBytes, strangers } = this.#components.metrics;
    this.#backpressure.observe();
    this.#streams.observe();
    const { ids = 0, messages = 0 } = this.#pubsub?.remembered?.() ?? {};
    gossipBytes.set({ of: 'ids' }, ids);
    gossipBytes.set({ of: 'messages' }, messages);
    strangers.set(this.#sharedTopics.strangers().length);
  }

  #handOut(message: ReceivedMessage): void {
    try {
      if (!this.emit('received', message)) this.report(message.id, 'ignore');
    } catch (error) {
      this.#components.logger.error({ err: error, peer: message.source }, 'receiving a message failed');
      if (this.#verdicts.has(message.id)) this.report(message.id, 'ignore');
    }
  }
}

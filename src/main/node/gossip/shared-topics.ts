/**
 * Whether connected peers have a topic in common with this node. With another prefix two nodes are connected, each in good
 * health, and hear nothing of one another; only their subscriptions tell.
 */

import { LRUCache } from 'lru-cache';
import type { Logger } from '../../../shared/logging/logger.js';
import { displayText } from '../../../shared/messages/text.js';

/** A peer subscribes within a round trip of connecting; this leaves room for a slow one. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 5_000;
/** Other topics kept of a peer, and peers named in one line of the log. */
const SHOWN = { topics: 3, peers: 5 };
const TOPIC_CHARACTERS = 160;
/** Peers that were warned of and are not again when they come back. */
const MAX_WARNED = 10_000;

export interface SharedTopicsComponents {
  readonly logger: Logger;
  /** Base58 IDs of the peers that GossipSub knows to be subscribed to a topic. */
  readonly subscribers: (topic: string) => Iterable<string>;
}

export interface SharedTopicsOptions {
  /** This node's. */
  readonly topics: readonly string[];
  /**
   * How long a peer may be connected without one of them, ms.
   * @default 30,000
   */
  readonly patienceMs?: number;
}

interface Connected {
  /** When it was last seen to share a topic, else when it connected; ms of the monotonic clock. */
  since: number;
  /** Topics that it told of and that are not ours. */
  readonly others: Set<string>;
}

export class SharedTopics {
  readonly #components: SharedTopicsComponents;
  readonly #topics: ReadonlySet<string>;
  readonly #patienceMs: number;
  readonly #connected = new Map<string, Connected>();
  readonly #warned = new LRUCache<string, true>({ max: MAX_WARNED });
  #timer: NodeJS.Timeout | undefined;

  constructor(components: SharedTopicsComponents, { topics, patienceMs = PATIENCE_MS }: SharedTopicsOptions) {
    this.#components = components;
    this.#topics = new Set(topics);
    this.#patienceMs = patienceMs;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), Math.min(LOOK_MS, this.#patienceMs)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#connected.clear();
  }

  opened(peerId: string): void {
    this.#connected.set(peerId, { since: performance.now(), others: new Set() });
  }

  closed(peerId: string): void {
    this.#connected.delete(peerId);
  }

  /** A peer has told that it is subscribed to `topic`. */
  told(peerId: string, topic: string): void {
    const others = this.#connected.get(peerId)?.others;
    if (others === undefined || others.size === SHOWN.topics || this.#topics.has(topic)) return;
    others.add(displayText(topic, TOPIC_CHARACTERS));
  }

  /** Connected peers that have had the time and are subscribed to none of our topics. Base58. */
  strangers(): readonly string[] {
    const sharing = this.#sharing();
    const before = performance.now() - this.#patienceMs;
    return [...this.#connected]
      .filter(([peerId, { since }]) => since <= before && !sharing.has(peerId))
      .map(([peerId]) => peerId);
  }

  /** One of the strangers is connected, and nobody who shares a topic. */
  get none(): boolean {
    return this.strangers().length > 0 && this.#sharing().size === 0;
  }

  /** Connected peers with a topic of ours, now. */
  #sharing(): ReadonlySet<string> {
    const sharing = new Set<string>();
    for (const topic of this.#topics) {
      for (const peerId of this.#components.subscribers(topic)) {
        if (this.#connected.has(peerId)) sharing.add(peerId);
      }
    }
    return sharing;
  }

  /** One line a look at the most, and once a peer. */
  #look(): void {
    const now = performance.now();
    for (const peerId of this.#sharing()) {
      const connected = this.#connected.get(peerId);
      if (connected !== undefined) connected.since = now;
    }
    const found = this.strangers().filter((peerId) => !this.#warned.has(peerId));
    if (found.length === 0) return;
    for (const peerId of found) this.#warned.set(peerId, true);
    const peers = found
      .slice(0, SHOWN.peers)
      .map((id) => ({ id, topics: [...(this.#connected.get(id)?.others ?? [])] }));
    this.#components.logger.warn(
      { peers, count: found.length, ours: [...this.#topics].slice(0, SHOWN.topics) },
      'connected to peers that are subscribed to none of our topics: see network and p2p_topic_prefix',
    );
  }
}

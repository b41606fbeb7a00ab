/**
 * Every connected peer of the gossip protocol has a gossip stream each way, on the connection that both ends keep
 * (duplicate-connections.ts). Events say when to look: a stream or a connection that opens or ends; each heartbeat looks at everybody
 * once more, so what an event did not tell is mended a heartbeat later. What can be done about a stream that is missing:
 *
 * - ours is opened again: three times at once, then after 1 s, 2 s, up to 32 s; from the start once one has lasted a minute, and on a
 *   connection that is new;
 * - the peer's own cannot be opened from here. Nodes of this kind and Go's open theirs again; js-libp2p's does when it gets a new one of
 *   ours, so after 3 s ours is renewed once;
 * - after 30 s without one or the other all connections to the peer are closed, and made anew if one of them was dialled from here. Go
 *   gives up on a peer after four resets in ten minutes: this is what brings it back. Once in ten minutes for a peer at the most.
 *
 * A peer forgets our subscriptions with its own stream or with ours (Go does with either), so they are told on each new stream, and told
 * again when the peer comes with another one of its own.
 */

import type {
  Connection,
  Libp2pEvents,
  PeerId,
  PeerStore,
  Stream,
  TypedEventTarget,
} from '@libp2p/interface';
import type { ConnectionManager } from '@libp2p/interface-internal';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { type DuplicateConnections, keptConnection } from '../connections/duplicate-connections.js';
import type { WarnOfPeer } from '../connections/peer-warnings.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import {
  isInbound,
  isOutbound,
  OwnedStreams,
  type StreamedGossip,
  type StreamsOwner,
} from '../patches/gossip-streams.js';
import { DeafPeers } from './deaf-peers.js';
import { GossipPeers } from './gossip-peers.js';
import { StreamAttempts } from './stream-attempts.js';

/** Between two tellings of our subscriptions to a peer that comes with stream after stream. */
const TELL_AGAIN_MS = 1_000;
/** Without the peer's stream, until ours is renewed. */
const RENEW_MS = 3_000;
/** Without one of the two, until the connections are closed. */
const GIVE_UP_MS = 30_000;
/** What is still on its way on a stream whose peer has moved to another connection. */
const DRAIN_MS = 1_000;

/** Of libp2p's components. */
export interface StreamComponents {
  readonly peerId: PeerId;
  readonly peerStore: Pick<PeerStore, 'get'>;
  readonly connectionManager: Pick<ConnectionManager, 'getConnections' | 'openConnection'>;
  readonly events: Pick<TypedEventTarget<Libp2pEvents>, 'addEventListener'>;
}

export interface GossipStreamsComponents {
  readonly logger: Logger;
  readonly warn: WarnOfPeer;
  readonly metrics: Pick<NodeMetrics, 'gossipStreamsMissing' | 'gossipStreamsOpened' | 'deafPeers'>;
  readonly duplicates: DuplicateConnections;
}

/** How long a gossip stream may be missing before more is done about it. */
export interface GossipStreamsOptions {
  /**
   * Milliseconds without the peer's stream until ours is renewed.
   * @default 3,000
   */
  readonly renewMs?: number;
  /**
   * Milliseconds without one of the two until the peer's connections are closed.
   * @default 30,000
   */
  readonly giveUpMs?: number;
}

/** A connected peer of the gossip protocol. Times are of the monotonic clock, ms. */
interface Peer {
  readonly attempts: StreamAttempts;
  /** Its streams that have come. */
  inbound: number;
  /** Our subscriptions are to be told again. */
  untold: boolean;
  toldAt: number;
  /** Since when a stream is missing. */
  readonly missing: { inbound: number | undefined; outbound: number | undefined };
  /** Ours was renewed because its own is missing. */
  renewed: boolean;
}

/** What there is while a GossipSub is owned. */
interface Owned {
  readonly streams: OwnedStreams;
  readonly host: StreamComponents;
  readonly known: GossipPeers;
}

type Reason = 'first' | 'lost' | 'moved' | 'renewed';

export class GossipStreams implements StreamsOwner {
  readonly #components: GossipStreamsComponents;
  readonly #renewMs: number;
  readonly #giveUpMs: number;
  readonly #deaf: DeafPeers;
  /** By base58 ID. */
  readonly #peers = new Map<string, Peer>();
  readonly #due = new Set<string>();
  /** A peer moves away from each connection once. */
  readonly #drained = new WeakSet<Connection>();
  #owned: Owned | undefined;

  constructor(components: GossipStreamsComponents, options: GossipStreamsOptions = {}) {
    this.#components = components;
    this.#deaf = new DeafPeers(components);
    this.#renewMs = options.renewMs ?? RENEW_MS;
    this.#giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
  }

  /** Owns the streams of one GossipSub from now on; before it starts. */
  own(gossip: StreamedGossip, host: StreamComponents): void {
    this.#peers.clear();
    this.#owned = { streams: new OwnedStreams(gossip, this), host, known: new GossipPeers(host) };
    for (const event of ['connection:open', 'connection:close'] as const) {
      host.events.addEventListener(event, ({ detail }) => this.ended(detail.remotePeer.toString()));
    }
  }

  wanted(id: string): void {
    this.#look(id);
  }

  opened(id: string): void {
    const peer = this.#peer(id);
    peer.untold = false;
    peer.toldAt = performance.now();
  }

  came(id: string): void {
    const peer = this.#peer(id);
    if (peer.inbound++ > 0) peer.untold = true;
    this.ended(id);
  }

  /** Looks on the next turn: what has just ended is then gone from where it is looked for. */
  ended(id: string): void {
    if (this.#due.size === 0) {
      setImmediate(() => {
        const due = [...this.#due];
        this.#due.clear();
        for (const each of due) this.#look(each);
      });
    }
    this.#due.add(id);
  }

  forgotten(id: string): void {
    this.#peers.delete(id);
  }

  /** Told after a read of the peer store, it may be back; or it is there and says that it has no such protocol any more. */
  async isThere(peerId: PeerId): Promise<boolean> {
    return this.#owned !== undefined && (await this.#owned.known.isThere(peerId, this.#owned.streams));
  }

  heartbeat(): void {
    if (this.#owned === undefined) return;
    const { streams, known } = this.#owned;
    known.check(streams);
    for (const id of [...streams.peers.keys()]) this.#look(id);
  }

  /** Sets the gauges; for the scrape. */
  observe(): void {
    const { gossipStreamsMissing } = this.#components.metrics;
    const { inbound, outbound } = this.missing();
    gossipStreamsMissing.set({ direction: 'inbound' }, inbound);
    gossipStreamsMissing.set({ direction: 'outbound' }, outbound);
  }

  /** Connected peers of the gossip protocol that have no gossip stream: from them, to them, and either. */
  missing(): { readonly inbound: number; readonly outbound: number; readonly peers: number } {
    const missing = { inbound: 0, outbound: 0, peers: 0 };
    if (this.#owned === undefined) return missing;
    const { streams, known } = this.#owned;
    for (const [id, peerId] of streams.peers) {
      if (known.usable(peerId).length === 0) continue;
      const inbound = isInbound(streams.inbound(id));
      const outbound = isOutbound(streams.outbound(id));
      if (!inbound) missing.inbound++;
      if (!outbound) missing.outbound++;
      if (!inbound || !outbound) missing.peers++;
    }
    return missing;
  }

  /**
   * Whether a peer's stream that another one of its has replaced may be read to its end, within a second: the peer has moved to
   * another connection, and what it said before is still on its way. Once a connection, as it is outside backpressure meanwhile.
   */
  drains(peerId: PeerId, replaced: Stream, stream: Stream): boolean {
    const connections = this.#owned?.host.connectionManager.getConnections(peerId) ?? [];
    const left = connections.find(({ streams }) => streams.includes(replaced));
    if (left === undefined || left.streams.includes(stream) || this.#drained.has(left)) return false;
    this.#drained.add(left);
    setTimeout(() => replaced.abort(new Error('the peer has opened another stream')), DRAIN_MS).unref();
    return true;
  }

  #peer(id: string): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = {
        attempts: new StreamAttempts(),
        inbound: 0,
        untold: false,
        toldAt: Number.NEGATIVE_INFINITY,
        missing: { inbound: undefined, outbound: undefined },
        renewed: false,
      };
      this.#peers.set(id, peer);
    }
    return peer;
  }

  /** Compares what is with what should be, and does what is to be done. Idempotent. */
  #look(id: string): void {
    const peerId = this.#owned?.streams.peers.get(id);
    if (this.#owned === undefined || peerId === undefined) return;
    const { streams, host, known } = this.#owned;
    const outbound = streams.outbound(id);
    const inbound = streams.inbound(id);
    const kept = keptConnection(known.usable(peerId), host.peerId.toString(), (connection) => {
      const stream = connection.direction === 'outbound' ? outbound : inbound;
      return stream !== undefined && connection.streams.includes(stream);
    });
    if (kept === undefined) return;
    const peer = this.#peer(id);
    const now = performance.now();
    const [speaks, hears] = [isOutbound(outbound), isInbound(inbound)];
    peer.missing.outbound = speaks ? undefined : (peer.missing.outbound ?? now);
    peer.missing.inbound = hears ? undefined : (peer.missing.inbound ?? now);
    if (hears) peer.renewed = false;
    const waited = now - (peer.missing.inbound ?? now);
    if (!speaks) {
      const reason = outbound === undefined && peer.attempts.count === 0 ? 'first' : 'lost';
      this.#open(peer, peerId, kept, reason);
    } else if (outbound !== undefined && !kept.streams.includes(outbound)) {
      this.#open(peer, peerId, kept, 'moved');
    } else if (waited >= this.#renewMs && !peer.renewed) {
      peer.renewed = this.#open(peer, peerId, kept, 'renewed');
    } else if (peer.untold && now >= peer.toldAt + TELL_AGAIN_MS) {
      this.opened(id);
      streams.tellSubscriptions(id);
    }
    const since = Math.min(peer.missing.inbound ?? now, peer.missing.outbound ?? now);
    if (now - since >= this.#giveUpMs) {
      const whose = hears ? 'ours' : speaks ? 'its' : 'both';
      this.#deaf.renew(peerId, whose, host.connectionManager);
    }
    const carries = (stream: Stream | undefined) => stream !== undefined && kept.streams.includes(stream);
    const settled = speaks && hears && carries(outbound) && carries(inbound);
    this.#components.duplicates.look(kept, host.connectionManager.getConnections(peerId), settled);
  }

  /** Opens our stream on `connection`; false while it must not be. */
  #open(peer: Peer, peerId: PeerId, connection: Connection, reason: Reason): boolean {
    if (this.#owned === undefined || !peer.attempts.begin(connection)) return false;
    this.#owned.streams
      .open(peerId, connection)
      .then((opened) => {
        if (opened) this.#components.metrics.gossipStreamsOpened.inc({ reason });
      })
      .catch((error: unknown) => {
        this.#components.logger.debug(
          { peer: peerId.toString(), error: errorMessage(error) },
          'no gossip stream',
        );
      })
      .finally(() => {
        peer.attempts.end();
        this.ended(peerId.toString());
      });
    return true;
  }
}

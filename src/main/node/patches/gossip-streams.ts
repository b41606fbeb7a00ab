/**
 * Gossip streams that come back while their peer stays connected.
 *
 * Reason: GossipSub opens its stream to a peer when it learns that the peer is connected, and then never again. A stream that is reset, or
 * that goes with one of two connections, leaves two nodes connected and deaf for ever. When it is the peer's stream that ends in an
 * error, the peer itself is forgotten: subscriptions, mesh and score. And streams are opened one after the other for all
 * peers, so that one who does not answer (three times 10 s each time it comes) keeps all others from theirs.
 *
 * Here every connected peer of the gossip protocol has a stream each way on the connection that both ends keep
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
 * again when the peer comes with another one of its own; with them a GRAFT for each topic in whose mesh we have it, which means nothing
 * to a peer that has us there already.
 *
 * Switch: `Patches.gossipStreams`.
 */

import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import type {
  Connection,
  Libp2pEvents,
  PeerId,
  PeerStore,
  Stream,
  TypedEventTarget,
} from '@libp2p/interface';
import type { ConnectionManager } from '@libp2p/interface-internal';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { closeConnection } from '../peering/closing-connections.js';
import { type DuplicateConnections, keptConnection } from '../peering/duplicate-connections.js';
import type { WarnOfPeer } from '../peering/peer-warnings.js';

/** Streams to one peer that are opened without a pause between them. */
const AT_ONCE = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 32_000;
/** A stream that was opened so long before the next one did not end for a reason that comes back. */
const LASTED_MS = 60_000;
/** Between two tellings of our subscriptions to a peer that comes with stream after stream. */
const TELL_AGAIN_MS = 1_000;
/** Without the peer's stream, until ours is renewed. */
const RENEW_MS = 3_000;
/** Without one of the two, until the connections are closed. */
const GIVE_UP_MS = 30_000;
/** Closing a peer's connections for want of a stream. */
const GIVING_UP = { perSecond: 1 / 600, burst: 1, maxKeys: 10_000 };
const REDIAL_TIMEOUT_MS = 10_000;
/** Between looks at connected peers that GossipSub does not know: each costs a read of the peer store. */
const UNKNOWN_PEERS_MS = 10_000;
/** What waits on a stream of ours that another one has replaced; its peer may never read it. */
const FLUSH_MS = 2_000;
/** What is still on its way on a stream whose peer has moved to another connection. */
const DRAIN_MS = 1_000;

/** What GossipSub has and its exported type does not show. */
export interface StreamedGossip extends Pick<GossipSub, 'protocols' | 'getTopics'> {
  isStarted(): boolean;
  heartbeat(): Promise<void>;
  onIncomingStream(stream: Stream, connection: Connection): void;
  onPeerConnected(peerId: PeerId, connection: Connection): void;
  onPeerDisconnected(peerId: PeerId): void | Promise<void>;
  removePeer(peerId: PeerId): void;
  createOutboundStream(peerId: PeerId, connection: Connection): Promise<void>;
  createInboundStream(peerId: PeerId, stream: Stream): void;
  /** Resolves when nothing more comes on the peer's stream. */
  pipePeerReadStream(peerId: PeerId, source: unknown): Promise<void>;
  handlePeerReadStreamError(error: Error, peerId: PeerId): void;
  sendSubscriptions(id: string, topics: string[], subscribe: boolean): void;
  sendGraft(id: string, topics: string[]): void;
  readonly peers: ReadonlyMap<string, PeerId>;
  readonly mesh: ReadonlyMap<string, ReadonlySet<string>>;
  readonly streamsInbound: Map<string, { readonly rawStream: Stream }>;
  readonly streamsOutbound: Map<string, OutboundStream>;
}

/** Our stream to a peer. */
export interface OutboundStream {
  readonly rawStream: Stream;
  /** Once what is written has gone; reset when the signal aborts before. */
  close(options: { readonly signal: AbortSignal }): Promise<void>;
}

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

/** Milliseconds; see the constants above for what each is by default. */
export interface GossipStreamsOptions {
  readonly renewMs?: number;
  readonly giveUpMs?: number;
}

/** A connected peer of the gossip protocol. Times are of the monotonic clock, ms. */
interface Peer {
  /** Our stream is being opened. */
  opening: boolean;
  /** Streams of ours opened in a row, since a connection was new, of which none has lasted. */
  attempts: number;
  openedAt: number;
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

type Reason = 'first' | 'lost' | 'moved' | 'renewed';

/** Whether what is written still reaches somebody. One who closes its half has stopped reading: nobody else has a reason to. */
function isOutbound(stream: Stream | undefined): boolean {
  return (
    stream?.status === 'open' && stream.writeStatus === 'writable' && stream.remoteWriteStatus !== 'closed'
  );
}

function isInbound(stream: Stream | undefined): boolean {
  return stream?.status === 'open';
}

function pauseBefore(attempt: number): number {
  return attempt < AT_ONCE ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - AT_ONCE));
}

export class GossipStreams {
  readonly #components: GossipStreamsComponents;
  readonly #renewMs: number;
  readonly #giveUpMs: number;
  readonly #givingUp = new KeyedRate(GIVING_UP);
  /** By base58 ID. */
  readonly #peers = new Map<string, Peer>();
  readonly #due = new Set<string>();
  /** Streams of ours were opened on it. */
  readonly #tried = new WeakSet<Connection>();
  /** A peer moves away from each connection once. */
  readonly #drained = new WeakSet<Connection>();
  #gossip: StreamedGossip | undefined;
  #host: StreamComponents | undefined;
  #openStream: StreamedGossip['createOutboundStream'] = () => Promise.resolve();
  #forget: StreamedGossip['removePeer'] = () => {};
  #unknownAt = Number.NEGATIVE_INFINITY;

  constructor(components: GossipStreamsComponents, options: GossipStreamsOptions = {}) {
    this.#components = components;
    this.#renewMs = options.renewMs ?? RENEW_MS;
    this.#giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
  }

  /** Applies the patch to one GossipSub, before it starts. */
  lay(gossip: StreamedGossip, host: StreamComponents): void {
    this.#gossip = gossip;
    this.#host = host;
    this.#peers.clear();

    this.#openStream = gossip.createOutboundStream.bind(gossip);
    // The queue from which this is called waits for it; and the connection may not be the one that is kept.
    gossip.createOutboundStream = async (peerId) => this.#look(peerId.toString());

    const createInbound = gossip.createInboundStream.bind(gossip);
    gossip.createInboundStream = (peerId, stream) => {
      createInbound(peerId, stream);
      const id = peerId.toString();
      if (gossip.streamsInbound.get(id)?.rawStream !== stream) return;
      const peer = this.#peer(id);
      if (peer.inbound++ > 0) peer.untold = true;
      this.#lookSoon(id);
    };

    const read = gossip.pipePeerReadStream.bind(gossip);
    gossip.pipePeerReadStream = async (peerId, source) => {
      const id = peerId.toString();
      const inbound = gossip.streamsInbound.get(id);
      await read(peerId, source);
      if (gossip.streamsInbound.get(id) === inbound) gossip.streamsInbound.delete(id);
      // The peer has closed its half; ours would stay open as long as the connection.
      inbound?.rawStream.close().catch((error: unknown) => {
        inbound.rawStream.abort(error instanceof Error ? error : new Error(errorMessage(error)));
      });
      this.#lookSoon(id);
    };
    // The stream has gone, not the peer.
    gossip.handlePeerReadStreamError = () => {};

    this.#forget = gossip.removePeer.bind(gossip);
    gossip.removePeer = (peerId) => {
      const id = peerId.toString();
      // Closed by halves it would be read on, unknown to backpressure, and its peer would not know that nobody listens.
      const inbound = gossip.streamsInbound.get(id)?.rawStream;
      this.#forget(peerId);
      inbound?.abort(new Error('no gossip peer any more'));
      this.#peers.delete(id);
    };
    const disconnected = gossip.onPeerDisconnected.bind(gossip);
    gossip.onPeerDisconnected = async (peerId) => {
      // Told after a read of the peer store, the peer may be back; or it is there and says that it has no such protocol any more.
      if (this.#usable(peerId).length > 0 && (await this.#speaks(peerId))) {
        this.#lookSoon(peerId.toString());
        return;
      }
      await disconnected(peerId);
    };

    const heartbeat = gossip.heartbeat.bind(gossip);
    gossip.heartbeat = () => {
      this.#sweep();
      return heartbeat();
    };
    for (const event of ['connection:open', 'connection:close'] as const) {
      host.events.addEventListener(event, ({ detail }) => this.#lookSoon(detail.remotePeer.toString()));
    }
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
    const gossip = this.#gossip;
    const missing = { inbound: 0, outbound: 0, peers: 0 };
    if (gossip === undefined) return missing;
    for (const [id, peerId] of gossip.peers) {
      if (this.#usable(peerId).length === 0) continue;
      const inbound = isInbound(gossip.streamsInbound.get(id)?.rawStream);
      const outbound = isOutbound(gossip.streamsOutbound.get(id)?.rawStream);
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
    const connections = this.#host?.connectionManager.getConnections(peerId) ?? [];
    const left = connections.find(({ streams }) => streams.includes(replaced));
    if (left === undefined || left.streams.includes(stream) || this.#drained.has(left)) return false;
    this.#drained.add(left);
    setTimeout(() => replaced.abort(new Error('the peer has opened another stream')), DRAIN_MS).unref();
    return true;
  }

  /** Connections on which GossipSub runs: not those that a relay limits. */
  #usable(peerId: PeerId): Connection[] {
    const connections = this.#host?.connectionManager.getConnections(peerId) ?? [];
    return connections.filter(({ status, limits }) => status === 'open' && limits === undefined);
  }

  async #speaks(peerId: PeerId): Promise<boolean> {
    const host = this.#host;
    const gossip = this.#gossip;
    if (host === undefined || gossip === undefined) return false;
    try {
      const { protocols } = await host.peerStore.get(peerId);
      return protocols.some((protocol) => gossip.protocols.includes(protocol));
    } catch {
      // Not in the store, or the store has closed.
      return false;
    }
  }

  #peer(id: string): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = {
        opening: false,
        attempts: 0,
        openedAt: Number.NEGATIVE_INFINITY,
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

  /** On the next turn: what has just ended is then gone from where it is looked for. */
  #lookSoon(id: string): void {
    if (this.#due.size === 0) {
      setImmediate(() => {
        const due = [...this.#due];
        this.#due.clear();
        for (const each of due) this.#look(each);
      });
    }
    this.#due.add(id);
  }

  #sweep(): void {
    const gossip = this.#gossip;
    const host = this.#host;
    if (gossip === undefined || host === undefined) return;
    for (const [id, peerId] of [...gossip.peers]) {
      // Who is gone, or is there through a limited relay alone, whatever GossipSub was told of it.
      if (this.#usable(peerId).length === 0) gossip.removePeer(peerId);
      else this.#look(id);
    }
    if (performance.now() < this.#unknownAt + UNKNOWN_PEERS_MS) return;
    this.#unknownAt = performance.now();
    const unknown = new Map<string, PeerId>();
    for (const { remotePeer } of host.connectionManager.getConnections()) {
      const id = remotePeer.toString();
      if (!gossip.peers.has(id)) unknown.set(id, remotePeer);
    }
    for (const peerId of unknown.values()) this.#meet(gossip, peerId).catch(() => {});
  }

  /** Tells GossipSub of a connected peer that it should know. */
  async #meet(gossip: StreamedGossip, peerId: PeerId): Promise<void> {
    if (this.#usable(peerId).length === 0 || !(await this.#speaks(peerId))) return;
    const [connection] = this.#usable(peerId);
    if (connection !== undefined && !gossip.peers.has(peerId.toString())) {
      gossip.onPeerConnected(peerId, connection);
    }
  }

  /** Compares what is with what should be, and does what is to be done. Idempotent. */
  #look(id: string): void {
    const gossip = this.#gossip;
    const host = this.#host;
    const peerId = gossip?.peers.get(id);
    if (gossip?.isStarted() !== true || host === undefined || peerId === undefined) return;
    const usable = this.#usable(peerId);
    const outbound = gossip.streamsOutbound.get(id)?.rawStream;
    const inbound = gossip.streamsInbound.get(id)?.rawStream;
    const kept = keptConnection(usable, host.peerId.toString(), (connection) => {
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
      const reason = outbound === undefined && peer.attempts === 0 ? 'first' : 'lost';
      this.#open(peer, peerId, kept, reason);
    } else if (outbound !== undefined && !kept.streams.includes(outbound)) {
      this.#open(peer, peerId, kept, 'moved');
    } else if (waited >= this.#renewMs && !peer.renewed) {
      peer.renewed = this.#open(peer, peerId, kept, 'renewed');
    } else if (peer.untold && now >= peer.toldAt + TELL_AGAIN_MS) {
      gossip.sendSubscriptions(id, gossip.getTopics(), true);
      this.#told(gossip, peer, id);
    }
    const since = Math.min(peer.missing.inbound ?? now, peer.missing.outbound ?? now);
    if (now - since >= this.#giveUpMs) this.#giveUp(peer, peerId);
    const carries = (stream: Stream | undefined) => stream !== undefined && kept.streams.includes(stream);
    const settled = speaks && hears && carries(outbound) && carries(inbound);
    this.#components.duplicates.look(kept, host.connectionManager.getConnections(peerId), settled);
  }

  /** Opens our stream on `connection`; false while it must not be. */
  #open(peer: Peer, peerId: PeerId, connection: Connection, reason: Reason): boolean {
    const now = performance.now();
    if (peer.opening) return false;
    if (now - peer.openedAt >= LASTED_MS || !this.#tried.has(connection)) peer.attempts = 0;
    if (now < peer.openedAt + pauseBefore(peer.attempts)) return false;
    this.#tried.add(connection);
    peer.opening = true;
    peer.openedAt = now;
    peer.attempts++;
    this.#replace(peerId, connection)
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
        peer.opening = false;
        this.#lookSoon(peerId.toString());
      });
    return true;
  }

  /** The new stream is there before the old one is closed. Resolves with whether there is a new one. */
  async #replace(peerId: PeerId, connection: Connection): Promise<boolean> {
    const gossip = this.#gossip;
    if (gossip === undefined) return false;
    const id = peerId.toString();
    const streams = gossip.streamsOutbound;
    const before = streams.get(id);
    // GossipSub opens none where there is one, which it asks before it waits for anything.
    streams.delete(id);
    const opened = this.#openStream(peerId, connection);
    if (before !== undefined && isOutbound(before.rawStream)) streams.set(id, before);
    await opened;
    const made = streams.get(id);
    if (made === undefined || made === before) return false;
    if (!gossip.peers.has(id) || !isOutbound(made.rawStream)) {
      // It ended, or its peer did, before anybody listened for that.
      streams.delete(id);
      made.rawStream.abort(new Error('nobody needs this stream any more'));
      return false;
    }
    for (const event of ['close', 'remoteCloseWrite'] as const) {
      made.rawStream.addEventListener(event, () => this.#lookSoon(id), { once: true });
    }
    this.#told(gossip, this.#peer(id), id);
    await before?.close({ signal: AbortSignal.timeout(FLUSH_MS) });
    return true;
  }

  /** After our subscriptions. */
  #told(gossip: StreamedGossip, peer: Peer, id: string): void {
    peer.untold = false;
    peer.toldAt = performance.now();
    const shared = [...gossip.mesh].filter(([, members]) => members.has(id)).map(([topic]) => topic);
    if (shared.length > 0) gossip.sendGraft(id, shared);
  }

  #giveUp(peer: Peer, peerId: PeerId): void {
    const { connectionManager } = this.#host ?? {};
    const id = peerId.toString();
    if (connectionManager === undefined || !this.#givingUp.take(id)) return;
    const { inbound, outbound } = peer.missing;
    this.#components.metrics.deafPeers.inc();
    this.#components.warn(
      { peer: id, missing: inbound === undefined ? 'ours' : outbound === undefined ? 'its' : 'both' },
      'connected without a gossip stream: connection closed, to be made anew',
    );
    const connections = connectionManager.getConnections(peerId);
    const dialled = connections.some(({ direction }) => direction === 'outbound');
    Promise.all(connections.map(closeConnection))
      .then(async () => {
        if (!dialled) return;
        await connectionManager.openConnection(peerId, { signal: AbortSignal.timeout(REDIAL_TIMEOUT_MS) });
      })
      .catch((error: unknown) => {
        this.#components.logger.debug({ peer: id, error: errorMessage(error) }, 'not dialled again');
      });
  }
}

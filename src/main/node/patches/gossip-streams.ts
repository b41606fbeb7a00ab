/**
 * Gossip streams are opened, replaced and given up by an owner of them, not by GossipSub.
 *
 * Reason: GossipSub opens its stream to a peer when it learns that the peer is connected, and then never again. A stream that is reset, or
 * that goes with one of two connections, leaves two nodes connected and deaf for ever. When it is the peer's stream that ends in an
 * error, the peer itself is forgotten: subscriptions, mesh and score. And streams are opened one after the other for all
 * peers, so that one who does not answer (three times 10 s each time it comes) keeps all others from theirs.
 */

import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import type { Connection, PeerId, Stream } from '@libp2p/interface';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { errorMessage } from '../../../shared/errors.js';

/** What waits on a stream of ours that another one has replaced; its peer may never read it. */
const FLUSH_MS = 2_000;

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
interface OutboundStream {
  readonly rawStream: Stream;
  /** Once what is written has gone; reset when the signal aborts before. */
  close(options: { readonly signal: AbortSignal }): Promise<void>;
}

/** Who decides about streams. Peer IDs are base58. */
export interface StreamsOwner {
  /** GossipSub wants a stream to the peer. */
  wanted(id: string): void;
  /** Our stream to the peer is there, and our subscriptions are on it. */
  opened(id: string): void;
  /** The peer has opened a stream. */
  came(id: string): void;
  /** A stream of ours or of the peer's has ended; it is still where it was until the next turn. */
  ended(id: string): void;
  /** GossipSub forgets the peer. */
  forgotten(id: string): void;
  /** Whether a peer that GossipSub is told to be gone is there all the same. */
  isThere(peerId: PeerId): Promise<boolean>;
  /** Before each of GossipSub's. */
  heartbeat(): void;
}

/** Whether what is written still reaches somebody. One who closes its half has stopped reading: nobody else has a reason to. */
export function isOutbound(stream: Stream | undefined): boolean {
  return (
    stream?.status === 'open' && stream.writeStatus === 'writable' && stream.remoteWriteStatus !== 'closed'
  );
}

export function isInbound(stream: Stream | undefined): boolean {
  return stream?.status === 'open';
}

/** The streams of one GossipSub. */
export class OwnedStreams {
  readonly #gossip: StreamedGossip;
  readonly #owner: StreamsOwner;
  readonly #openStream: StreamedGossip['createOutboundStream'];

  /** Applies the patch to one GossipSub, before it starts. */
  constructor(gossip: StreamedGossip, owner: StreamsOwner) {
    this.#gossip = gossip;
    this.#owner = owner;
    this.#openStream = gossip.createOutboundStream.bind(gossip);
    // The queue from which this is called waits for it; and the connection may not be the one that is kept.
    gossip.createOutboundStream = async (peerId) => owner.wanted(peerId.toString());
    this.#watchInbound();
    this.#watchPeers();
    const heartbeat = gossip.heartbeat.bind(gossip);
    gossip.heartbeat = () => {
      owner.heartbeat();
      return heartbeat();
    };
  }

  /** Whom GossipSub knows, while it runs, by base58 ID. */
  get peers(): ReadonlyMap<string, PeerId> {
    return this.#gossip.isStarted() ? this.#gossip.peers : new Map();
  }

  inbound(id: string): Stream | undefined {
    return this.#gossip.streamsInbound.get(id)?.rawStream;
  }

  outbound(id: string): Stream | undefined {
    return this.#gossip.streamsOutbound.get(id)?.rawStream;
  }

  /** Tells GossipSub of a connected peer that it should know. */
  meet(peerId: PeerId, connection: Connection): void {
    if (!this.#gossip.peers.has(peerId.toString())) this.#gossip.onPeerConnected(peerId, connection);
  }

  forget(peerId: PeerId): void {
    this.#gossip.removePeer(peerId);
  }

  /** Whether any of these is a gossip protocol. */
  speaks(protocols: readonly string[]): boolean {
    return protocols.some((protocol) => this.#gossip.protocols.includes(protocol));
  }

  /** Tells a peer our subscriptions again, and of the meshes that we have it in. */
  tellSubscriptions(id: string): void {
    this.#gossip.sendSubscriptions(id, this.#gossip.getTopics(), true);
    this.#tellMeshes(id);
  }

  /** Opens our stream on `connection`; it is there before the one before it is closed. Resolves with whether there is a new one. */
  async open(peerId: PeerId, connection: Connection): Promise<boolean> {
    const gossip = this.#gossip;
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
      made.rawStream.addEventListener(event, () => this.#owner.ended(id), { once: true });
    }
    this.#owner.opened(id);
    this.#tellMeshes(id);
    await before?.close({ signal: deadlineSignal(FLUSH_MS) });
    return true;
  }

  /** A GRAFT for each topic in whose mesh we have the peer, which means nothing to one that has us there already. */
  #tellMeshes(id: string): void {
    const shared = [...this.#gossip.mesh].filter(([, members]) => members.has(id)).map(([topic]) => topic);
    if (shared.length > 0) this.#gossip.sendGraft(id, shared);
  }

  #watchInbound(): void {
    const gossip = this.#gossip;
    const createInbound = gossip.createInboundStream.bind(gossip);
    gossip.createInboundStream = (peerId, stream) => {
      createInbound(peerId, stream);
      const id = peerId.toString();
      if (gossip.streamsInbound.get(id)?.rawStream === stream) this.#owner.came(id);
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
      this.#owner.ended(id);
    };
    // The stream has gone, not the peer.
    gossip.handlePeerReadStreamError = () => {};
  }

  #watchPeers(): void {
    const gossip = this.#gossip;
    const forget = gossip.removePeer.bind(gossip);
    gossip.removePeer = (peerId) => {
      const id = peerId.toString();
      // Closed by halves it would be read on, unknown to backpressure, and its peer would not know that nobody listens.
      const inbound = this.inbound(id);
      forget(peerId);
      inbound?.abort(new Error('no gossip peer any more'));
      this.#owner.forgotten(id);
    };
    const disconnected = gossip.onPeerDisconnected.bind(gossip);
    gossip.onPeerDisconnected = async (peerId) => {
      if (await this.#owner.isThere(peerId)) this.#owner.ended(peerId.toString());
      else await disconnected(peerId);
    };
  }
}

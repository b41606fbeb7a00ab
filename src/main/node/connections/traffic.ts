/**
 * What went to and from each connected peer: bytes as they were on the wire, gossip messages, and when last. libp2p shows
 * what a connection is made of to its metrics before it knows who is there, so bytes are counted by that first and given to the peer when
 * the connection opens.
 */

import type { Connection, MultiaddrConnection } from '@libp2p/interface';
import { wall } from '../../../shared/clock.js';
import type { BytesListener } from '../patches/connection-bytes.js';
import { transportOf } from '../patches/host-internals.js';

interface Link {
  sent: number;
  received: number;
  lastSend: number;
  lastReceive: number;
}

interface PeerTraffic {
  readonly links: Map<string, Link>;
  /** Of connections that have closed. */
  readonly past: Link;
  messagesSent: number;
  messagesReceived: number;
}

export interface TrafficFigures {
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  /** Unix ms; 0 for never. */
  readonly lastSend: number;
  readonly lastReceive: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
}

const newLink = (): Link => ({ sent: 0, received: 0, lastSend: 0, lastReceive: 0 });

function fold(into: Link, link: Link): void {
  into.sent += link.sent;
  into.received += link.received;
  into.lastSend = Math.max(into.lastSend, link.lastSend);
  into.lastReceive = Math.max(into.lastReceive, link.lastReceive);
}

export class Traffic {
  /** By what a connection is made of. */
  readonly #links = new WeakMap<object, Link>();
  readonly #peers = new Map<string, PeerTraffic>();

  /** Counts the bytes of a connection that begins; see `watchBytes`. */
  readonly watch = (connection: MultiaddrConnection): BytesListener => {
    const link = newLink();
    this.#links.set(connection, link);
    return {
      received: ({ byteLength }) => {
        link.received += byteLength;
        link.lastReceive = wall.told();
      },
      sent: ({ byteLength }) => {
        link.sent += byteLength;
        link.lastSend = wall.told();
      },
    };
  };

  /** A connection has opened: what was counted is its peer's. */
  opened(connection: Connection): void {
    const link = this.#links.get(transportOf(connection)) ?? newLink();
    this.#of(connection.remotePeer.toString()).links.set(connection.id, link);
  }

  closed(connection: Connection): void {
    const traffic = this.#peers.get(connection.remotePeer.toString());
    const link = traffic?.links.get(connection.id);
    if (traffic === undefined || link === undefined) return;
    traffic.links.delete(connection.id);
    fold(traffic.past, link);
  }

  /** Bytes that have come over one connection, open or not. */
  receivedOver(connection: Connection): number {
    return this.#links.get(transportOf(connection))?.received ?? 0;
  }

  /** Gossip messages that came from a peer, good or bad. */
  received(peerId: string, messages: number): void {
    const traffic = this.#peers.get(peerId);
    if (traffic !== undefined) traffic.messagesReceived += messages;
  }

  sent(peerId: string, messages: number): void {
    const traffic = this.#peers.get(peerId);
    if (traffic !== undefined) traffic.messagesSent += messages;
  }

  /** Forgets a peer that has left. */
  forget(peerId: string): void {
    this.#peers.delete(peerId);
  }

  /** Whether the peer is connected. */
  has(peerId: string): boolean {
    return this.#peers.has(peerId);
  }

  of(peerId: string): TrafficFigures {
    const traffic = this.#peers.get(peerId);
    const sum = newLink();
    if (traffic !== undefined) fold(sum, traffic.past);
    for (const link of traffic?.links.values() ?? []) fold(sum, link);
    return {
      bytesSent: BigInt(sum.sent),
      bytesReceived: BigInt(sum.received),
      lastSend: sum.lastSend,
      lastReceive: sum.lastReceive,
      messagesSent: traffic?.messagesSent ?? 0,
      messagesReceived: traffic?.messagesReceived ?? 0,
    };
  }

  #of(peerId: string): PeerTraffic {
    let traffic = this.#peers.get(peerId);
    if (traffic === undefined) {
      traffic = { links: new Map(), past: newLink(), messagesSent: 0, messagesReceived: 0 };
      this.#peers.set(peerId, traffic);
    }
    return traffic;
  }
}

/** The connections of the gRPC port, and the answers on them that are not taken yet: bounded in all, and for each source. */

import { createServer, type Server, type Socket } from 'node:net';
import { sourceOf } from '../../shared/net/ip.js';
import { Shares } from '../../shared/net/shares.js';
import { mainShares } from '../../shared/process/descriptors.js';
import { QUEUES } from '../../shared/queues.js';
import type { PeerServiceMetrics } from './metrics.js';

/** Connections, and those of one source: an IPv4 address, or a /64 of IPv6. Each service of a node has one or a few. */
const PLACES = QUEUES.grpcConnections.bounds.slots;
const SHARE = QUEUES.grpcConnections.bounds.perSource;
/** For a new connection's first bytes. */
const SILENT_MS = QUEUES.grpcConnections.bounds.silentMs;
/** Bytes of long answers that are not taken yet, and those of one source, which may have one answer however long it is. */
const WAITING_BYTES = QUEUES.longAnswers.bounds.bytes;
const WAITING_SHARE = QUEUES.longAnswers.bounds.perSource;
/** For an answer to be taken. */
const UNREAD_MS = QUEUES.longAnswers.bounds.takenMs;

type Reason = 'share' | 'full' | 'silent' | 'unread';

interface Waiting {
  readonly peer: string;
  readonly source: string;
  readonly bytes: number;
}

const peerOf = ({ remoteAddress = '', remotePort = 0 }: Socket): string =>
  remotePort === 0 ? remoteAddress : `${remoteAddress}:${remotePort}`;

export class GrpcConnections {
  readonly #metrics: PeerServiceMetrics;
  /** A connection is kept, so who was there stays. */
  readonly #places = new Shares<Socket>({
    slots: Math.min(PLACES, mainShares().port),
    givesWay: 'youngest',
  });
  /** By address and port, as a call tells them. */
  readonly #sockets = new Map<string, Socket>();
  /** The eldest first. */
  readonly #waiting = new Set<Waiting>();
  #waitingBytes = 0;
  readonly #bytesOf = new Map<string, number>();
  readonly #servers = new Set<Server>();

  constructor({ metrics }: { readonly metrics: PeerServiceMetrics }) {
    this.#metrics = metrics;
  }

  /**
   * Hands each connection that has a place to `onConnection`, of one address more with each call. Gives the bound port; rejects as `listen`
   * fails.
   */
  async listen(host: string, port: number, onConnection: (socket: Socket) => void): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => {
      if (this.#enter(socket)) onConnection(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.add(server);
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : port;
  }

  /** Takes no more connections. */
  stopListening(): void {
    for (const server of this.#servers) server.close();
    this.#servers.clear();
  }

  /** Ends those that are left. */
  stop(): void {
    this.stopListening();
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  /**
   * Room for an answer to `peer`, as a call tells it, until it is called back; undefined where there is none. Where all is taken, the
   * source that has the most loses the connection of its eldest answer to one that has less.
   */
  answering(peer: string, bytes: number): (() => void) | undefined {
    const socket = this.#sockets.get(peer);
    const source = sourceOf(socket?.remoteAddress ?? '');
    const own = this.#bytesOf.get(source) ?? 0;
    if (own > 0 && own + bytes > WAITING_SHARE) return undefined;
    while (this.#waiting.size > 0 && this.#waitingBytes + bytes > WAITING_BYTES) {
      const most = Math.max(...this.#bytesOf.values());
      const largest = [...this.#waiting].find(({ source }) => this.#bytesOf.get(source) === most);
      if (largest === undefined || most <= own + bytes) return undefined;
      this.#cut(largest.peer, 'unread');
    }
    const waiting: Waiting = { peer, source, bytes };
    this.#waiting.add(waiting);
    this.#add(source, bytes);
    const timer = setTimeout(() => this.#cut(peer, 'unread'), UNREAD_MS).unref();
    return () => {
      clearTimeout(timer);
      this.#release(waiting);
    };
  }

  #enter(socket: Socket): boolean {
    const peer = peerOf(socket);
    const holder = { name: sourceOf(socket.remoteAddress ?? ''), share: SHARE };
    socket.on('error', () => {});
    this.#sockets.set(peer, socket);
    const timer = setTimeout(() => {
      if (socket.bytesRead === 0) this.#close(socket, 'silent');
    }, SILENT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#places.release(socket);
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
    });
    for (const { item, because } of this.#places.take(socket, [holder])) this.#close(item, because);
    return !socket.destroyed;
  }

  #cut(peer: string, reason: Reason): void {
    const socket = this.#sockets.get(peer);
    if (socket !== undefined) this.#close(socket, reason);
    for (const waiting of this.#waiting) if (waiting.peer === peer) this.#release(waiting);
  }

  #close(socket: Socket, reason: Reason): void {
    this.#metrics.closed.inc({ reason });
    socket.destroy();
  }

  #release(waiting: Waiting): void {
    if (this.#waiting.delete(waiting)) this.#add(waiting.source, -waiting.bytes);
  }

  #add(source: string, bytes: number): void {
    this.#waitingBytes += bytes;
    const sum = (this.#bytesOf.get(source) ?? 0) + bytes;
    if (sum > 0) this.#bytesOf.set(source, sum);
    else this.#bytesOf.delete(source);
  }
}

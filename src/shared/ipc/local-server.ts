/** A server on a local socket, for the threads and processes of this machine. */

import { createServer, type Server, type Socket } from 'node:net';
import { type LocalSocket, listenOnSocket } from './local-socket.js';

export interface LocalServerComponents {
  /** A connection has come: adds the listeners that it wants. Errors of the socket are seen to. */
  readonly serve: (socket: Socket) => void;
  /** Told what goes wrong with the server once it listens. */
  readonly onError: (error: Error) => void;
}

export interface LocalServerOptions {
  /** Of the socket (see `localSocketPath`); whatever is there is replaced, so the caller holds the lock of the data directory. */
  readonly path: string;
  /** Connections at a time; what comes above is closed. */
  readonly maxConnections: number;
  /**
   * Bytes that a connection takes before `write` says that it is full.
   * @default Node's own
   */
  readonly highWaterMark?: number;
}

/** Mode 0600: for whoever runs this server. */
export class LocalServer {
  readonly #components: LocalServerComponents;
  readonly #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #socket: LocalSocket | undefined;
  #isRef = true;

  constructor(
    components: LocalServerComponents,
    { path, maxConnections, highWaterMark }: LocalServerOptions,
  ) {
    this.#components = components;
    this.#path = path;
    const options = highWaterMark === undefined ? {} : { highWaterMark };
    this.#server = createServer(options, (socket) => this.#serve(socket));
    this.#server.maxConnections = maxConnections;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Listens. Rejects when the socket cannot be made. */
  async start(): Promise<void> {
    this.#socket = await listenOnSocket(this.#server, this.#path);
    this.#server.on('error', this.#components.onError);
  }

  /** Goes on serving, and from now on keeps no process running. */
  unref(): void {
    this.#isRef = false;
    this.#server.unref();
    for (const socket of this.#sockets) socket.unref();
  }

  /** Takes no more connections, and closes those that are open: at once, or when what they were sent has gone, `flushMs` milliseconds at the most. */
  async stop({ flushMs = 0 }: { readonly flushMs?: number } = {}): Promise<void> {
    this.#socket?.remove();
    // By a second call the path may be another server's, and the inode too.
    this.#socket = undefined;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (flushMs === 0) this.#cut();
    else for (const socket of this.#sockets) socket.end();
    const timer = setTimeout(() => this.#cut(), flushMs);
    await closed;
    clearTimeout(timer);
    // They are gone, and tell of it later.
    this.#sockets.clear();
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    if (!this.#isRef) socket.unref();
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    this.#components.serve(socket);
  }
}

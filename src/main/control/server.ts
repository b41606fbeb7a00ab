/** The local socket on which a running server answers its operator's command line. */

import { createServer, type Server, type Socket } from 'node:net';
import { errorMessage } from '../../shared/errors.js';
import { type LocalSocket, listenOnSocket } from '../../shared/ipc/local-socket.js';
import type { Logger } from '../../shared/logging/logger.js';
import { LineReader } from './lines.js';
import {
  type ControlHandlers,
  type ControlRequest,
  type ControlResponse,
  REQUEST_BOUND,
} from './protocol.js';

export interface ControlServerOptions {
  /** Path of the socket; an old one there is replaced: the lock on DATADIR says that nobody else lives. */
  readonly socketPath: string;
  /** Connections at the most; 16 unless told. */
  readonly maxConnections?: number;
  /** Milliseconds after which an idle connection is closed; 60,000 unless told. */
  readonly idleMs?: number;
}

/** Mode 0600: whoever may read the data directory may give orders. One request of a connection is answered at a time. */
export class ControlServer {
  readonly #logger: Logger;
  readonly #handlers: ControlHandlers;
  readonly #options: Required<ControlServerOptions>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #socket: LocalSocket | undefined;

  constructor(
    { logger, handlers }: { logger: Logger; handlers: ControlHandlers },
    options: ControlServerOptions,
  ) {
    this.#logger = logger;
    this.#handlers = handlers;
    this.#options = { maxConnections: 16, idleMs: 60_000, ...options };
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = this.#options.maxConnections;
  }

  async start(): Promise<void> {
    this.#socket = await listenOnSocket(this.#server, this.#options.socketPath);
    this.#server.on('error', (error) => this.#logger.warn({ err: error }, 'control socket failed'));
  }

  /** Goes on answering, and keeps no process running. */
  unref(): void {
    this.#server.unref();
    for (const socket of this.#sockets) socket.unref();
  }

  async stop(): Promise<void> {
    this.#socket?.remove();
    // By its next call the path may be another server's, and the inode too.
    this.#socket = undefined;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    const reader = new LineReader(REQUEST_BOUND);
    let answered = Promise.resolve();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(this.#options.idleMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      let lines: string[];
      try {
        lines = reader.push(chunk);
      } catch {
        socket.destroy();
        return;
      }
      // Nothing more is read until these are answered: what a client may pile up is one chunk.
      socket.pause();
      socket.setTimeout(0);
      answered = answered
        .then(async () => {
          for (const line of lines) {
            const response = await this.#answer(line);
            if (socket.destroyed) return;
            socket.write(`${JSON.stringify(response)}\n`);
          }
        })
        .finally(() => {
          socket.setTimeout(this.#options.idleMs);
          socket.resume();
        });
    });
  }

  async #answer(line: string): Promise<ControlResponse> {
    const request = parseRequest(line);
    if (typeof request === 'string') return { id: 0, error: request };
    const { id, method, params } = request;
    if (!Object.hasOwn(this.#handlers, method)) return { id, error: `no such method: ${method}` };
    const handler = this.#handlers[method as keyof ControlHandlers] as (params: unknown) => unknown;
    try {
      return { id, result: (await handler(params)) ?? null };
    } catch (error) {
      this.#logger.debug({ method, err: error }, 'control request failed');
      return { id, error: errorMessage(error) };
    }
  }
}

function parseRequest(line: string): ControlRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'not JSON';
  }
  const { id, method, params = {} } = (value ?? {}) as Partial<ControlRequest>;
  if (typeof id !== 'number' || typeof method !== 'string' || typeof params !== 'object' || params === null) {
    return 'not a request: id, method and params are wanted';
  }
  return { id, method, params };
}

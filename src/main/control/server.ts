/** The local socket on which a running server answers its operator's command line. */

import type { Socket } from 'node:net';
import { Serial } from '../../shared/async/serial.js';
import { errorMessage } from '../../shared/errors.js';
import { LocalServer } from '../../shared/ipc/local-server.js';
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
  /**
   * Connections at the most.
   * @default 16
   */
  readonly maxConnections?: number;
  /**
   * Milliseconds after which an idle connection is closed.
   * @default 60_000
   */
  readonly idleMs?: number;
}

/** Mode 0600: whoever may read the data directory may give orders. One request of a connection is answered at a time. */
export class ControlServer {
  readonly #logger: Logger;
  readonly #handlers: ControlHandlers;
  readonly #idleMs: number;
  readonly #server: LocalServer;

  constructor(
    { logger, handlers }: { logger: Logger; handlers: ControlHandlers },
    { socketPath: path, maxConnections = 16, idleMs = 60_000 }: ControlServerOptions,
  ) {
    this.#logger = logger;
    this.#handlers = handlers;
    this.#idleMs = idleMs;
    this.#server = new LocalServer(
      {
        serve: (socket) => this.#serve(socket),
        onError: (error) => logger.warn({ err: error }, 'control socket failed'),
      },
      { path, maxConnections },
    );
  }

  async start(): Promise<void> {
    await this.#server.start();
  }

  /** Goes on answering, and keeps no process running. */
  unref(): void {
    this.#server.unref();
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  #serve(socket: Socket): void {
    const reader = new LineReader(REQUEST_BOUND);
    const answers = new Serial();
    socket.setTimeout(this.#idleMs, () => socket.destroy());
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
      void answers
        .run(async () => {
          for (const line of lines) {
            const response = await this.#answer(line);
            if (socket.destroyed) return;
            socket.write(`${JSON.stringify(response)}\n`);
          }
        })
        .finally(() => {
          socket.setTimeout(this.#idleMs);
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

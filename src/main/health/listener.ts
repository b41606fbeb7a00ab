/** The small HTTP server behind the health and metrics ports: GET alone, bounded in every way. */

import { createServer, type Server, type ServerResponse } from 'node:http';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { listenAddressOf } from '../../shared/listen-address.js';
import type { Logger } from '../../shared/logging.js';
import type { SettingKey } from '../../shared/settings/table.js';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface ListenerOptions {
  /** Setting that names the address, for errors. */
  readonly setting: SettingKey;
  /** `host:port` or `:port`; port 0 takes a free one. */
  readonly address: string;
}

export class Listener {
  readonly #logger: Logger;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  #port = 0;

  /** `routes`: path to what answers it. A rejection becomes 500 with nothing told. */
  constructor(
    { logger, routes }: { logger: Logger; routes: ReadonlyMap<string, () => Promise<Answer>> },
    options: ListenerOptions,
  ) {
    this.#logger = logger;
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: 8192,
        headersTimeout: 5000,
        requestTimeout: 10_000,
        keepAliveTimeout: 5000,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => {
        // A body is nobody's business here: it is not read, and the connection ends with the answer.
        if (
          request.headers['content-length'] !== undefined ||
          request.headers['transfer-encoding'] !== undefined
        ) {
          response.setHeader('Connection', 'close');
        }
        const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          response.setHeader('Allow', 'GET, HEAD');
          write(response, { status: 405, contentType: 'text/plain', body: 'GET alone\n' });
          return;
        }
        const route = routes.get(path);
        if (route === undefined) {
          write(response, { status: 404, contentType: 'text/plain', body: 'not found\n' });
          return;
        }
        route().then(
          (answer) => write(response, answer),
          (error: unknown) => {
            this.#logger.error({ err: error, path }, 'request failed');
            write(response, { status: 500, contentType: 'text/plain', body: 'failed\n' });
          },
        );
      },
    );
    this.#server.maxConnections = 128;
    this.#server.on('clientError', (_, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      else socket.destroy();
    });
  }

  /** The bound port; 0 before `start`. */
  get port(): number {
    return this.#port;
  }

  /** Throws ConfigurationError naming setting and port when it cannot listen there. */
  async start(): Promise<void> {
    const { setting, address } = this.#options;
    const { host, port } = listenAddressOf(setting, address);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host, exclusive: true }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    }).catch((error: NodeJS.ErrnoException) => {
      const reason =
        error.code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${errorMessage(error)}`;
      throw new ConfigurationError([`${setting}: port ${port} ${reason}`]);
    });
    this.#server.on('error', (error) => this.#logger.warn({ err: error, setting }, 'listener failed'));
    const bound = this.#server.address();
    this.#port = typeof bound === 'object' && bound !== null ? bound.port : port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function write(response: ServerResponse, { status, contentType, body }: Answer): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}

/**
 * The small HTTP server behind the health and metrics ports: GET alone, one request a connection, bounded in every way. Whoever
 * asks is a stranger, for the ports are open on all interfaces unless told otherwise.
 */

import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { KeyedRate } from '../../shared/async/keyed-rate.js';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { targetOf } from '../../shared/net/http-target.js';
import { answerOn, MAX_HEAD_BYTES, Visitor } from '../../shared/net/http-visitor.js';
import { sourceOf } from '../../shared/net/ip.js';
import type { ListenAddress } from '../../shared/net/listen-address.js';
import { Shares } from '../../shared/net/shares.js';
import { mainShares } from '../../shared/process/descriptors.js';
import { QUEUES } from '../../shared/queues.js';
import type { CloseReason, HealthMetrics, PROBE_SETTINGS } from './metrics.js';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
  /** Besides those that every answer has. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a request by its headers. */
export type Route = (headers: IncomingHttpHeaders) => Promise<Answer>;

export interface ListenerOptions {
  /** Setting that names the address, for errors. */
  readonly setting: (typeof PROBE_SETTINGS)[number];
  readonly address: ListenAddress;
}

export interface ListenerComponents {
  readonly logger: Logger;
  /** Connections closed early, by `setting` and `reason`: `rate`, `share`, `full` or `time`; nothing is counted without it. */
  readonly closed?: HealthMetrics['closed'];
}

/** Connections on one port, and those of one source: an IPv4 address, or a /64 of IPv6. */
const PLACES = QUEUES.probes.bounds.slots;
const SHARE = QUEUES.probes.bounds.perSource;
/** Connections of one source, each of which is one request: a test or a person looks ten times a second, a probe every few seconds. */
const RATE = { perSecond: QUEUES.probes.bounds.perSecond, burst: 500, maxKeys: 10_000 } as const;
/** From accepting to the last byte of the answer: a look at readiness takes 2 s, and the rest is the network's. */
const CONNECTION_MS = QUEUES.probes.bounds.connectionMs;

export class Listener {
  readonly #logger: Logger;
  readonly #closed: ListenerComponents['closed'];
  readonly #options: ListenerOptions;
  /** Takes connections, and hands each as a {@link Visitor} to `#http`, which parses and answers. */
  readonly #server: Server;
  readonly #http: HttpServer;
  /** A connection is brief, so the eldest of a source gives way: whoever probes gets in, however many hang. */
  readonly #places = new Shares<Socket>({
    slots: Math.min(PLACES, mainShares().port),
    givesWay: 'eldest',
  });
  readonly #rate = new KeyedRate(RATE);
  readonly #sockets = new Set<Socket>();
  #port = 0;

  /** `routes`: path to what answers it. A rejection becomes 500 with nothing told. */
  constructor(
    { logger, closed, routes }: ListenerComponents & { routes: ReadonlyMap<string, Route> },
    options: ListenerOptions,
  ) {
    this.#logger = logger;
    this.#closed = closed;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#connection(socket));
    this.#http = createHttpServer({ maxHeaderSize: MAX_HEAD_BYTES });
    const answered = (request: IncomingMessage, response: ServerResponse) => {
      const { path } = targetOf(request.url ?? '');
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
      (request.socket as unknown as Visitor).awaitAnswer();
      route(request.headers).then(
        (answer) => write(response, answer),
        (error: unknown) => {
          this.#logger.error({ err: error, path }, 'request failed');
          write(response, { status: 500, contentType: 'text/plain', body: 'failed\n' });
        },
      );
    };
    // An expectation that Node does not know is let be: its own answer to one leaves the connection open.
    for (const event of ['request', 'checkExpectation']) this.#http.on(event, answered);
    this.#http.on('connect', (request, visitor) =>
      answered(request, answerOn(visitor as unknown as Visitor, request)),
    );
  }

  /** The bound port; 0 before `start`. */
  get port(): number {
    return this.#port;
  }

  /** Throws ConfigurationError naming setting and port when it cannot listen there. */
  async start(): Promise<void> {
    const { setting, address } = this.#options;
    const { host, port } = address;
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
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #connection(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress ?? '');
    if (!this.#rate.take(source)) {
      this.#close(socket, 'rate');
      return;
    }
    this.#sockets.add(socket);
    const timer = setTimeout(() => this.#close(socket, 'time'), CONNECTION_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
      this.#places.release(socket);
    });
    this.#http.emit('connection', new Visitor(socket));
    for (const { item, because } of this.#places.take(socket, [{ name: source, share: SHARE }]))
      this.#close(item, because);
  }

  #close(socket: Socket, reason: CloseReason): void {
    this.#closed?.inc({ setting: this.#options.setting, reason });
    socket.destroy();
  }
}

function write(response: ServerResponse, { status, contentType, body, headers }: Answer): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...headers,
  });
  response.end(body);
}

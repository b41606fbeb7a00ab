/**
 * The transport on `ws` and Node's own HTTP server: runs wherever Node does. What is published in one turn is formatted once and
 * goes to each client in one write, which is most of what there is to gain: a write costs some microseconds, whatever is in it.
 */

import { readFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type WebSocket, type ServerOptions as WebSocketOptions, WebSocketServer } from 'ws';
import { targetOf } from '../../../shared/net/http-target.js';
import { answerOn, MAX_HEAD_BYTES, Visitor } from '../../../shared/net/http-visitor.js';
import { canonicalIp } from '../../../shared/net/ip.js';
import type { TlsFiles } from '../../../shared/tls/files.js';
import type {
  HttpAnswer,
  HttpRequest,
  Listener,
  ListenerOptions,
  Transport,
  TransportHandlers,
} from './types.js';
import { packageVersion } from './uws-build.js';
import { answerWhole, answerWithoutBody, Chunks, WsStream } from './ws-answers.js';
import { type WsHome, WsSocket } from './ws-socket.js';
import { Topics } from './ws-topics.js';

/** For a TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** For the other side's close frame, after ours. */
const CLOSE_TIMEOUT_MS = 3000;
/** Fragments of a message at the most: empty ones cost no bytes of it, and without a bound some clients fill the loop with them. */
const MAX_FRAGMENTS = 64;
/** Node's `reusePort` is there from 22.12 and 23.1 on, for systems that share connections out among those who listen. */
export function reusesPorts(version = process.versions.node, platform: string = process.platform): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const has = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
  return has && ['linux', 'freebsd', 'sunos', 'aix'].includes(platform);
}

function readRequest(request: IncomingMessage, address: string): HttpRequest {
  const headers: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2)
    headers.push([String(request.rawHeaders[index]).toLowerCase(), String(request.rawHeaders[index + 1])]);
  return {
    method: request.method ?? '',
    ...targetOf(request.url ?? ''),
    address,
    headers,
  };
}

class WsListener<Data> implements Listener, WsHome<Data> {
  readonly topics = new Topics<WsSocket<Data>>();
  /** Takes connections, and hands each as a {@link Visitor} to `#http`, which parses and answers. */
  readonly #server: Server;
  readonly #http: HttpServer;
  readonly #webSockets: WebSocketServer;
  readonly #sockets = new Set<WsSocket<Data>>();
  readonly #streams = new Set<WsStream>();
  readonly #chunks = new Chunks();
  /** Ends the count of a connection as one that speaks HTTP, by its remote address and port. */
  readonly #visits = new Map<string, () => void>();

  constructor(
    private readonly options: ListenerOptions,
    private readonly handlers: TransportHandlers<Data>,
  ) {
    const { tls, maxMessageBytes } = options;
    this.#server =
      tls === undefined
        ? // Who has closed its side may still have an answer.
          createServer({ noDelay: true, allowHalfOpen: true })
        : createTlsServer({ noDelay: true, ...readPair(tls), handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
    this.#http = createHttpServer({ maxHeaderSize: MAX_HEAD_BYTES });
    // The types do not know these three yet.
    const webSockets: WebSocketOptions & {
      closeTimeout: number;
      maxFragments: number;
      maxPendingAutoPongs: number;
    } = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
      maxFragments: MAX_FRAGMENTS,
      // How many pings are too many is decided above.
      maxPendingAutoPongs: Number.MAX_SAFE_INTEGER,
    };
    this.#webSockets = new WebSocketServer(webSockets);
    this.#server.on('connection', (socket: Socket) => this.#connection(socket));
    if (tls !== undefined) this.#server.on('secureConnection', (socket: TLSSocket) => this.#visit(socket));
    // An expectation that Node does not know is let be: its own answer to one leaves the connection open.
    for (const event of ['request', 'checkExpectation'])
      this.#http.on(event, (request: IncomingMessage, response: ServerResponse) =>
        this.#request(request, response),
      );
    this.#http.on('upgrade', (request, visitor) => this.#upgrade(request, visitor as Visitor));
    this.#http.on('connect', (request, visitor) => this.#refuse(request, visitor as Visitor));
  }

  async listen(host: string, port: number): Promise<number> {
    const options: ListenOptions & { reusePort: boolean } = { port, reusePort: reusesPorts() };
    if (host !== '') options.host = host;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(options, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  stopListening(): void {
    this.#server.close();
  }

  /** Node accepts and closes at the limit of open files, with a descriptor that it keeps for that. */
  pause(): void {}

  async resume(): Promise<void> {}

  publish(topic: string, message: string | Uint8Array, binary = false): void {
    this.topics.publish(topic, message, binary);
  }

  async renew(): Promise<void> {
    if (this.options.tls !== undefined)
      (this.#server as TlsServer).setSecureContext(readPair(this.options.tls));
  }

  close(): void {
    this.stopListening();
    for (const each of [...this.#sockets, ...this.#streams]) each.close();
  }

  finished(socket: WsSocket<Data>): void {
    this.#sockets.delete(socket);
    this.handlers.close(socket);
  }

  /** Counts it, from before a TLS handshake on. */
  #connection(socket: Socket): void {
    const address = addressOf(socket);
    if (!this.handlers.connected(address)) {
      socket.destroy();
      return;
    }
    // The handshake's socket has the same remote port, and nothing else that names this one.
    const key = visitKey(socket);
    let here = true;
    const leave = () => {
      if (!here) return;
      here = false;
      // Those that are reset before they are accepted have no address, and so one key.
      if (this.#visits.get(key) === leave) this.#visits.delete(key);
      this.handlers.disconnected(address);
    };
    this.#visits.set(key, leave);
    socket.once('close', leave);
    if (this.options.tls === undefined) this.#visit(socket);
  }

  #visit(socket: Socket): void {
    this.#http.emit('connection', new Visitor(socket));
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const visitor = visitorOf(request);
    const why = this.handlers.request(readRequest(request, addressOf(visitor.raw)));
    this.#answer(request, { visitor, response }, why);
  }

  #answer(
    { method }: IncomingMessage,
    { visitor, response }: { readonly visitor: Visitor; readonly response: ServerResponse },
    answer: HttpAnswer,
  ): void {
    if (!('stream' in answer)) answerWhole(response, answer);
    else if (method === 'HEAD' || answer.status === 304) answerWithoutBody(response, answer);
    else {
      this.#visits.get(visitKey(visitor.raw))?.();
      const components = { visitor, response, chunks: this.#chunks };
      const out = new WsStream(components, answer, (stream) => this.#streams.delete(stream));
      this.#streams.add(out);
      answer.stream(out);
      if (answer.length === 0) out.end();
    }
  }

  #upgrade(request: IncomingMessage, visitor: Visitor): void {
    const { raw, rest } = visitor;
    const read = readRequest(request, addressOf(raw));
    const { endpoint } = this.options;
    if (read.path !== endpoint || read.method !== 'GET' || request.httpVersion !== '1.1') {
      this.#refuse(request, visitor);
      return;
    }
    const verdict = this.handlers.upgrade(read);
    if (!('data' in verdict)) {
      this.#refuse(request, visitor, verdict);
      return;
    }
    visitor.takeOver();
    // The library wants this protocol alone, though a client may name others besides.
    request.headers.upgrade = 'websocket';
    let opened = false;
    this.#webSockets.handleUpgrade(request, raw, rest, (webSocket) => {
      opened = true;
      this.#visits.get(visitKey(raw))?.();
      this.#opened(new WsSocket(verdict.data, this, webSocket, raw), webSocket, raw);
    });
    // It calls back at once, or has refused the handshake itself.
    if (!opened) this.handlers.abandoned(verdict.data);
  }

  /** Answers on a connection that Node has taken off HTTP. */
  #refuse(
    request: IncomingMessage,
    visitor: Visitor,
    why = this.handlers.request(readRequest(request, addressOf(visitor.raw))),
  ): void {
    this.#answer(request, { visitor, response: answerOn(visitor, request) }, why);
  }

  #opened(socket: WsSocket<Data>, webSocket: WebSocket, raw: Socket): void {
    const { handlers, options } = this;
    this.#sockets.add(socket);
    raw.setTimeout(options.idleSeconds * 1000, () => socket.close());
    raw.on('drain', () => socket.open && handlers.drain(socket));
    webSocket.on('message', () => socket.open && handlers.message(socket));
    webSocket.on('ping', () => socket.open && handlers.ping(socket));
    webSocket.on('pong', (payload) => socket.open && handlers.pong(socket, payload));
    // What went wrong is told to the client in its close frame.
    webSocket.on('error', () => socket.ending());
    webSocket.on('close', () => socket.finish());
    handlers.open(socket);
  }
}

function addressOf({ remoteAddress = '' }: Socket): string {
  return canonicalIp(remoteAddress) ?? remoteAddress;
}

/** Every connection of the HTTP server is one. */
function visitorOf(request: IncomingMessage): Visitor {
  return request.socket as unknown as Visitor;
}

function visitKey({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function readPair({ certFile, keyFile }: TlsFiles): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}

export function wsTransport(): Transport {
  return {
    build: `ws ${packageVersion('ws')}`,
    shortcomings: '',
    sharesPort: reusesPorts(),
    listener: (options, handlers) => new WsListener(options, handlers),
  };
}

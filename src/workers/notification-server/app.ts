/** One listening uWebSockets.js app: its routes and its WebSocket endpoint. */

import { canonicalIp } from '../../shared/ip.js';
import type { TlsFiles } from '../../shared/tls-files.js';
import type { Admission } from './admission.js';
import { CLOSE, type Client, type ClientSocket, type Clients } from './clients.js';
import type { NotificationServerMetrics } from './metrics.js';
import type { AllowedOrigins } from './origins.js';
import { PAGE_HEADERS, type PageFile } from './page-files.js';
import type { HttpRequest, HttpResponse, LoadedUws, TemplatedApp, us_listen_socket } from './uws.js';

/** WIRE §6: what a client may send at once. */
const MAX_MESSAGE_BYTES = 1024;
/** Ends what neither sends nor takes anything; pings come more often. */
const IDLE_SECONDS = 120;

export interface AppParts {
  readonly clients: Clients;
  readonly admission: Admission;
  readonly origins: AllowedOrigins;
  readonly page: readonly PageFile[];
  readonly metrics: NotificationServerMetrics;
  /** JSON for `/api/status`; empty while there is none. */
  readonly status: () => string;
}

function addressOf(response: HttpResponse): string {
  try {
    const text = Buffer.from(response.getRemoteAddressAsText()).toString();
    return canonicalIp(text) ?? text;
  } catch {
    // The JavaScript build does not know it.
    return '';
  }
}

export class NotificationApp {
  readonly #app: TemplatedApp;
  #listening: us_listen_socket | undefined;

  /** Throws what uWebSockets.js throws where a certificate does not load. */
  constructor(
    private readonly loaded: LoadedUws,
    private readonly parts: AppParts,
    tls: TlsFiles | undefined,
  ) {
    this.#app =
      tls === undefined
        ? loaded.uws.App()
        : loaded.uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    this.#routes();
    parts.clients.addApp(this.#app);
  }

  get clients(): number {
    return this.parts.clients.countOf(this.#app);
  }

  /** Resolves with the port. Rejects where it cannot listen. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const listening = (socket: us_listen_socket | false) => {
        if (!socket) {
          reject(new Error(`cannot listen on ${host}:${port}`));
          return;
        }
        this.#listening = socket;
        resolve(this.loaded.uws.us_socket_local_port(socket));
      };
      if (host === '') this.#app.listen(port, listening);
      else this.#app.listen(host, port, listening);
    });
  }

  /** Takes no more connections; those there are stay. */
  stopListening(): void {
    if (this.#listening !== undefined) this.loaded.uws.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  endClients(code: number, reason: string): void {
    this.parts.clients.endOf(this.#app, code, reason);
  }

  /** Everything ends. Must come before the process exits. */
  close(): void {
    this.stopListening();
    this.parts.clients.removeApp(this.#app);
    // The JavaScript build has no `close`.
    if (this.loaded.native) this.#app.close();
  }

  #routes(): void {
    const { clients, page } = this.parts;
    const app = this.#app;
    app.ws<Client>('/p2p-ws', {
      maxPayloadLength: MAX_MESSAGE_BYTES,
      idleTimeout: IDLE_SECONDS,
      sendPingsAutomatically: false,
      compression: this.loaded.uws.DISABLED ?? 0,
      // No limit: `Clients` keeps its own, see there.
      maxBackpressure: 0,
      closeOnBackpressureLimit: false,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket) => clients.received(socket),
      ping: (socket) => clients.received(socket),
      pong: (socket) => clients.ponged(socket),
      drain: (socket) => clients.drained(socket),
      close: (socket) => {
        clients.closed(socket);
        socket.getUserData().place.leave();
      },
    });
    app.get('/p2p-ws', (response) => {
      response.cork(() =>
        response
          .writeStatus('426 Upgrade Required')
          .writeHeader('upgrade', 'websocket')
          .end('WebSocket only'),
      );
    });
    app.get('/health', (response, request) => this.#answer(response, request, 'text/plain', 'OK'));
    app.get('/api/status', (response, request) => {
      const status = this.parts.status();
      if (status === '') this.#answer(response, request, 'application/json', '{"starting":true}', '503');
      else this.#answer(response, request, 'application/json', status);
    });
    for (const { path, contentType, body } of page) {
      app.get(path, (response, request) =>
        this.#answer(response, request, contentType, body, '200', PAGE_HEADERS),
      );
    }
    app.options('/*', (response, request) => this.#answer(response, request, 'text/plain', '', '200'));
    app.any('/*', (response, request) => this.#answer(response, request, 'text/plain', 'not found', '404'));
  }

  #answer(
    response: HttpResponse,
    request: HttpRequest,
    contentType: string,
    body: string | Buffer,
    status: '200' | '404' | '503' = '200',
    headers: readonly (readonly [string, string])[] = [['cache-control', 'no-store']],
  ): void {
    const origin = request.getHeader('origin');
    const allowed = this.parts.origins.header(origin);
    response.cork(() => {
      const text = { 200: 'OK', 404: 'Not Found', 503: 'Service Unavailable' }[status];
      response.writeStatus(`${status} ${text}`);
      response.writeHeader('content-type', contentType);
      response.writeHeader('x-content-type-options', 'nosniff');
      if (allowed !== undefined) {
        response.writeHeader('access-control-allow-origin', allowed);
        response.writeHeader('access-control-allow-methods', 'GET');
      }
      if (allowed !== '*') response.writeHeader('vary', 'origin');
      for (const [name, value] of headers) response.writeHeader(name, value);
      response.end(body);
    });
  }

  /** A client gets its first frame at once, however long main takes to confirm its place. */
  #open(socket: ClientSocket): void {
    const { clients, metrics } = this.parts;
    clients.opened(socket);
    socket.getUserData().place.confirm((granted) => {
      metrics.connections.inc({ outcome: granted ? 'accepted' : 'limit' });
      if (!granted) socket.end(CLOSE.tryLater, 'too many connections');
    });
  }

  #upgrade(
    response: HttpResponse,
    request: HttpRequest,
    context: Parameters<HttpResponse['upgrade']>[4],
  ): void {
    const { metrics, origins, admission, clients } = this.parts;
    const refuse = (status: string, text: string, outcome: string) => {
      metrics.connections.inc({ outcome });
      response.cork(() => response.writeStatus(status).end(text, true));
    };
    if (!origins.admits(request.getHeader('origin'), request.getHeader('host'))) {
      refuse('403 Forbidden', 'origin not allowed', 'origin');
      return;
    }
    const address = addressOf(response);
    const place = admission.enter(address);
    if (place === undefined) {
      refuse('503 Service Unavailable', 'too many connections', 'limit');
      return;
    }
    response.upgrade(
      clients.newClient(place, this.#app),
      request.getHeader('sec-websocket-key'),
      '',
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  }
}

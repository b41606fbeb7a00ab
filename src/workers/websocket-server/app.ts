/** What the notification server says to a request, and what it does with a WebSocket. */

import { METHODS } from 'node:http';
import type { Admission } from './admission.js';
import { CLOSE, type Client, type ClientSocket } from './client.js';
import type { Clients } from './clients.js';
import type { DescriptorPolicy } from './descriptor-policy.js';
import { framingFault, handshakeFault, headerOf } from './handshake.js';
import type { HttpPolicy } from './http-policy.js';
import type { NotificationServerMetrics } from './metrics.js';
import type { AllowedOrigins } from './origins.js';
import { PAGE_HEADERS, type PageFile } from './page-files.js';
import type { TrustedProxies } from './proxies.js';
import type { HttpAnswer, HttpRequest, TransportHandlers } from './transport/index.js';

/** Where WebSockets are. */
export const ENDPOINT = '/p2p-ws';

type Headers = HttpAnswer['headers'];

export interface AppParts {
  readonly clients: Clients;
  readonly admission: Admission;
  readonly policy: HttpPolicy;
  readonly descriptors: DescriptorPolicy;
  readonly proxies: TrustedProxies;
  readonly origins: AllowedOrigins;
  readonly page: readonly PageFile[];
  readonly metrics: NotificationServerMetrics;
  /** JSON for `/api/status`; empty while there is none. */
  readonly status: () => string;
}

interface Resource {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
  readonly headers?: Headers;
}

const NOT_STORED: Headers = [['cache-control', 'no-store']];
const ALLOWED = 'GET, HEAD, OPTIONS';
/** For how long a browser need not ask again. */
const PREFLIGHT_SECONDS = '86400';
/** Of header names: what is sent back is nothing else. */
const HEADER_NAMES = /^[\w-]+(?:, ?[\w-]+)*$/;
const UPGRADE: Headers = [
  ['upgrade', 'websocket'],
  ['sec-websocket-version', '13'],
];

const plain = (status: number, body: string, headers: Headers = NOT_STORED): Resource => ({
  status,
  contentType: 'text/plain',
  body,
  headers,
});

export class NotificationApp implements TransportHandlers<Client> {
  readonly #resources: ReadonlyMap<string, () => Resource>;

  constructor(private readonly parts: AppParts) {
    this.#resources = new Map<string, () => Resource>([
      ['/health', () => plain(200, 'OK')],
      ['/api/status', () => this.#status()],
      [ENDPOINT, () => plain(426, 'WebSocket only', UPGRADE)],
      ...parts.page.map(
        ({ path, contentType, body }) =>
          [path, () => ({ status: 200, contentType, body, headers: PAGE_HEADERS })] as const,
      ),
    ]);
  }

  connected(address: string): boolean {
    const { policy, descriptors, metrics } = this.parts;
    if (policy.enter(address)) {
      if (descriptors.enter()) return true;
      policy.leave(address);
    }
    metrics.http.inc({ outcome: 'connection_refused' });
    return false;
  }

  disconnected(address: string): void {
    this.parts.policy.leave(address);
    this.parts.descriptors.leave();
  }

  request(request: HttpRequest): HttpAnswer {
    const { policy, metrics, proxies } = this.parts;
    if (!policy.admits(proxies.clientOf(request))) {
      metrics.http.inc({ outcome: 'rate' });
      return this.#answer(request, plain(429, 'too many requests', [['retry-after', '1']]));
    }
    const resource = this.#resource(request);
    metrics.http.inc({ outcome: resource.status < 400 ? 'answered' : 'refused' });
    return this.#answer(request, resource);
  }

  upgrade(request: HttpRequest): { readonly data: Client } | HttpAnswer {
    const { metrics, origins, admission, clients, policy, descriptors, proxies } = this.parts;
    const refuse = (
      resource: Resource,
      outcome: 'limit' | 'origin' | 'rate' | 'handshake' | 'descriptors',
    ) => {
      metrics.connections.inc({ outcome });
      return this.#answer(request, resource);
    };
    const framing = framingFault(request);
    if (framing !== undefined) return refuse(plain(400, framing), 'handshake');
    const fault = handshakeFault(request);
    if (fault !== undefined)
      return refuse(plain(fault.status, fault.why, fault.status === 426 ? UPGRADE : NOT_STORED), 'handshake');
    if (!origins.admits(headerOf(request, 'origin'), headerOf(request, 'host')))
      return refuse(plain(403, 'origin not allowed'), 'origin');
    const client = proxies.clientOf(request);
    if (!policy.admits(client))
      return refuse(plain(429, 'too many requests', [['retry-after', '1']]), 'rate');
    if (!descriptors.hasRoom()) return refuse(plain(503, 'too many connections'), 'descriptors');
    const place = admission.enter(client);
    if (place === undefined) return refuse(plain(503, 'too many connections'), 'limit');
    return { data: clients.newClient(place) };
  }

  /** A client gets its first frame at once, however long main takes to confirm its place. */
  open(socket: ClientSocket): void {
    const { clients, metrics } = this.parts;
    clients.opened(socket);
    socket.data.place.confirm((granted) => {
      metrics.connections.inc({ outcome: granted ? 'accepted' : 'limit' });
      if (!granted) socket.end(CLOSE.tryLater, 'too many connections');
    });
  }

  abandoned(client: Client): void {
    this.parts.metrics.connections.inc({ outcome: 'handshake' });
    client.place.leave();
  }

  message(socket: ClientSocket): void {
    this.parts.clients.received(socket);
  }

  ping(socket: ClientSocket): void {
    this.parts.clients.pinged(socket);
  }

  pong(socket: ClientSocket): void {
    this.parts.clients.ponged(socket);
  }

  drain(socket: ClientSocket): void {
    this.parts.clients.drained(socket);
  }

  close(socket: ClientSocket): void {
    this.parts.clients.closed(socket);
    socket.data.place.leave();
  }

  #resource(request: HttpRequest): Resource {
    const framing = framingFault(request);
    if (framing !== undefined) return plain(400, framing);
    if (!METHODS.includes(request.method)) return plain(501, 'unknown method');
    if (request.method === 'OPTIONS') return plain(200, '', [...NOT_STORED, ['allow', ALLOWED]]);
    const resource = this.#resources.get(request.path);
    if (resource === undefined) return plain(404, 'not found');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return plain(405, 'method not allowed', [...NOT_STORED, ['allow', ALLOWED]]);
    return resource();
  }

  #status(): Resource {
    const status = this.parts.status();
    const contentType = 'application/json';
    return status === ''
      ? { status: 503, contentType, body: '{"starting":true}', headers: NOT_STORED }
      : { status: 200, contentType, body: status, headers: NOT_STORED };
  }

  #answer(request: HttpRequest, { status, contentType, body, headers = [] }: Resource): HttpAnswer {
    const allowed = this.parts.origins.header(headerOf(request, 'origin'));
    const common: (readonly [string, string])[] = [
      ['content-type', contentType],
      ['x-content-type-options', 'nosniff'],
    ];
    if (allowed !== undefined) {
      common.push(['access-control-allow-origin', allowed], ['access-control-allow-methods', 'GET']);
    }
    if (allowed !== undefined && request.method === 'OPTIONS') {
      // What a page means to send is allowed: nothing here depends on a header of its own.
      const asked = headerOf(request, 'access-control-request-headers') ?? '';
      if (HEADER_NAMES.test(asked)) common.push(['access-control-allow-headers', asked]);
      common.push(['access-control-max-age', PREFLIGHT_SECONDS]);
    }
    if (allowed !== '*') common.push(['vary', 'origin']);
    return { status, headers: [...common, ...headers], body };
  }
}

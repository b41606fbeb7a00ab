/** What the notification server says to a request, and what it does with a WebSocket. */

import { METHODS } from 'node:http';
import { FeedProblem } from '../../shared/firehose/problems.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Admission, Place } from './admission.js';
import { type Client, type ClientSocket, release } from './client.js';
import type { Clients } from './clients.js';
import type { DescriptorPolicy } from './descriptor-policy.js';
import type { FeedRequests } from './feed-request.js';
import { framingFault, handshakeFault, headerOf } from './handshake.js';
import {
  type Answer,
  type Headers,
  NOT_STORED,
  plain,
  type Resource,
  refuseAsProblem,
  refusePlainly,
} from './http/resource.js';
import { type Route, Router } from './http/router.js';
import type { HttpPolicy } from './http-policy.js';
import type { NotificationServerMetrics } from './metrics.js';
import type { AllowedOrigins } from './origins.js';
import type { TrustedProxies } from './proxies.js';
import type { HttpAnswer, HttpRequest, TransportHandlers } from './transport/index.js';

/** Where WebSockets are. */
export const ENDPOINT = '/p2p-ws';

export interface AppParts {
  readonly clients: Clients;
  readonly feedRequests: FeedRequests;
  readonly admission: Admission;
  readonly policy: HttpPolicy;
  readonly descriptors: DescriptorPolicy;
  readonly proxies: TrustedProxies;
  readonly origins: AllowedOrigins;
  /** The feed beside the endpoint: who is refused it is counted by the code. */
  readonly feed: readonly Resource[];
  /** What else there is. */
  readonly resources: readonly Resource[];
  readonly metrics: NotificationServerMetrics;
  readonly logger: Logger;
}

const ALLOW = ['allow', 'GET, HEAD, OPTIONS'] as const;
/** For how long a browser need not ask again. */
const PREFLIGHT_SECONDS = '86400';
/** Of header names: what is sent back is nothing else. */
const HEADER_NAMES = /^[\w-]+(?:, ?[\w-]+)*$/;
const UPGRADE: Headers = [
  ['upgrade', 'websocket'],
  ['sec-websocket-version', '13'],
];
const NOT_OF_ORIGIN = new FeedProblem('origin_not_allowed');
const FULL = new FeedProblem('too_many_connections');
const TOO_MANY = new FeedProblem('too_many_requests', 'too many requests');

const refusalOf = (route: Route | undefined) => route?.resource.refuse ?? refuseAsProblem;

export class NotificationApp implements TransportHandlers<Client> {
  readonly #router: Router;
  readonly #endpoint: Route;
  readonly #feed: ReadonlySet<Resource>;

  constructor(private readonly parts: AppParts) {
    const endpoint: Resource = {
      path: ENDPOINT,
      // Whoever asks for something of the feed is told by its codes why it cannot be had.
      refuse: (problem, request) =>
        request.query === '' ? refusePlainly(problem, request) : refuseAsProblem(problem, request),
      answer: ({ request }) => this.#noHandshake(request),
    };
    this.#endpoint = { resource: endpoint, rest: '' };
    this.#feed = new Set([endpoint, ...parts.feed]);
    this.#router = new Router([...this.#feed, ...parts.resources]);
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
    const client = proxies.clientOf(request);
    const route = this.#router.find(request.path);
    if (!policy.admits(client)) {
      metrics.http.inc({ outcome: 'rate' });
      return this.#answer(request, refusalOf(route)(TOO_MANY, request), route);
    }
    const answer = this.#answerOf(request, client, route);
    metrics.http.inc({ outcome: answer.status < 400 ? 'answered' : 'refused' });
    return this.#answer(request, answer, route);
  }

  upgrade(request: HttpRequest): { readonly data: Client } | HttpAnswer {
    const { metrics, origins, admission, clients, feedRequests, policy, descriptors, proxies } = this.parts;
    const refuse = (
      answer: Answer,
      outcome: 'limit' | 'origin' | 'rate' | 'handshake' | 'descriptors' | 'refused',
    ) => {
      metrics.connections.inc({ outcome });
      return this.#answer(request, answer, this.#endpoint);
    };
    // Whoever asks for something of the feed is told by its codes; `plainly` is for who asks for nothing in particular.
    const refuseAs = (
      problem: FeedProblem,
      plainly: Answer,
      outcome: 'limit' | 'origin' | 'rate' | 'descriptors',
    ) => refuse(request.query === '' ? plainly : refuseAsProblem(problem, request), outcome);
    const framing = framingFault(request);
    if (framing !== undefined) return refuse(plain(400, framing), 'handshake');
    const fault = handshakeFault(request);
    if (fault !== undefined)
      return refuse(plain(fault.status, fault.why, fault.status === 426 ? UPGRADE : NOT_STORED), 'handshake');
    if (!origins.admits(headerOf(request, 'origin'), headerOf(request, 'host')))
      return refuseAs(NOT_OF_ORIGIN, plain(403, 'origin not allowed'), 'origin');
    const client = proxies.clientOf(request);
    if (!policy.admits(client)) return refuseAs(TOO_MANY, refusePlainly(TOO_MANY, request), 'rate');
    const crowded = plain(503, 'too many connections');
    if (!descriptors.hasRoom()) return refuseAs(FULL, crowded, 'descriptors');
    const full = () => refuseAs(FULL, crowded, 'limit');
    let place: Place | undefined;
    try {
      const grant = feedRequests.grantOf(request);
      place = admission.enter(client, grant.token);
      if (place === undefined) return full();
      return { data: clients.newClient(place, feedRequests.serviceOf(grant), grant.token) };
    } catch (error) {
      place?.leave();
      if (!(error instanceof FeedProblem)) throw error;
      if (headerOf(request, 'origin') === '') return refuse(refuseAsProblem(error, request), 'refused');
      // A browser shows its page neither status nor body of an answer: it gets a socket that says so.
      place = admission.enter(client);
      if (place === undefined) return full();
      metrics.connections.inc({ outcome: 'refused' });
      metrics.refusals.inc({ code: error.code });
      return { data: clients.newClient(place, { type: 'refused', problem: error }) };
    }
  }

  /** A client gets its first frame at once, however long main takes to confirm its place. */
  open(socket: ClientSocket): void {
    const { clients, metrics } = this.parts;
    clients.opened(socket);
    socket.data.place.confirm((answer) => {
      metrics.connections.inc({ outcome: answer === 'granted' ? 'accepted' : 'limit' });
      if (answer !== 'granted') clients.end(socket, new FeedProblem(answer));
    });
  }

  abandoned(client: Client): void {
    release(client.service);
    this.parts.metrics.connections.inc({ outcome: 'handshake' });
    client.place.leave();
  }

  message(socket: ClientSocket): void {
    this.parts.clients.received(socket);
  }

  ping(socket: ClientSocket): void {
    this.parts.clients.pinged(socket);
  }

  pong(socket: ClientSocket, payload: Uint8Array): void {
    this.parts.clients.ponged(socket, payload);
  }

  drain(socket: ClientSocket): void {
    this.parts.clients.drained(socket);
  }

  close(socket: ClientSocket): void {
    this.parts.clients.closed(socket);
    socket.data.place.leave();
  }

  /** To a request that is no handshake: what one like it would be told, as some clients cannot show that. Throws FeedProblem. */
  #noHandshake(request: HttpRequest): Answer {
    this.parts.feedRequests.check(request);
    return plain(426, 'WebSocket only', UPGRADE);
  }

  #answerOf(request: HttpRequest, client: string, route: Route | undefined): Answer {
    const refuse = (problem: FeedProblem) => refusalOf(route)(problem, request);
    const framing = framingFault(request);
    if (framing !== undefined) return refuse(new FeedProblem('bad_request', framing));
    if (!METHODS.includes(request.method)) return refuse(new FeedProblem('unknown_method', 'unknown method'));
    if (request.method === 'OPTIONS') return plain(200, '', [...NOT_STORED, ALLOW]);
    if (route === undefined) return refuse(new FeedProblem('not_found', 'there is nothing at this path'));
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const refusal = refuse(new FeedProblem('method_not_allowed', 'method not allowed'));
      return { ...refusal, headers: [...(refusal.headers ?? []), ALLOW] };
    }
    try {
      return route.resource.answer({ request, client, rest: route.rest });
    } catch (error) {
      if (error instanceof FeedProblem) return refuse(error);
      // Such as a disk that does not give what it has: the others are served on.
      this.parts.logger.error({ err: error, path: request.path }, 'a request could not be answered');
      return refuse(new FeedProblem('internal'));
    }
  }

  #answer(request: HttpRequest, answer: Answer, route?: Route): HttpAnswer {
    const { contentType, headers = [], code } = answer;
    if (code !== undefined && route !== undefined && this.#feed.has(route.resource))
      this.parts.metrics.refusals.inc({ code });
    const allowed = this.parts.origins.header(headerOf(request, 'origin'));
    const common: (readonly [string, string])[] = [
      ['content-type', contentType],
      ['x-content-type-options', 'nosniff'],
    ];
    if (allowed !== undefined) {
      common.push(['access-control-allow-origin', allowed], ['access-control-allow-methods', 'GET']);
      const exposed = route?.resource.exposed;
      if (exposed !== undefined) common.push(['access-control-expose-headers', exposed]);
    }
    if (allowed !== undefined && request.method === 'OPTIONS') {
      // What a page means to send is allowed: nothing here depends on a header of its own.
      const asked = headerOf(request, 'access-control-request-headers') ?? '';
      if (HEADER_NAMES.test(asked)) common.push(['access-control-allow-headers', asked]);
      common.push(['access-control-max-age', PREFLIGHT_SECONDS]);
    }
    if (allowed !== '*') common.push(['vary', 'origin']);
    return { ...answer, headers: [...common, ...headers] };
  }
}

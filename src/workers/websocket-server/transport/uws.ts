/** The transport on uWebSockets.js. */

import { canonicalIp } from '../../../shared/net/ip.js';
import type {
  HttpAnswer,
  HttpRequest,
  Listener,
  ListenerOptions,
  Transport,
  TransportHandlers,
} from './types.js';
import { answerWhole, answerWithoutBody, UwsStream } from './uws-answers.js';
import type * as Uws from './uws-build.js';
import type { LoadedUws, TemplatedApp, us_listen_socket, WebSocket } from './uws-build.js';
import { type UserData, UwsSocket } from './uws-socket.js';

/** Former apps that may still have clients after certificates changed; above it the oldest one's are ended. */
const MAX_RETIRED = 4;
const RETIRED_LOOK_MS = 10_000;
/** Close code of RFC 6455's registry: service restart. */
const RESTART = 1012;

function textOf(bytes: ArrayBuffer): string {
  const text = Buffer.from(bytes).toString();
  return canonicalIp(text) ?? text;
}

/** Must run in the turn in which the request came. */
function readRequest(response: Uws.HttpResponse, request: Uws.HttpRequest): HttpRequest {
  const headers: (readonly [string, string])[] = [];
  request.forEach((name, value) => {
    headers.push([name, value]);
  });
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    address: textOf(response.getRemoteAddressAsText()),
    headers,
  };
}

/** One of uWebSockets.js's apps: it has one certificate for life. */
class App<Data> {
  readonly sockets = new Set<UwsSocket<Data>>();
  readonly streams = new Set<UwsStream>();
  readonly #app: TemplatedApp;
  #listening: us_listen_socket | undefined;

  constructor(
    private readonly loaded: LoadedUws,
    private readonly options: ListenerOptions,
    private readonly handlers: TransportHandlers<Data>,
  ) {
    const { tls } = options;
    this.#app =
      tls === undefined
        ? loaded.uws.App()
        : loaded.uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    this.#routes();
  }

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

  get listening(): boolean {
    return this.#listening !== undefined;
  }

  stopListening(): void {
    if (this.#listening !== undefined) this.loaded.uws.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  /** Nobody is here for longer than an answer. */
  get empty(): boolean {
    return this.sockets.size === 0 && this.streams.size === 0;
  }

  publish(topic: string, message: string | Uint8Array, binary: boolean): void {
    this.#app.publish(topic, message, binary);
  }

  close(): void {
    this.stopListening();
    for (const stream of [...this.streams]) stream.close();
    this.#app.close();
  }

  #routes(): void {
    const {
      options,
      handlers,
      loaded: { uws },
    } = this;
    const seen = (socket: WebSocket<UserData<Data>>) => socket.getUserData().socket as UwsSocket<Data>;
    this.#app.ws<UserData<Data>>(options.endpoint, {
      maxPayloadLength: options.maxMessageBytes,
      idleTimeout: options.idleSeconds,
      sendPingsAutomatically: false,
      compression: uws.DISABLED,
      // No limit: above one, frames would be left out without a word.
      maxBackpressure: 0,
      closeOnBackpressureLimit: false,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => {
        const mine = new UwsSocket(socket);
        socket.getUserData().socket = mine;
        this.sockets.add(mine);
        handlers.open(mine);
      },
      message: (socket) => handlers.message(seen(socket)),
      ping: (socket) => handlers.ping(seen(socket)),
      pong: (socket, payload) => handlers.pong(seen(socket), new Uint8Array(payload)),
      drain: (socket) => handlers.drain(seen(socket)),
      close: (socket) => {
        const mine = seen(socket);
        mine.closed();
        this.sockets.delete(mine);
        handlers.close(mine);
      },
    });
    this.#app.any('/*', (response, request) => {
      const read = readRequest(response, request);
      this.#answer(response, read.method, handlers.request(read));
    });
  }

  #upgrade(
    response: Uws.HttpResponse,
    request: Uws.HttpRequest,
    context: Parameters<Uws.HttpResponse['upgrade']>[4],
  ): void {
    const read = readRequest(response, request);
    const verdict = this.handlers.upgrade(read);
    if (!('data' in verdict)) {
      this.#answer(response, read.method, verdict);
      return;
    }
    response.upgrade<UserData<Data>>(
      { data: verdict.data, socket: undefined },
      request.getHeader('sec-websocket-key'),
      '',
      '',
      context,
    );
  }

  #answer(response: Uws.HttpResponse, method: string, answer: HttpAnswer): void {
    const { loaded } = this;
    if (!('stream' in answer)) answerWhole(response, answer, { method, loaded });
    else if (method === 'HEAD' || answer.status === 304) answerWithoutBody(response, answer, loaded);
    else
      response.cork(() => {
        const out = new UwsStream(response, answer, (stream) => this.streams.delete(stream));
        this.streams.add(out);
        answer.stream(out);
        if (answer.length === 0) out.end();
      });
  }
}

/** The newest app listens; former ones keep their clients. */
class UwsListener<Data> implements Listener {
  #app: App<Data>;
  #retired: App<Data>[] = [];
  #host = '';
  #port = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly loaded: LoadedUws,
    private readonly options: ListenerOptions,
    private readonly handlers: TransportHandlers<Data>,
  ) {
    this.#app = new App(loaded, options, handlers);
  }

  async listen(host: string, port: number): Promise<number> {
    this.#host = host;
    this.#port = await this.#app.listen(host, port);
    return this.#port;
  }

  stopListening(): void {
    this.#app.stopListening();
  }

  /** The library tries to accept in every turn of the loop what it cannot at the limit of open files. */
  pause(): void {
    this.#app.stopListening();
  }

  async resume(): Promise<void> {
    if (!this.#app.listening) await this.#app.listen(this.#host, this.#port);
  }

  publish(topic: string, message: string | Uint8Array, binary = false): void {
    this.#app.publish(topic, message, binary);
    for (const app of this.#retired) app.publish(topic, message, binary);
  }

  /** A new app listens beside the old one, which keeps its clients and gets no more. */
  async renew(): Promise<void> {
    const app = new App(this.loaded, this.options, this.handlers);
    try {
      await app.listen(this.#host, this.#port);
    } catch (error) {
      app.close();
      throw error;
    }
    const former = this.#app;
    this.#app = app;
    former.stopListening();
    this.#retired.push(former);
    this.#timer ??= setInterval(() => this.#sweep(), RETIRED_LOOK_MS);
    this.#sweep();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const app of [...this.#retired, this.#app]) app.close();
    this.#retired = [];
  }

  #sweep(): void {
    const oldest = this.#retired.length > MAX_RETIRED ? this.#retired[0] : undefined;
    for (const socket of [...(oldest?.sockets ?? [])]) socket.end(RESTART, 'certificate changed');
    for (const stream of [...(oldest?.streams ?? [])]) stream.end();
    this.#retired = this.#retired.filter((app) => {
      if (!app.empty) return true;
      app.close();
      return false;
    });
  }
}

export function uwsTransport(loaded: LoadedUws): Transport {
  return {
    build: loaded.build,
    shortcomings: loaded.refusesAtOnce
      ? 'HTTP/1.0 and absolute targets are refused with 505'
      : 'HTTP/1.0, absolute targets, more than 48 header lines and what is no request get twelve seconds of silence; a head above 4 KiB that comes in pieces is cut',
    sharesPort: true,
    listener: (options, handlers) => new UwsListener(loaded, options, handlers),
  };
}

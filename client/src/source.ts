/** Where a feed comes from: one connection after the other, to each of its servers in turn. */

import { Backoff, pause } from './backoff.js';
import { Connection } from './connection.js';
import type { Ending, Problem } from './ending.js';
import { FeedError, type FeedFailure } from './errors.js';
import type { FeedOptions, PlainFeedOptions } from './options.js';
import { askWhy } from './refusal.js';
import { feedUrl } from './request.js';
import { type WebSocketClass, webSocketClass } from './web-socket.js';

const PRESET = { openMs: 10_000, retryMs: 30_000, bufferBytes: 4 * 1024 * 1024 };
/** A server says something every 30 s, or, where it was asked for nothing, pings every 54 s. */
const SILENCE_MS = { positioned: 75_000, plain: 120_000 };

/** Close codes with which a server says that asking again will not help: bad parameter, token missing or unknown, token does not allow it, too old. */
const FATAL_CODES: readonly (number | undefined)[] = [4400, 4401, 4403, 4410];
/** HTTP statuses of 400 to 499 that pass: a time-out, too early, an upgrade that a proxy did not pass on, too many requests. */
const PASSING_STATUSES = [408, 425, 426, 429];

interface Server {
  readonly given: string;
  readonly url: URL;
}

/** A token as a header. */
const authorization = (token: string) => ({ authorization: `Bearer ${token}` });

export class Source {
  readonly #options: (FeedOptions | PlainFeedOptions) & typeof PRESET & { readonly silenceMs: number };
  readonly #WebSocket: WebSocketClass;
  readonly #servers: readonly Server[];
  readonly #backoff: Backoff;
  /** Those that refused for no reason that passes; cleared when a feed began. */
  readonly #refused = new Set<Server>();
  #connection: Connection | undefined;
  /** Of the connection: whose it is, and what was asked for. */
  #server: Server;
  #url = '';
  #beganAt: number | undefined;
  #everBegan = false;

  /** Throws TypeError where a URL is none, Error where there is no WebSocket. */
  constructor(options: FeedOptions | PlainFeedOptions) {
    const { url, plain = false } = options;
    this.#options = {
      ...options,
      openMs: options.openMs ?? PRESET.openMs,
      silenceMs: options.silenceMs ?? SILENCE_MS[plain ? 'plain' : 'positioned'],
      retryMs: options.retryMs ?? PRESET.retryMs,
      bufferBytes: options.bufferBytes ?? PRESET.bufferBytes,
    };
    this.#WebSocket = webSocketClass(options.WebSocket);
    this.#servers = [url].flat().map((given) => ({ given, url: feedUrl(given) }));
    if (this.#servers.length === 0) throw new TypeError('url: no server is named');
    this.#backoff = new Backoff(this.#servers.length, this.#options.retryMs);
    this.#server = this.server;
    options.signal?.addEventListener('abort', this.#onAbort);
  }

  get aborted(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  /** The server whose turn it is. */
  get server(): Server {
    return this.#servers[this.#backoff.server] as Server;
  }

  /** Opens a connection to `url`, of the server whose turn it is. */
  open(url: URL): Connection {
    const { token } = this.#options;
    this.#server = this.server;
    this.#url = url.href;
    this.#beganAt = undefined;
    this.#connection = token === undefined ? this.#connect(url) : this.#connectWith(token, url);
    if (this.aborted) this.#connection.close();
    return this.#connection;
  }

  /** The feed has begun over the connection. */
  began(): void {
    this.#beganAt = performance.now();
    this.#everBegan = true;
    this.#refused.clear();
  }

  /**
   * The connection is lost: tells so, and waits until it is time for the next. `said`: by the server, last of all. Throws FeedError where trying again will not help,
   * and what `onFailure` throws.
   */
  async lost(ended: Ending, said?: Problem): Promise<void> {
    if (ended.reason === 'slow') {
      this.#tell(ended, 0);
      return;
    }
    const ending = await this.#explained(ended);
    if (this.aborted) return;
    this.#throwIfFinal(ending, said ?? ending.problem);
    const worked = this.#beganAt === undefined ? 0 : performance.now() - this.#beganAt;
    const retryInMs = this.#backoff.failed(worked, ending.retryAfterMs);
    this.#tell(
      said === undefined ? ending : { ...ending, text: `${ending.text}: ${said.text}`, problem: said },
      retryInMs,
    );
    await pause(retryInMs, this.#options.signal);
  }

  close(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#connection?.close();
  }

  readonly #onAbort = (): void => this.#connection?.close();

  #connect(url: URL, headers?: Readonly<Record<string, string>>): Connection {
    const { webSocketOptions, openMs, silenceMs, bufferBytes } = this.#options;
    const options =
      headers === undefined
        ? webSocketOptions
        : { ...webSocketOptions, headers: { ...headersOf(webSocketOptions), ...headers } };
    return new Connection({
      url: url.href,
      WebSocket: this.#WebSocket,
      options,
      openMs,
      silenceMs,
      bufferBytes,
    });
  }

  /** The token as a header, or, where the WebSocket takes none, in the URL: browsers say so at once. */
  #connectWith(token: string, url: URL): Connection {
    try {
      return this.#connect(url, authorization(token));
    } catch {
      // As below.
    }
    const withToken = new URL(url);
    withToken.searchParams.set('token', token);
    return this.#connect(withToken);
  }

  /** What an HTTP request is told, where the WebSocket says no more than that there was no connection. */
  async #explained(ending: Ending): Promise<Ending> {
    const inBrowser = 'location' in globalThis && globalThis.location !== undefined;
    if (ending.reason !== 'unreachable' || inBrowser || this.#connection?.tellsRefusals) return ending;
    const { token, signal } = this.#options;
    return (await askWhy(this.#url, token === undefined ? {} : authorization(token), signal)) ?? ending;
  }

  #throwIfFinal(ending: Ending, problem: Problem | undefined): void {
    const { status = 0, code, text, cause } = ending;
    const isClientError = status >= 400 && status < 500 && !PASSING_STATUSES.includes(status);
    const said = problem === undefined ? text : problem.text;
    const at = `${this.#server.given}: ${said}`;
    if (FATAL_CODES.includes(code) || (isClientError && problem !== undefined))
      throw new FeedError(problem?.code ?? `closed_${code}`, at, problem?.detail, { cause });
    if (!isClientError || this.#everBegan) return;
    // A wrong path, perhaps; unless another server is there to do better.
    this.#refused.add(this.#server);
    if (this.#refused.size === this.#servers.length)
      throw new FeedError('refused', at, { status }, { cause });
  }

  #tell({ reason, text, status, code, problem, cause }: Ending, retryInMs: number): void {
    const failure: FeedFailure = {
      url: this.#server.given,
      reason,
      text,
      opened: this.#connection?.wasOpen ?? false,
      attempt: this.#backoff.attempts,
      retryInMs,
      ...(status === undefined ? {} : { status }),
      ...(code === undefined ? {} : { code }),
      ...(problem === undefined ? {} : { problem: problem.code }),
      ...(cause === undefined ? {} : { cause }),
    };
    this.#options.onFailure?.(failure);
  }
}

function headersOf(options: object | undefined): object {
  return (options as { headers?: object } | undefined)?.headers ?? {};
}

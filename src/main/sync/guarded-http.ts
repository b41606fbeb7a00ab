/**
 * GET requests to places that strangers named. A name is resolved here, each address that it has is looked at, and the
 * connection goes to those very addresses: a name that resolves to something else a moment later gains nothing. Redirects
 * are looked at in the same way.
 */

import { lookup } from 'node:dns/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { raceSignal } from 'race-signal';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { CheckContext } from '../../shared/messages/context.js';
import { requiredUrl } from '../../shared/messages/data-hub-url.js';
import { addressScope, isPrivateHost, isReservedAddress } from '../../shared/net/ip.js';
import { QUEUES } from '../../shared/queues.js';
import { withoutSecrets } from '../../shared/redaction.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceSpan } from '../../shared/tracing/types.js';

/** The address, or the one behind a name or redirect, is not one that strangers may send this server to. */
export class InsideAddressError extends Error {
  override readonly name = 'InsideAddressError';
}

/** There was no whole answer in time. */
export class LateAnswerError extends Error {
  override readonly name = 'LateAnswerError';
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** An address of a name. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** What a name resolves to. Rejects where it is unknown. */
export type Resolve = (name: string) => Promise<readonly ResolvedAddress[]>;

export interface GuardedHttpOptions {
  /** Whose `allowPrivateUrls` (p2p_allow_private_ips) and blacklist hold for every hop. */
  readonly context: CheckContext;
  /**
   * p2p_refuse_reserved_addresses.
   * @default false
   */
  readonly refuseReserved?: boolean;
  /**
   * For data hubs on this very machine, such as a test's: what a peer names must not lead to the operator's own services.
   * @default false
   */
  readonly allowLoopback?: boolean;
  /**
   * @default the system's resolver
   */
  readonly resolve?: Resolve;
  /**
   * Milliseconds for a request with all its redirects.
   * @default 2_000
   */
  readonly timeoutMs?: number;
  /**
   * Bytes of a body at the most.
   * @default 65_536
   */
  readonly maxBytes?: number;
  /**
   * Requests under way at the most, and as many lookups.
   * @default 8
   */
  readonly maxConcurrent?: number;
  /** Undefined: no request is traced. Whom strangers named is told of no trace. */
  readonly tracers?: Pick<Tracers, 'tracer'> | undefined;
}

const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export class GuardedHttp {
  readonly #context: CheckContext;
  readonly #refuseReserved: boolean;
  readonly #allowLoopback: boolean;
  readonly #resolve: Resolve;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;
  readonly #maxConcurrent: number;
  readonly #tracers: Pick<Tracers, 'tracer'> | undefined;
  #requests = 0;
  /** The system's lookups cannot be given up: what was asked for is counted until it ends. */
  #lookups = 0;

  constructor(options: GuardedHttpOptions) {
    this.#context = options.context;
    this.#tracers = options.tracers;
    this.#refuseReserved = options.refuseReserved ?? false;
    this.#allowLoopback = options.allowLoopback ?? false;
    this.#resolve = options.resolve ?? ((name) => lookup(name, { all: true }));
    this.#timeoutMs = options.timeoutMs ?? QUEUES.dataHubChecks.bounds.requestMs;
    this.#maxBytes = options.maxBytes ?? 65_536;
    this.#maxConcurrent = options.maxConcurrent ?? QUEUES.dataHubChecks.bounds.atOnce;
  }

  /**
   * The answer to a GET, after at most three redirects. Rejects with InsideAddressError, with LateAnswerError, with Refusal for what is
   * no data hub's URL, with UnavailableError while too many are under way, with the signal's reason, or with what Node throws.
   */
  async get(url: string, signal?: AbortSignal): Promise<HttpAnswer> {
    if (this.#requests >= this.#maxConcurrent) throw new UnavailableError('too many requests are under way');
    this.#requests++;
    const ending = new AbortController();
    const give = (): void => ending.abort(signal?.reason);
    const timer = setTimeout(
      () => ending.abort(new LateAnswerError(`no answer within ${this.#timeoutMs} ms`)),
      this.#timeoutMs,
    );
    signal?.addEventListener('abort', give, { once: true });
    if (signal?.aborted) give();
    try {
      return await raceSignal(this.#follow(url, ending.signal), ending.signal);
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', give);
      this.#requests--;
    }
  }

  async #follow(start: string, signal: AbortSignal): Promise<HttpAnswer> {
    let url = new URL(requiredUrl(start, this.#context));
    for (let hop = 0; ; hop++) {
      const answer = await this.#traced(url, signal);
      if (typeof answer !== 'string') return answer;
      if (hop === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`);
      url = new URL(requiredUrl(new URL(answer, url).href, this.#context));
    }
  }

  async #traced(url: URL, signal: AbortSignal): Promise<HttpAnswer | string> {
    const span = this.#tracers?.tracer?.start('GET', {
      kind: 'client',
      values: {
        'http.request.method': 'GET',
        'url.full': withoutSecrets(url.href),
        'server.address': url.hostname.replace(/^\[|\]$/g, ''),
        'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      },
    });
    try {
      const answer = await this.#request(url, await this.#addressesOf(url.hostname, signal), signal, span);
      span?.end();
      return answer;
    } catch (error) {
      const why = signal.aborted ? signal.reason : error;
      span?.fail(why instanceof Error ? why.name : 'error', errorMessage(why));
      span?.end();
      throw error;
    }
  }

  /** Where a host is, every address of it allowed: one that is half inside is not trusted with the other half. */
  async #addressesOf(hostname: string, signal: AbortSignal): Promise<readonly ResolvedAddress[]> {
    const host = hostname.replace(/^\[|\]$/g, '');
    const family = isIP(host);
    const addresses = family === 0 ? await this.#lookedUp(host, signal) : [{ address: host, family }];
    if (addresses.length === 0) throw new Error('the name has no address');
    for (const { address } of addresses) this.#check(address);
    return addresses;
  }

  #check(address: string): void {
    const scope = addressScope(address);
    if (scope === 'public') return;
    const inside =
      (scope === 'private' && !(this.#refuseReserved && isReservedAddress(address))) ||
      (scope === 'loopback' && this.#allowLoopback);
    if (inside && this.#context.allowPrivateUrls) return;
    throw new InsideAddressError(`the address is ${scope ?? 'none'} and not public`);
  }

  async #lookedUp(name: string, signal: AbortSignal): Promise<readonly ResolvedAddress[]> {
    if (!this.#context.allowPrivateUrls && isPrivateHost(name)) {
      throw new InsideAddressError('the name is one of this machine');
    }
    if (this.#lookups >= this.#maxConcurrent) throw new UnavailableError('too many lookups are under way');
    this.#lookups++;
    const found = this.#resolve(name).finally(() => {
      this.#lookups--;
    });
    return raceSignal(found, signal);
  }

  /** The answer, or where it redirects to. */
  #request(
    url: URL,
    addresses: readonly ResolvedAddress[],
    signal: AbortSignal,
    span: TraceSpan | undefined,
  ): Promise<HttpAnswer | string> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const { request } = url.protocol === 'https:' ? https : http;
      const asked = request(url, {
        // One of its own: no connection of an earlier look is used again, and no proxy is asked.
        agent: false,
        signal,
        headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'teranode-p2p' },
        // What was checked above, whatever the name is now. Node asks for one address or for all.
        lookup: (_, { all }, callback) => {
          const [first] = addresses;
          if (all === true)
            callback(
              null,
              addresses.map(({ address, family }) => ({ address, family })),
            );
          else callback(null, first?.address ?? '', first?.family ?? 0);
        },
      });
      // To the end: one that comes after the answer is nobody's, and must not end the process.
      asked.on('error', reject);
      // An answer that switches protocols ends the connection without another word.
      let answered = false;
      asked.once('close', () => {
        if (!answered) reject(new Error('the connection ended without an answer'));
      });
      asked.once('response', (response) => {
        answered = true;
        response.on('error', reject);
        const status = response.statusCode ?? 0;
        span?.set({ 'http.response.status_code': status });
        if (status >= 400) span?.fail(String(status));
        const { location } = response.headers;
        if (REDIRECTS.has(status) && location !== undefined) {
          resolve(location);
          asked.destroy();
          return;
        }
        this.#read(response).then((body) => resolve({ status, body }), reject);
      });
      asked.end();
    });
  }

  async #read(response: IncomingMessage): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    // Leaving the loop ends the connection.
    for await (const part of response) {
      size += (part as Buffer).length;
      if (size > this.#maxBytes) throw new Error(`the answer has more than ${this.#maxBytes} bytes`);
      parts.push(part as Buffer);
    }
    return Buffer.concat(parts);
  }
}

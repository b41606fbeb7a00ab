/** What a request for the feed may have, by the token that it brings. */

import { timingSafeEqual } from 'node:crypto';
import { FeedProblem } from '../../shared/firehose/problems.js';
import type { FeedEndpoint, FeedRequest } from '../../shared/firehose/request.js';
import { ANONYMOUS, type FeedToken, hashOfToken, kindNames } from '../../shared/firehose/tokens.js';

export interface TokenRequest {
  readonly request: FeedRequest;
  /** The header; empty where there is none. */
  readonly authorization: string;
  readonly endpoint: FeedEndpoint;
}

/** What is granted. */
export interface Grant {
  /** As it was asked for, but for the kinds, which are those that the token allows. */
  readonly request: FeedRequest;
  /** Name of the token; empty where none is needed here. */
  readonly token: string;
  /** What `hello` tells: names of the kinds that the token allows, and connections at once; undefined: any. */
  readonly kinds?: readonly string[];
  readonly connections?: number;
}

interface Known extends FeedToken {
  readonly digest: Buffer;
}

const BEARER = /^bearer +(\S+) *$/i;

export class Tokens {
  #known: readonly Known[] | undefined;
  #anonymous: FeedToken | undefined;
  /** Names that stand for another token since the last `set`. */
  #replaced: ReadonlySet<string> = new Set();

  /** `tokens` as `set` takes them. */
  constructor(tokens: readonly FeedToken[] | undefined) {
    this.set(tokens);
  }

  /** Those that count from now on; undefined: everybody may have everything. */
  set(tokens: readonly FeedToken[] | undefined): void {
    const former = new Map(this.#known?.map(({ name, hash }) => [name, hash]));
    this.#replaced = new Set(
      tokens?.flatMap(({ name, hash }) => ((former.get(name) ?? hash) === hash ? [] : [name])),
    );
    this.#anonymous = tokens?.find(({ name }) => name === ANONYMOUS);
    this.#known = tokens
      ?.filter(({ name }) => name !== ANONYMOUS)
      .map((token) => ({ ...token, digest: Buffer.from(token.hash, 'hex') }));
  }

  /** Throws FeedProblem: `token_missing`, `token_unknown`, `not_allowed`, or `bad_parameter` where header and parameter differ. */
  admit(asked: TokenRequest): Grant {
    const { request, endpoint } = asked;
    if (this.#known === undefined) return { request, token: '' };
    const { name, kinds, connections, replay } = this.#tokenOf(presented(asked), this.#known);
    if (!replay && (!isLive(endpoint) || (request.start !== undefined && request.start.type !== 'now')))
      throw new FeedProblem('not_allowed', 'the token has no history: ask without cursor and since');
    if (kinds === undefined) return { request, token: name, ...limit(connections) };
    const names = kindNames(kinds);
    // An archive has all kinds.
    if (endpoint === 'segments' || request.kinds?.some((kind) => !kinds.includes(kind)))
      throw new FeedProblem('not_allowed', `the token allows ${names.join(', ')} alone`, { kinds: names });
    return {
      request: { ...request, kinds: request.kinds ?? kinds },
      token: name,
      kinds: names,
      ...limit(connections),
    };
  }

  /** Whether who was granted something before the last `set` by the token that had this name may still have it; empty: without one. */
  holds(name: string): boolean {
    if (this.#known === undefined) return true;
    if (this.#replaced.has(name)) return false;
    return name === ANONYMOUS
      ? this.#anonymous !== undefined
      : this.#known.some((each) => each.name === name);
  }

  #tokenOf(token: string | undefined, known: readonly Known[]): FeedToken {
    if (token === undefined) {
      if (this.#anonymous === undefined) throw new FeedProblem('token_missing');
      return this.#anonymous;
    }
    const digest = Buffer.from(hashOfToken(token), 'hex');
    // All of them, whichever it is: how long it takes tells nothing.
    const [found] = known.filter((each) => timingSafeEqual(each.digest, digest));
    if (found === undefined) throw new FeedProblem('token_unknown');
    return found;
  }
}

const limit = (connections: number | undefined) => (connections === undefined ? {} : { connections });

const isLive = (endpoint: FeedEndpoint): boolean => endpoint === 'websocket' || endpoint === 'sse';

/** The token of the header, or of the parameter. Credentials of another scheme are a proxy's. */
function presented({ authorization, request }: TokenRequest): string | undefined {
  const header = BEARER.exec(authorization)?.[1];
  if (header !== undefined && request.token !== undefined && header !== request.token)
    throw new FeedProblem('bad_parameter', 'token is another than that of the header', {
      parameter: 'token',
    });
  return header ?? request.token;
}

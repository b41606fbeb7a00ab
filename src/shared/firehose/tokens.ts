/** The file of tokens with which consumers may have the feed: `p2p_feed_tokens_file`. */

import { createHash, randomBytes } from 'node:crypto';
import { FRAME_KINDS } from '../messages/index.js';

/** What one token allows. Plain data, which crosses processes; the token itself is in nobody's hands but its owner's. */
export interface FeedToken {
  /** For logs and metrics; `anonymous`: of who brings none. */
  readonly name: string;
  /** SHA-256 of the token in hex; empty for `anonymous`. */
  readonly hash: string;
  /** At once, over all processes of the server; undefined: any number. */
  readonly connections?: number;
  /** Ids, ascending; undefined: all. */
  readonly kinds?: readonly number[];
  /** Whether it may have what was before it came. */
  readonly replay: boolean;
}

/** Name of the line that is for who brings no token. */
export const ANONYMOUS = 'anonymous';

/** In a file. */
const MAX_TOKENS = 1000;
const MAX_TEXT = 1_048_576;
const NAME = /^[\w.-]{1,64}$/;
const HASH = /^[0-9a-f]{64}$/;
const TOKEN_BYTES = 32;

/** A new token: 256 random bits. */
export function newToken(): string {
  return `p2p_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
}

/** What the file has of a token. */
export function hashOfToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/** A line of the file. */
export function tokenLine({ name, hash, connections, kinds, replay }: FeedToken): string {
  const limits = [
    connections === undefined ? '' : `connections=${connections}`,
    kinds === undefined ? '' : `kinds=${kindNames(kinds).join(',')}`,
    replay ? '' : 'replay=no',
  ].filter((limit) => limit !== '');
  return `${name}:${hash === '' ? '-' : hash}:${limits.join(' ')}`;
}

/** Connections at the most by the name of a token; of one that is not in it any number. */
export function connectionLimits(tokens: readonly FeedToken[] = []): ReadonlyMap<string, number> {
  return new Map(
    tokens.flatMap(({ name, connections }) => (connections === undefined ? [] : [[name, connections]])),
  );
}

/** Names of the kinds with these ids. */
export function kindNames(ids: readonly number[]): readonly string[] {
  return FRAME_KINDS.filter(({ id }) => ids.includes(id)).map(({ name }) => name);
}

/**
 * The tokens in a file's text: `name:hash:limits` a line, limits separated by blanks; what begins with `#` and empty lines count for nothing. Throws
 * RangeError, which names the line and nothing of what is in it but a name, on the first that is none, and where there is no token at all.
 */
export function parseTokens(text: string): readonly FeedToken[] {
  if (text.length > MAX_TEXT) throw new RangeError('is longer than 1 MiB');
  const tokens: FeedToken[] = [];
  const taken = new Map<string, number>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const at = index + 1;
    const token = parseLine(line.trim(), at);
    for (const key of [`name ${token.name}`, `hash ${token.hash}`]) {
      const earlier = taken.get(key);
      if (earlier !== undefined)
        throw new RangeError(`line ${at} has the ${key.split(' ')[0]} of line ${earlier}`);
      taken.set(key, at);
    }
    tokens.push(token);
  }
  if (tokens.length === 0) throw new RangeError('holds no token');
  if (tokens.length > MAX_TOKENS) throw new RangeError(`holds more than ${MAX_TOKENS} tokens`);
  return tokens;
}

function parseLine(line: string, at: number): FeedToken {
  const parts = line.split(':');
  const [name = '', hash = '', limits = ''] = parts;
  if (parts.length < 2 || parts.length > 3 || !NAME.test(name))
    throw new RangeError(`line ${at} is not name:hash:limits`);
  const anonymous = name === ANONYMOUS;
  if (anonymous ? hash !== '-' : !HASH.test(hash))
    throw new RangeError(
      `line ${at}, ${name}: ${anonymous ? 'has a hash, which must be -' : 'the hash is not 64 hex digits in lower case'}`,
    );
  return { name, hash: anonymous ? '' : hash, replay: true, ...parseLimits(limits, `line ${at}, ${name}`) };
}

function parseLimits(text: string, where: string): Partial<FeedToken> {
  const limits: { connections?: number; kinds?: readonly number[]; replay?: boolean } = {};
  for (const limit of text.split(/\s+/).filter((each) => each !== '')) {
    const [name = '', value = ''] = limit.split('=');
    if (Object.hasOwn(limits, name)) throw new RangeError(`${where}: ${name} is there twice`);
    switch (name) {
      case 'connections':
        if (!/^[1-9]\d{0,6}$/.test(value))
          throw new RangeError(`${where}: connections must be a number from 1`);
        limits.connections = Number(value);
        break;
      case 'kinds':
        limits.kinds = value
          .split(',')
          .map((each) => kindId(each, where))
          .sort((a, b) => a - b);
        break;
      case 'replay':
        if (value !== 'yes' && value !== 'no') throw new RangeError(`${where}: replay must be yes or no`);
        limits.replay = value === 'yes';
        break;
      default:
        throw new RangeError(`${where}: there are connections, kinds and replay, and nothing else`);
    }
  }
  return limits;
}

function kindId(name: string, where: string): number {
  const kind = FRAME_KINDS.find((each) => each.name === name);
  if (kind === undefined) {
    throw new RangeError(
      `${where}: kinds must be some of ${FRAME_KINDS.map((each) => each.name).join(', ')}`,
    );
  }
  return kind.id;
}

/** What the server is asked for. */

import type { FeedOptions } from './options.js';

const ENDPOINT = '/p2p-ws';
const SCHEMES: Readonly<Record<string, string>> = {
  'http:': 'ws:',
  'https:': 'wss:',
  'ws:': 'ws:',
  'wss:': 'wss:',
};

/** The WebSocket URL of a server as it was given. Throws TypeError where it is none. */
export function feedUrl(given: string): URL {
  const url = new URL(given);
  const scheme = SCHEMES[url.protocol];
  if (scheme === undefined) throw new TypeError(`${given} is no URL of ws:, wss:, http: or https:`);
  // Between http and ws a URL's scheme may be set, in some browsers not.
  const changed = new URL(url.href.replace(/^[a-z]+:/, scheme));
  changed.hash = '';
  if (changed.pathname === '/') changed.pathname = ENDPOINT;
  return changed;
}

/** `since` as the server takes it. Throws RangeError where it is no time. */
export function sinceText(since: FeedOptions['since']): string | undefined {
  if (since === undefined || typeof since === 'string') return since;
  return new Date(since).toISOString();
}

/** `url` with what is asked of it; `start` is the place to go on from. */
export function requestUrl(
  url: URL,
  { kinds, peers, strict, batch, gzip }: FeedOptions,
  start: readonly [string, string] | undefined,
): URL {
  const asked = new URL(url);
  const { searchParams } = asked;
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined) searchParams.set(name, value);
  };
  set('meta', 'true');
  set('kinds', kinds?.join(','));
  set('peers', peers?.join(','));
  set('strict', strict ? 'true' : undefined);
  set('batch', batch === undefined ? undefined : String(batch));
  set('encoding', gzip ? 'gzip' : undefined);
  if (start !== undefined) set(...start);
  return asked;
}

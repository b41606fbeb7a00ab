/** Where a feed is, and what to type where it is not there. */

import { InvalidArgumentError, Option } from 'commander';
import { hostAndPort } from '../../shared/net/listen-address.js';
import type { Settings } from '../../shared/settings/table.js';
import { CommandError } from './context.js';
import { printable } from './terminal.js';

const FEED_PATH = '/p2p-ws';
const EXAMPLE = `ws://localhost:9906${FEED_PATH}`;

/** The URL of a feed. What else was typed is refused with what to type. */
export function urlArgument(text: string): string {
  const typed = /^[a-z][\w+.-]*:\/\//i.test(text) ? text : `ws://${text}`;
  const url = URL.canParse(typed) ? new URL(typed) : undefined;
  const scheme = SCHEMES[url?.protocol ?? ''];
  if (url === undefined || scheme === undefined) {
    throw new InvalidArgumentError(`Type a URL such as --url ${EXAMPLE}`);
  }
  if (typed === text && url.protocol === `${scheme}:` && url.hash === '') return text;
  throw new InvalidArgumentError(`Type --url ${feedAt(url, scheme)}`);
}

/** By the protocol that was typed. */
const SCHEMES: Readonly<Record<string, 'ws' | 'wss'>> = {
  'ws:': 'ws',
  'http:': 'ws',
  'wss:': 'wss',
  'https:': 'wss',
};

function feedAt({ host, pathname, search }: URL, scheme: 'ws' | 'wss'): string {
  return printable(`${scheme}://${host}${pathname === '/' ? FEED_PATH : pathname}${search}`);
}

/** Where the environment has the token. */
const TOKEN_VARIABLE = 'P2P_FEED_TOKEN';

/** `--token`. */
export function tokenOption(): Option {
  return new Option(
    '--token <token>',
    'where the feed wants one; ps shows it to all, the environment does not',
  )
    .env(TOKEN_VARIABLE)
    .argParser((text) => text.trim());
}

/** What `--token` and the environment gave; undefined: none. Throws CommandError, which does not have it, where it is none. */
export function tokenOf(given: string | undefined): string | undefined {
  if (given === undefined || given === '') return undefined;
  if (!/^[!-~]{1,256}$/.test(given))
    throw new CommandError('that is no token: type what teranode-p2p feed-token made, and nothing else');
  return given;
}

/** Why there is no feed: an HTTP status in its place, the server's own code, or the socket's error. */
interface NoFeed {
  readonly problem?: string;
  readonly status?: number;
  readonly cause?: unknown;
}

/** What is said where `feed` is not to be had: why, and what to type instead where that is known. */
export function noFeed(feed: string, why: string, failure: NoFeed): CommandError {
  const advice = adviceFor(feed, failure);
  const said = why.startsWith(feed) ? why : `${feed} cannot be reached: ${why}`;
  return new CommandError(advice === '' ? said : `${said}\n${advice}`);
}

/** Empty where nothing is known that would do. */
function adviceFor(feed: string, { problem, status, cause }: NoFeed): string {
  if (problem === 'token_missing')
    return `Give one with --token, or as ${TOKEN_VARIABLE} in the environment; whoever runs the server has them.`;
  if (problem === 'token_unknown') return 'Whoever runs the server has others.';
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  const url = new URL(feed);
  if (UNTRUSTED.test(code)) {
    return 'Its certificate is not trusted here: name its authority with NODE_EXTRA_CA_CERTS=<file>, or accept any with --insecure.';
  }
  if (status !== undefined) {
    return url.pathname === FEED_PATH
      ? ''
      : `Its feed may be elsewhere: --url ${feedAt(new URL('/', url), schemeOf(url))}`;
  }
  if (code === 'EPROTO' && url.protocol === 'wss:') return `It speaks no TLS: --url ${feedAt(url, 'ws')}`;
  if ((code === 'ECONNRESET' || code === 'HPE_INVALID_CONSTANT') && url.protocol === 'ws:') {
    return `It may speak TLS alone: --url ${feedAt(url, 'wss')}`;
  }
  return '';
}

const schemeOf = ({ protocol }: URL): 'ws' | 'wss' => (protocol === 'wss:' ? 'wss' : 'ws');
/** What Node says of certificates that it does not take. */
const UNTRUSTED = /CERT|UNABLE_TO|INVALID_CA/;

/** Where the settings say that the feed is. Throws CommandError where they do not. */
export function feedUrl({ p2p_httpAddress, securityLevelHTTP }: Settings): string {
  if (p2p_httpAddress === undefined) throw new CommandError('p2p_httpAddress is empty: no feed is named');
  return `${securityLevelHTTP === 1 ? 'wss' : 'ws'}://${hostAndPort(p2p_httpAddress)}${FEED_PATH}`;
}

/** Data hub URLs that strangers announce: this node and its neighbours will fetch from them. */

import { LRUCache } from 'lru-cache';
import { addressScope, canonicalIp, isPrivateHost } from '../net/ip.js';
import type { CheckContext } from './context.js';
import { Refusal } from './refusal.js';

declare const judged: unique symbol;

/** The URL of a data hub: one that parses, is printed as it is, and has at most 2,048 bytes. Whether it may be fetched depends on who fetches. */
export type DataHubUrl = string & { readonly [judged]: true };

const URL_MAX = 2048;
// All but Go's `unicode.IsPrint`: control and bidirectional characters, separators, spaces of other sorts than ASCII's.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
// Printable, but no part of a URL: parsers differ about them, and some end an attribute or a log's field.
const NO_URL = /[ "<>\\^`{|}]/;
const EVERY_NO_URL = /[ "<>\\^`{|}]/g;
const PLAIN = /^[!#-;=?-[\]_a-z~]*$/;

/** Whether `host`, as a WHATWG URL gives it (numeric spellings already made dotted), is not on the public network. */
function isInside(host: string): boolean {
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  if (name === 'localhost.localdomain' || isPrivateHost(name)) return true;
  const scope = addressScope(name);
  return scope !== undefined && scope !== 'public';
}

interface Judgement {
  /** What is wrong with it as a data hub. */
  readonly problem?: string;
  /** It is a good URL, but of an address that strangers cannot reach: what honest nodes' settings may come with. */
  readonly inside?: true;
  readonly host: string;
}

// Nodes announce the same few URLs over and over; what is wrong with a text never changes.
const JUDGED = new LRUCache<string, Judgement>({ max: 1024 });

/** What is wrong with `text` as a data hub, if anything. Its host must be public unless `allowPrivate`. */
function fault(text: string, allowPrivate: boolean): Judgement {
  const key = allowPrivate ? `+${text}` : text;
  let judgement = JUDGED.get(key);
  if (judgement === undefined) {
    judgement = judge(text, allowPrivate);
    JUDGED.set(key, judgement);
  }
  return judgement;
}

function judge(text: string, allowPrivate: boolean): Judgement {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { problem: 'does not parse', host: '' };
  }
  const host = url.hostname;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return { problem: 'is not http or https', host };
  if (!/^https?:\/\/[^/]/i.test(text) || NO_URL.test(host)) return { problem: 'has no host', host };
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/i.test(text)) {
    return { problem: 'carries credentials', host };
  }
  if (!allowPrivate && isInside(host)) {
    return { problem: 'is not on the public network', inside: true, host };
  }
  return { host };
}

/**
 * What nobody takes as a URL, whatever its scheme: a text past 2,048 bytes of UTF-8 or with unprintable characters. Undefined
 * where neither.
 */
export function printFault(text: string): string | undefined {
  if (Buffer.byteLength(text) > URL_MAX) return `is longer than ${URL_MAX} bytes`;
  return !PLAIN.test(text) && UNPRINTABLE.test(text) ? 'has unprintable characters' : undefined;
}

/** `text` with what is printable but no part of a URL percent-encoded, as Go's client sends it: `{` as `%7B`. */
export function escapedUrl(text: string): string {
  return NO_URL.test(text)
    ? text.replace(EVERY_NO_URL, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
    : text;
}

/** The text as it is judged and handed on. Throws Refusal `bad_field`, but never for a message of our own. */
function printable(text: string, { own }: CheckContext): DataHubUrl | '' {
  const problem = own ? undefined : printFault(text);
  if (problem !== undefined) throw new Refusal('bad_field', `a URL ${problem}`);
  return escapedUrl(text) as DataHubUrl | '';
}

/** What somebody told to be a data hub, where it is a URL of any scheme. */
export function parseDataHubUrl(text: string): DataHubUrl | undefined {
  return printFault(text) === undefined && URL.canParse(text) ? (escapedUrl(text) as DataHubUrl) : undefined;
}

/** A host in one spelling: without the root's dot, an IPv4-mapped address as IPv4. */
export function plainHost(host: string): string {
  const name = host.toLowerCase().replace(/\.{1,64}$/, '');
  return canonicalIp(name) ?? name;
}

function refuseBlacklisted(host: string, context: CheckContext): void {
  if (context.blacklistedHosts.length > 0 && context.blacklistedHosts.includes(plainHost(host))) {
    throw new Refusal('blacklisted', host);
  }
}

/**
 * The data hub of an announcement that others will fetch, percent-encoded where it must be. Throws Refusal: `bad_field` when too long or unprintable,
 * `unusable_hub` when empty or (unless allowed) not public, `bad_url` when not http(s) or with credentials, `blacklisted` by its host.
 * Our own may be empty or anywhere.
 */
export function requiredUrl(told: string, context: CheckContext): DataHubUrl | '' {
  const text = printable(told, context);
  if (context.own) return text;
  if (text === '') throw new Refusal('unusable_hub', 'no data hub URL');
  const { problem, inside, host } = fault(text, context.allowPrivateUrls);
  if (problem !== undefined) {
    throw new Refusal(inside ? 'unusable_hub' : 'bad_url', `the data hub URL ${problem}`);
  }
  refuseBlacklisted(host, context);
  return text;
}

/** A URL that is only shown: as `requiredUrl`, but a bad one becomes empty. */
export function shownUrl(told: string, context: CheckContext): DataHubUrl | '' {
  const text = printable(told, context);
  if (text === '' || context.own) return text;
  const { problem, host } = fault(text, context.allowPrivateUrls);
  if (problem !== undefined) return '';
  refuseBlacklisted(host, context);
  return text;
}

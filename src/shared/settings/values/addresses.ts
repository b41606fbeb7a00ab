/** Rows whose values are addresses: IP addresses, subnets, multiaddrs, and `host:port` to listen on or to dial. */

import { isIP } from 'node:net';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { base58btc } from 'multiformats/bases/base58';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { errorMessage } from '../../errors.js';
import { canonicalIp, parseSubnet } from '../../net/ip.js';
import {
  type DialAddress,
  type ListenAddress,
  parseDialAddress,
  parseListenAddress,
  parseServiceAddress,
} from '../../net/listen-address.js';
import { multiaddrHost } from '../../net/multiaddr.js';
import type { Default, Setting, SettingOptions } from '../setting.js';
import { entries, type ListOptions, list, needed, optional } from './basic.js';

/** `host:port` or `:port` to listen on; empty: not at all. */
export const listenAddress = (
  value: string,
  doc: string,
  options?: SettingOptions<string>,
): Setting<ListenAddress | undefined> => optional(value, doc, parseListenAddress, options);

/** The same of what is always listened on. */
export const neededListenAddress = (value: string, doc: string): Setting<ListenAddress> =>
  needed(value, doc, parseListenAddress, { required: 'always' });

/** `host:port` that a client dials; empty: none. */
export const dialAddress = (value: string, doc: string): Setting<DialAddress | undefined> =>
  optional(value, doc, parseDialAddress);

/** A gRPC service, as Go's names are written too (`k8s:///host:port`); empty: none. */
export const serviceAddress = (value: string, doc: string): Setting<DialAddress | undefined> =>
  optional(value, doc, parseServiceAddress);

const quoted = (text: string): string => JSON.stringify(text);

/** Addresses without a port. */
export const ipAddresses = (doc: string): Setting<readonly string[]> => list(doc, [], { entry: bareIp });

function bareIp(text: string): string {
  if (isIP(text) === 0) throw new RangeError(`${quoted(text)} is not a bare IP address`);
  return text;
}

/** Addresses and subnets; `also` is a word that is one of them. */
export const subnets = (
  doc: string,
  value: readonly string[] = [],
  { also }: { readonly also?: string } = {},
): Setting<readonly string[]> =>
  list(doc, value, {
    entry(text) {
      if (text.toLowerCase() === also || parseSubnet(text) !== undefined) return text;
      throw new RangeError(`${quoted(text)} is neither an address nor a subnet`);
    },
  });

/** Multiaddrs of peers, each ending in /p2p/<peer ID>. Held in canonical form. */
export const peerMultiaddrs = (
  doc: string,
  value: Default<readonly string[]> = [],
  options: Pick<ListOptions, 'emptyIsNone'> = {},
): Setting<readonly string[]> => list(doc, value, { ...options, entry: (text) => peerMultiaddr(text, true) });

/** The same, which must lead to a peer themselves: no `/dnsaddr` without its ID. */
export const directMultiaddrs = (doc: string): Setting<readonly string[]> =>
  list(doc, [], { entry: (text) => peerMultiaddr(text, false) });

function peerMultiaddr(text: string, dnsaddr: boolean): string {
  const address = parseMultiaddr(text);
  const components = address.getComponents();
  const behindName = components[0]?.name === 'dnsaddr';
  const last = components.at(-1);
  if (!(dnsaddr && behindName) && last?.name !== 'p2p') {
    throw new RangeError(`${quoted(text)} does not end in /p2p/<peer ID>`);
  }
  if (multiaddrHost(address) === undefined)
    throw new RangeError(`${quoted(text)}: begins with no address or host name`);
  if (!behindName && !isPeerId(last?.value ?? ''))
    throw new RangeError(`${quoted(text)}: does not end in /p2p/<peer ID>`);
  return address.toString();
}

/** What a peer ID is of its key: the key itself where that is short, of a longer one its SHA-256. */
const IDENTITY = 0x00;
const SHA2_256 = 0x12;

function isPeerId(text: string): boolean {
  try {
    const { code } = /^[1Q]/.test(text)
      ? Digest.decode(base58btc.decode(`z${text}`))
      : CID.parse(text).multihash;
    return code === IDENTITY || code === SHA2_256;
  } catch {
    return false;
  }
}

function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (error) {
    throw new RangeError(`${quoted(text)} is not a multiaddr: ${errorMessage(error)}`);
  }
}

/** What is told to peers: a multiaddr, or where `port` is to be p2p_port one that ends before the port's number. */
export interface AdvertisedAddress {
  /** As it was written. */
  readonly text: string;
  /** Canonical; ends in `/tcp` where `portless`. */
  readonly multiaddr: string;
  /** No port was written. */
  readonly portless: boolean;
}

/** Multiaddrs, or addresses and host names with or without a port. */
export function advertisedAddresses(doc: string): Setting<readonly AdvertisedAddress[]> {
  return {
    type: 'list',
    default: [],
    doc,
    emptyIsDefault: true,
    parse: (text) => entries(text, parseAdvertised),
    format: (value) => value.map(({ text }) => text).join('|'),
  };
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

function parseAdvertised(text: string): AdvertisedAddress {
  if (text.startsWith('/')) {
    const address = parseMultiaddr(text);
    if (multiaddrHost(address) === undefined)
      throw new RangeError(`${quoted(text)}: begins with no address or host name`);
    return { text, multiaddr: address.toString(), portless: false };
  }
  const bare = isIP(text) !== 0;
  const portless = bare || !/:\d+$/.test(text);
  const { host = '', port } = bare
    ? { host: text, port: 0 }
    : parseListenAddress(portless ? `${text}:0` : text);
  const multiaddr = `${hostMultiaddr(text, host)}/tcp`;
  return { text, multiaddr: portless ? multiaddr : `${multiaddr}/${port}`, portless };
}

function hostMultiaddr(text: string, host: string): string {
  const address = canonicalIp(host);
  if (address !== undefined) return `/ip${isIP(address)}/${address}`;
  // All digits and dots is a mistyped address, not a name.
  if (!HOST_NAME.test(host) || /^[\d.]+$/.test(host))
    throw new RangeError(`${quoted(text)}: is neither an address nor a host name`);
  return `/dns4/${host.replace(/\.$/, '').toLowerCase()}`;
}

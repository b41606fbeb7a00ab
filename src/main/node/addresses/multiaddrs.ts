/** Which addresses the node listens on and which it tells to peers. */

import { isIP } from 'node:net';
import { peerIdFromString } from '@libp2p/peer-id';
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { ConfigurationError, errorMessage } from '../../../shared/errors.js';
import { addressScope, canonicalIp, isPrivateHost, sourceOf } from '../../../shared/net/ip.js';
import type { SettingKey, Settings } from '../../../shared/settings/table.js';

/** Where a multiaddr leads first: for a relayed one, the relay. */
export type MultiaddrHost =
  | { readonly kind: 'ip'; readonly address: string }
  /** `family` 0: either. */
  | { readonly kind: 'dns'; readonly name: string; readonly family: 0 | 4 | 6 };

/** The first host of a multiaddr, an address in canonical form; undefined when it names none. */
export function multiaddrHost(address: Multiaddr): MultiaddrHost | undefined {
  for (const { name, value } of address.getComponents()) {
    if (value === undefined) continue;
    switch (name) {
      case 'ip4':
      case 'ip6': {
        const canonical = canonicalIp(value);
        return canonical === undefined ? undefined : { kind: 'ip', address: canonical };
      }
      case 'dns':
      case 'dnsaddr':
        return { kind: 'dns', name: value, family: 0 };
      case 'dns4':
        return { kind: 'dns', name: value, family: 4 };
      case 'dns6':
        return { kind: 'dns', name: value, family: 6 };
      case 'ip6zone':
        continue;
      default:
        return undefined;
    }
  }
  return undefined;
}

/** The base58 ID of the peer at the end of a multiaddr; undefined when it names none, or what is no peer ID. */
export function multiaddrPeerId(address: Multiaddr): string | undefined {
  const last = address.getComponents().at(-1);
  if (last?.name !== 'p2p' || last.value === undefined) return undefined;
  try {
    return peerIdFromString(last.value).toString();
  } catch {
    return undefined;
  }
}

/** Whether the address goes through a relay. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit');
}

/** What a limit counts as one source: an IPv4 address, an IPv6 /64, or the relay through which somebody comes. */
export function multiaddrSource(address: Multiaddr): string | undefined {
  if (isRelayed(address)) {
    const relay = address.getComponents().find(({ name }) => name === 'p2p')?.value;
    return relay === undefined ? undefined : `relay ${relay}`;
  }
  const host = multiaddrHost(address);
  return host?.kind === 'ip' ? sourceOf(host.address) : undefined;
}

/** Whether the multiaddr's first host is one that strangers cannot reach. */
export function isPrivateMultiaddr(address: Multiaddr): boolean {
  const host = multiaddrHost(address);
  if (host === undefined) return false;
  return isPrivateHost(host.kind === 'ip' ? host.address : host.name);
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

interface HostPort {
  readonly host: string;
  readonly port: number | undefined;
}

function splitHostPort(text: string): HostPort {
  if (isIP(text) !== 0) return { host: text, port: undefined };
  const bracketed = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([^:]*)(?::(\d{1,5}))?$/.exec(text);
  if (plain === null) throw new RangeError('is neither an address, host:port nor a multiaddr');
  const port = plain[2] === undefined ? undefined : Number(plain[2]);
  if (port !== undefined && port > 65_535) throw new RangeError(`has a port above 65535`);
  if (bracketed !== null && isIP(plain[1] ?? '') !== 6)
    throw new RangeError('has no IPv6 address in its brackets');
  return { host: plain[1] ?? '', port };
}

/**
 * A TCP multiaddr from what operators write: a multiaddr, `address`, `address:port`, `[v6]:port`, `host` or `host:port`. Throws
 * RangeError saying what is wrong.
 */
export function tcpMultiaddr(text: string, defaultPort: number): Multiaddr {
  const trimmed = text.trim();
  if (trimmed.startsWith('/')) {
    const parsed = multiaddr(trimmed);
    if (multiaddrHost(parsed) === undefined) throw new RangeError('begins with no address or host name');
    return parsed;
  }
  const { host, port = defaultPort } = splitHostPort(trimmed);
  const address = canonicalIp(host);
  if (address !== undefined) return multiaddr(`/ip${isIP(address)}/${address}/tcp/${port}`);
  // All digits and dots is a mistyped address, not a name.
  if (!HOST_NAME.test(host) || /^[\d.]+$/.test(host))
    throw new RangeError('is neither an address nor a host name');
  return multiaddr(`/dns4/${host.replace(/\.$/, '').toLowerCase()}/tcp/${port}`);
}

function parseEach(
  key: SettingKey,
  entries: readonly string[],
  parse: (entry: string) => Multiaddr,
): string[] {
  const problems: string[] = [];
  const parsed = new Set<string>();
  for (const entry of entries) {
    if (entry.trim() === '') continue;
    try {
      parsed.add(parse(entry).toString());
    } catch (error) {
      problems.push(`${key}: ${JSON.stringify(entry)}: ${errorMessage(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return [...parsed];
}

/**
 * Multiaddrs to listen on. Without `p2p_listen_addresses`: in the first generation `p2p_ip` or every IPv4 address, in the current one
 * every address of either family. Throws ConfigurationError naming the setting.
 */
export function listenMultiaddrs(
  settings: Pick<Settings, 'p2p_generation' | 'p2p_listen_addresses' | 'p2p_ip' | 'p2p_port'>,
): string[] {
  const parse = (entry: string): Multiaddr => {
    const address = tcpMultiaddr(entry.trim() === 'localhost' ? '127.0.0.1' : entry, settings.p2p_port);
    if (multiaddrHost(address)?.kind !== 'ip')
      throw new RangeError('must be an address to listen on, not a name');
    return address;
  };
  const listed = parseEach('p2p_listen_addresses', settings.p2p_listen_addresses, parse);
  if (listed.length > 0) return listed;
  const first = settings.p2p_generation === 'first';
  if (first && settings.p2p_ip.trim() !== '') return parseEach('p2p_ip', [settings.p2p_ip], parse);
  const any = first ? ['0.0.0.0'] : ['0.0.0.0', '::'];
  return any.map((entry) => parse(entry).toString());
}

/**
 * Multiaddrs told to peers in place of the listening ones; empty for none given, and in silent mode. A bare address gets
 * `p2p_port`. Throws ConfigurationError naming the entry.
 */
export function announceMultiaddrs(
  settings: Pick<Settings, 'listen_mode' | 'p2p_advertise_addresses' | 'p2p_port'>,
): string[] {
  const announced = parseEach('p2p_advertise_addresses', settings.p2p_advertise_addresses, (entry) => {
    const address = tcpMultiaddr(entry, settings.p2p_port);
    if (address.getComponents().some(({ name, value }) => name === 'tcp' && value === '0')) {
      throw new RangeError('needs a port, since p2p_port is 0');
    }
    return address;
  });
  return settings.listen_mode === 'silent' ? [] : announced;
}

/**
 * What libp2p passes the addresses through before it tells them. Silent: none. Advertised addresses pass as they are; others without
 * the wildcard and, unless `p2p_share_private_addresses`, without those that strangers cannot reach.
 */
export function announceFilter(
  settings: Pick<
    Settings,
    'listen_mode' | 'p2p_advertise_addresses' | 'p2p_share_private_addresses' | 'p2p_port'
  >,
): (addresses: Multiaddr[]) => Multiaddr[] {
  if (settings.listen_mode === 'silent') return () => [];
  const explicit = new Set(announceMultiaddrs(settings));
  return (addresses) =>
    addresses.filter((address) => {
      if (explicit.has(address.toString()) || explicit.has(address.decapsulateCode(CODE_P2P).toString()))
        return true;
      const host = multiaddrHost(address);
      if (host?.kind === 'ip' && addressScope(host.address) === 'unspecified') return false;
      return settings.p2p_share_private_addresses || !isPrivateMultiaddr(address);
    });
}

/** What libp2p says when it cannot listen, as problems of the settings; any other error as it is. */
export function listenRefusal(
  error: unknown,
  settings: Pick<Settings, 'p2p_generation' | 'p2p_listen_addresses' | 'p2p_port'>,
): unknown {
  if (!(error instanceof Error) || error.name !== 'UnsupportedListenAddressesError') return error;
  const refused = [
    ...error.message.matchAll(/^\s*\/ip[46]\/([^/\s]+)\/tcp\/(\d+)\S*: .*?(?:\b(E[A-Z]{3,})\b|$)/gm),
  ];
  const older = settings.p2p_generation === 'first' && settings.p2p_listen_addresses.length === 0;
  const hosts = older ? 'p2p_ip' : 'p2p_listen_addresses';
  const problems = refused.map(([, host = '', port = '', code = 'no reason was given']) => {
    if (code === 'EADDRINUSE') return `p2p_port: port ${port} of ${host} is in use`;
    if (code === 'EADDRNOTAVAIL') return `${hosts}: ${host} is no address of this machine`;
    return `p2p_port: cannot listen on port ${port} of ${host}: ${code}`;
  });
  return problems.length > 0 ? new ConfigurationError(problems) : error;
}

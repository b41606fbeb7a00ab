/** Which addresses the node listens on and which it tells to peers. */

import { isIP } from 'node:net';
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr';
import { ConfigurationError } from '../../../shared/errors.js';
import { addressScope, canonicalIp } from '../../../shared/net/ip.js';
import { multiaddrHost } from '../../../shared/net/multiaddr.js';
import type { Settings } from '../../../shared/settings/table.js';
import { isPrivateMultiaddr } from './multiaddrs.js';

/**
 * Multiaddrs to listen on. Without `p2p_listen_addresses`: in the first generation `p2p_ip` or every IPv4 address, in the current one
 * every address of either family.
 */
export function listenMultiaddrs(
  settings: Pick<Settings, 'p2p_generation' | 'p2p_listen_addresses' | 'p2p_ip' | 'p2p_port'>,
): string[] {
  const first = settings.p2p_generation === 'first';
  const any = first ? [settings.p2p_ip || '0.0.0.0'] : ['0.0.0.0', '::'];
  const listed = settings.p2p_listen_addresses;
  const addresses = (listed.length > 0 ? listed : any).flatMap((text) => canonicalIp(text.trim()) ?? []);
  return [...new Set(addresses)].map((address) => `/ip${isIP(address)}/${address}/tcp/${settings.p2p_port}`);
}

/**
 * Multiaddrs told to peers in place of the listening ones; empty for none given, and in silent mode. One without a port gets
 * `p2p_port`.
 */
export function announceMultiaddrs(
  settings: Pick<Settings, 'listen_mode' | 'p2p_advertise_addresses' | 'p2p_port'>,
): string[] {
  if (settings.listen_mode === 'silent') return [];
  const announced = settings.p2p_advertise_addresses.map(({ multiaddr, portless }) =>
    portless ? `${multiaddr}/${settings.p2p_port}` : multiaddr,
  );
  return [...new Set(announced)];
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

/** What multiaddrs say: host, peer, relay. */

import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { isPrivateHost, sourceOf } from '../../../shared/net/ip.js';
import { multiaddrHost } from '../../../shared/net/multiaddr.js';

export { multiaddrHost } from '../../../shared/net/multiaddr.js';

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

/** Whether the address stands for others, which TXT records list. */
export function isDnsaddr(address: Multiaddr): boolean {
  return address.getComponents()[0]?.name === 'dnsaddr';
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

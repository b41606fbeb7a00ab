/** Who is never banned automatically, and which addresses go with a peer that is. */

import { LRUCache } from 'lru-cache';
import { AddressList, isLoopbackAddress } from '../../shared/net/ip.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import { bootstrapMultiaddrs } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';
import type { Connections } from '../node/connections/index.js';
import type { ConnectedPeer } from '../node/types.js';
import { hostOfMultiaddr } from './subject.js';

type ProtectionSettings = Pick<
  Settings,
  | 'p2p_static_peers'
  | 'p2p_generation'
  | 'p2p_bootstrap_peers'
  | 'p2p_bootstrapAddresses'
  | 'p2p_relay_peers'
  | 'p2p_allowed_addresses'
>;

/** Peers remembered that came from where nobody is banned. */
const MAX_MET = 1_000;

export interface BanProtection {
  /** Static, bootstrap and relay peers; those that are, or last were, connected from loopback or p2p_allowed_addresses. */
  isProtected(peerId: PeerIdText): boolean;
  /**
   * The peer is connected now: what it announced may be found invalid when it is not. Of more than 1,000 that came from protected
   * addresses the one that was met longest ago is forgotten.
   */
  met(peerId: PeerIdText): void;
  /**
   * The addresses from which a peer is connected, for a ban along with it: none through a relay, none that another peer
   * uses at the same time, for many sit behind one router.
   */
  addressesOf(peerId: PeerIdText): readonly string[];
}

/** The base58 peer IDs at the ends of multiaddrs. */
export function peerIdsOf(multiaddrs: readonly string[]): ReadonlySet<string> {
  const ids = multiaddrs.map((text) => parsePeerId(/\/p2p\/([^/]+)\/?$/.exec(text.trim())?.[1] ?? ''));
  return new Set(ids.filter((id) => id !== undefined));
}

/**
 * `connections` know also the static, bootstrap and relay peers that the settings name by a `/dnsaddr` alone. Throws RangeError on a bad entry of
 * p2p_allowed_addresses.
 */
export function createBanProtection(
  settings: ProtectionSettings,
  connections: Pick<Connections, 'peers' | 'isNamed'>,
): BanProtection {
  const allowed = new AddressList(settings.p2p_allowed_addresses);
  const configured = peerIdsOf([
    ...settings.p2p_static_peers,
    ...bootstrapMultiaddrs(settings),
    ...settings.p2p_relay_peers,
  ]);
  const addressOf = (peer: ConnectedPeer): string | undefined => {
    if (peer.address.includes('/p2p-circuit')) return undefined;
    const host = hostOfMultiaddr(peer.address);
    return host !== undefined && 'address' in host ? host.address : undefined;
  };
  const met = new LRUCache<string, true>({ max: MAX_MET });
  /** Undefined while it is not connected. */
  const isProtectedNow = (peerId: PeerIdText): boolean | undefined => {
    const open = connections.peers().filter(({ id }) => id === peerId);
    if (open.length === 0) return undefined;
    return open.some((peer) => {
      if (peer.trusted || peer.configured) return true;
      const address = addressOf(peer);
      return address !== undefined && (isLoopbackAddress(address) || allowed.has(address));
    });
  };
  return {
    isProtected: (peerId) =>
      configured.has(peerId) || connections.isNamed(peerId) || (isProtectedNow(peerId) ?? met.has(peerId)),
    met(peerId) {
      if (isProtectedNow(peerId) === true) met.set(peerId, true);
      else met.delete(peerId);
    },
    addressesOf(peerId) {
      const own = new Set<string>();
      const shared = new Set<string>();
      for (const peer of connections.peers()) {
        const address = addressOf(peer);
        if (address !== undefined) (peer.id === peerId ? own : shared).add(address);
      }
      return [...own].filter((address) => !shared.has(address) && !isLoopbackAddress(address));
    },
  };
}

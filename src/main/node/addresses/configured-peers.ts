/** Peers that the operator wrote down: static, bootstrap and relay peers. */

import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { bootstrapMultiaddrs, relayMultiaddrs } from '../../../shared/settings/generations.js';
import type { Settings } from '../../../shared/settings/table.js';
import { multiaddrPeerId } from './multiaddrs.js';

/** Base58 IDs of `p2p_bootstrapAddresses`, which GetPeers leaves out in both generations. */
export function olderBootstrapIds(settings: Pick<Settings, 'p2p_bootstrapAddresses'>): ReadonlySet<string> {
  return namedPeerIds(settings.p2p_bootstrapAddresses);
}

/** Base58 IDs named in the addresses. What a `/dnsaddr` leads to is known only once resolved. */
export function namedPeerIds(addresses: readonly string[]): ReadonlySet<string> {
  return new Set(addresses.flatMap((text) => multiaddrPeerId(multiaddr(text)) ?? []));
}

/** Multiaddrs of relays: those named; in the current generation else the bootstrap peers; none for a silent node. */
export function relayAddresses(settings: Settings): readonly string[] {
  if (settings.listen_mode === 'silent') return [];
  if (settings.p2p_generation === 'first' && settings.p2p_relay_peers.length === 0) return [];
  return relayMultiaddrs(settings);
}

/** Whether the node speaks with peers through relays at all: as Go, always in the current generation. */
export function isRelaying(settings: Settings): boolean {
  if (settings.listen_mode === 'silent') return false;
  return settings.p2p_generation === 'current' || relayAddresses(settings).length > 0;
}

/** Who is configured, before anything runs. IDs behind a `/dnsaddr` are added when it is resolved, before such a peer is dialled. */
export class ConfiguredPeers {
  readonly staticAddresses: readonly string[];
  readonly bootstrapAddresses: readonly string[];
  readonly relayAddresses: readonly string[];
  /** Base58, as those below. */
  readonly staticIds: Set<string>;
  readonly bootstrapIds: Set<string>;
  readonly relayIds: Set<string>;

  constructor(settings: Settings) {
    this.staticAddresses = [...new Set(settings.p2p_static_peers)];
    this.bootstrapAddresses = bootstrapMultiaddrs(settings);
    this.relayAddresses = relayAddresses(settings);
    this.staticIds = new Set(namedPeerIds(this.staticAddresses));
    this.bootstrapIds = new Set(namedPeerIds(this.bootstrapAddresses));
    this.relayIds = new Set(namedPeerIds(this.relayAddresses));
  }

  /** Static and bootstrap addresses. */
  get count(): number {
    return this.staticAddresses.length + this.bootstrapAddresses.length;
  }

  /** Static and bootstrap peers that are named by an ID, with their addresses, but for `self`, base58. */
  others(self: string): readonly { readonly id: PeerId; readonly addrs: Multiaddr[] }[] {
    const peers = new Map<string, Multiaddr[]>();
    for (const address of [...this.staticAddresses, ...this.bootstrapAddresses].map((text) =>
      multiaddr(text),
    )) {
      const id = multiaddrPeerId(address);
      if (id !== undefined && id !== self) peers.set(id, [...(peers.get(id) ?? []), address]);
    }
    return [...peers].map(([id, addrs]) => ({ id: peerIdFromString(id), addrs }));
  }

  /** Static or bootstrap. */
  isConfigured(peerId: string): boolean {
    return this.staticIds.has(peerId) || this.bootstrapIds.has(peerId);
  }

  /** Static, bootstrap or relay. */
  isNamed(peerId: string): boolean {
    return this.isConfigured(peerId) || this.relayIds.has(peerId);
  }
}

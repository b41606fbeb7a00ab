/**
 * Who may connect. Addresses are judged before the handshake, both ways; inbound peer IDs right after it, the first moment they
 * are known. libp2p's own inbound limits would come earlier and know no exemptions: they stand aside, see connection-limits.ts.
 */

import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { KeyedRate } from '../../shared/async/keyed-rate.js';
import type { Logger } from '../../shared/logging/logger.js';
import {
  AddressList,
  canonicalIp,
  isLoopbackAddress,
  isPrivateAddress,
  isReservedAddress,
  sourceOf,
} from '../../shared/net/ip.js';
import { bootstrapMultiaddrs } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';
import { isRelayed, multiaddrHost } from './addresses/multiaddrs.js';
import type { PeripheryMetrics } from './metrics/periphery-metrics.js';
import { Admission, type AdmissionLimit, type AdmissionOptions } from './peering/admission.js';
import { type RefusalReason, Refusals } from './peering/refusals.js';
import type { BanPolicy } from './types.js';

type GaterSettings = Pick<
  Settings,
  | 'p2p_allow_private_ips'
  | 'p2p_refuse_reserved_addresses'
  | 'p2p_allowed_addresses'
  | 'p2p_connections_per_address'
  | 'p2p_inbound_connections_per_second'
  | 'p2p_static_peers'
  | 'p2p_generation'
  | 'p2p_bootstrap_peers'
  | 'p2p_bootstrapAddresses'
  | 'p2p_relay_peers'
>;

export interface GaterInit {
  readonly bans: BanPolicy;
  readonly settings: GaterSettings;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'connectionsRefused'>;
  /** Loopback is limited in all alone: connections of this machine, and of a proxy on it, share one address. Default true. */
  readonly exemptLoopback?: boolean;
  /** Inbound connections at the most, those that are not limited besides. No bound unless given. */
  readonly slots?: number;
  /** Peers that are not limited wherever they come from, once they are known. */
  readonly isProtected?: (peerId: string) => boolean;
  /** Times of handshakes. */
  readonly handshakes?: Pick<AdmissionOptions, 'silenceMs' | 'handshakeMs'>;
  /** All addresses of a host name; the system's resolver unless told. */
  readonly resolve?: (name: string, family: 0 | 4 | 6) => Promise<readonly string[]>;
}

/** Addresses whose rate is remembered; the least recently seen starts anew. */
const MAX_RATED_ADDRESSES = 10_000;
/** A resolver that is slower than this decides nothing; the address is judged again once connected. */
const RESOLVE_TIMEOUT_MS = 2_000;

async function resolveBySystem(name: string, family: 0 | 4 | 6): Promise<readonly string[]> {
  const answers = await lookup(name, { all: true, family });
  return answers.map(({ address }) => address);
}

/** Hosts that the operator wrote down: private or not, they may be dialled. */
function configuredHosts(settings: GaterSettings): ReadonlySet<string> {
  const hosts = new Set<string>();
  for (const text of [
    ...settings.p2p_static_peers,
    ...bootstrapMultiaddrs(settings),
    ...settings.p2p_relay_peers,
  ]) {
    const host = multiaddrHost(multiaddr(text));
    if (host !== undefined) hosts.add(host.kind === 'ip' ? host.address : host.name);
  }
  return hosts;
}

/**
 * Whether a multiaddr names neither a host nor, as a relayed one may, a peer: strangers may tell us of `/unix/<path>`, and
 * libp2p's TCP transport would connect to that socket of this machine.
 */
function leadsNowhere(address: Multiaddr): boolean {
  return multiaddrHost(address) === undefined && address.getComponents()[0]?.name !== 'p2p';
}

/**
 * The address at the other end of the socket. A dialled name is resolved again by the operating system, perhaps to something else
 * than was judged. libp2p does not show the socket in its types, so this is read with care and its absence is no error.
 */
function socketAddress(connection: MultiaddrConnection): string | undefined {
  const { socket } = connection as { readonly socket?: { readonly remoteAddress?: unknown } };
  return typeof socket?.remoteAddress === 'string' ? canonicalIp(socket.remoteAddress) : undefined;
}

class Gater implements ConnectionGater {
  readonly #bans: BanPolicy;
  readonly #refusals: Refusals;
  readonly #allowPrivate: boolean;
  readonly #refuseReserved: boolean;
  readonly #exempt: AddressList;
  readonly #exemptLoopback: boolean;
  readonly #configured: ReadonlySet<string>;
  readonly #resolve: NonNullable<GaterInit['resolve']>;
  readonly #isProtected: (peerId: string) => boolean;
  /** What names that the operator wrote down were last seen to mean. */
  readonly #configuredAddresses = new Map<string, ReadonlySet<string>>();
  readonly #admission: Admission;
  readonly #rate: KeyedRate;

  constructor(init: GaterInit) {
    const { settings } = init;
    this.#bans = init.bans;
    this.#refusals = new Refusals(init);
    this.#allowPrivate = settings.p2p_allow_private_ips;
    this.#refuseReserved = settings.p2p_refuse_reserved_addresses;
    this.#exempt = new AddressList(settings.p2p_allowed_addresses);
    this.#exemptLoopback = init.exemptLoopback ?? true;
    this.#configured = configuredHosts(settings);
    this.#resolve = init.resolve ?? resolveBySystem;
    this.#isProtected = init.isProtected ?? (() => false);
    this.#admission = new Admission({
      perAddress: settings.p2p_connections_per_address,
      slots: init.slots ?? Number.POSITIVE_INFINITY,
      onRefused: ({ remoteAddr }, reason) =>
        this.#refusals.count('inbound', reason, { address: remoteAddr.toString() }),
      ...init.handshakes,
    });
    const perSecond = settings.p2p_inbound_connections_per_second;
    this.#rate = new KeyedRate({ perSecond, burst: perSecond, maxKeys: MAX_RATED_ADDRESSES });
  }

  denyDialPeer = (peerId: PeerId): boolean => this.#refusePeer('outbound', peerId.toString());

  denyDialMultiaddr = async (address: Multiaddr): Promise<boolean> => {
    for (const { name, value } of address.getComponents()) {
      if (name === 'p2p' && value !== undefined && this.#refusePeer('outbound', value)) return true;
    }
    if (leadsNowhere(address)) {
      return this.#refuse('outbound', 'no_host', { address: address.toString().slice(0, 128) });
    }
    const host = multiaddrHost(address);
    if (host === undefined) return false;
    if (host.kind === 'ip') return this.#refuseDialled(host.address, host.address);
    const answers = await Promise.race([
      this.#resolve(host.name, host.family).catch(() => []),
      delay(RESOLVE_TIMEOUT_MS, [] as readonly string[], { ref: false }),
    ]);
    const addresses = answers.map((answer) => canonicalIp(answer) ?? answer);
    if (this.#configured.has(host.name) && addresses.length > 0) {
      this.#configuredAddresses.set(host.name, new Set(addresses));
    }
    return addresses.some((address) => this.#refuseDialled(address, host.name));
  };

  denyOutboundConnection = (_peerId: PeerId, connection: MultiaddrConnection): boolean =>
    this.#refuseConnected(connection);

  denyOutboundEncryptedConnection = (peerId: PeerId, connection: MultiaddrConnection): boolean =>
    this.#refusePeer('outbound', peerId.toString()) || this.#refuseConnected(connection);

  denyInboundConnection = (connection: MultiaddrConnection): boolean => {
    const relayed = isRelayed(connection.remoteAddr);
    const host = multiaddrHost(connection.remoteAddr);
    if (host?.kind !== 'ip') return relayed && !this.#admission.admit(connection, 'source');
    const { address } = host;
    if (this.#bans.isAddressBanned(address)) return this.#refuse('inbound', 'banned_address', { address });
    // Through a relay the address is the relay's.
    const limit = relayed ? 'source' : this.#limitOf(address);
    if (limit === 'source' && !relayed && !this.#rate.take(sourceOf(address))) {
      return this.#refuse('inbound', 'address_rate', { address });
    }
    return !this.#admission.admit(connection, limit);
  };

  denyInboundEncryptedConnection = (peerId: PeerId, connection: MultiaddrConnection): boolean => {
    const peer = peerId.toString();
    if (this.#refusePeer('inbound', peer)) return true;
    if (this.#isProtected(peer)) this.#admission.exempt(connection);
    return false;
  };

  /** Never refuses: the last moment before a connection is open. */
  denyInboundUpgradedConnection = (_peerId: PeerId, connection: MultiaddrConnection): boolean => {
    this.#admission.opened(connection);
    return false;
  };

  denyInboundRelayedConnection = (relay: PeerId, remotePeer: PeerId): boolean =>
    this.#refusePeer('inbound', remotePeer.toString()) || this.#refusePeer('inbound', relay.toString());

  /** What is never dialled is not kept either. True keeps. */
  filterMultiaddrForPeer = (_peerId: PeerId, address: Multiaddr): boolean => {
    if (leadsNowhere(address)) return false;
    const host = multiaddrHost(address);
    if (host?.kind !== 'ip') return true;
    return this.#forbidden(host.address, host.address) === undefined;
  };

  #limitOf(address: string): AdmissionLimit {
    if (this.#exempt.has(address)) return 'nothing';
    // Also where a static peer is there: it is known by its ID.
    if (this.#exemptLoopback && isLoopbackAddress(address)) return 'slots';
    const isConfigured =
      this.#configured.has(address) ||
      [...this.#configuredAddresses.values()].some((addresses) => addresses.has(address));
    return isConfigured ? 'nothing' : 'source';
  }

  /** Why it is never dialled, unless the operator named it. */
  #forbidden(address: string, host: string): RefusalReason | undefined {
    if (this.#configured.has(host) || this.#exempt.has(address)) return undefined;
    if (!this.#allowPrivate && isPrivateAddress(address)) return 'private_address';
    return this.#refuseReserved && isReservedAddress(address) ? 'reserved_address' : undefined;
  }

  #refuseDialled(address: string, host: string): boolean {
    if (this.#bans.isAddressBanned(address))
      return this.#refuse('outbound', 'banned_address', { address, host });
    const reason = this.#forbidden(address, host);
    return reason !== undefined && this.#refuse('outbound', reason, { address, host });
  }

  #refuseConnected(connection: MultiaddrConnection): boolean {
    const host = multiaddrHost(connection.remoteAddr);
    if (host?.kind !== 'dns') return false;
    const address = socketAddress(connection);
    return address !== undefined && this.#refuseDialled(address, host.name);
  }

  #refusePeer(direction: 'inbound' | 'outbound', peer: string): boolean {
    return this.#bans.isPeerBanned(peer) && this.#refuse(direction, 'banned_peer', { peer });
  }

  #refuse(direction: 'inbound' | 'outbound', reason: RefusalReason, fields: Record<string, string>): true {
    this.#refusals.count(direction, reason, fields);
    return true;
  }
}

/** The connection gater for libp2p. Throws RangeError on an entry of `p2p_allowed_addresses` that is no address or subnet. */
export function createGater(
  init: GaterInit,
): Required<
  Pick<
    ConnectionGater,
    | 'denyDialPeer'
    | 'denyDialMultiaddr'
    | 'denyOutboundConnection'
    | 'denyOutboundEncryptedConnection'
    | 'denyInboundConnection'
    | 'denyInboundEncryptedConnection'
    | 'denyInboundUpgradedConnection'
    | 'denyInboundRelayedConnection'
    | 'filterMultiaddrForPeer'
  >
> {
  return new Gater(init);
}

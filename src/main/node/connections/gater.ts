/**
 * Who may connect. Addresses are judged before the handshake, both ways; inbound peer IDs right after it, the first moment they
 * are known. libp2p's own inbound limits would come earlier and know no exemptions: they stand aside, see connection-limits.ts.
 */

import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { AddressList, isLoopbackAddress, sourceOf } from '../../../shared/net/ip.js';
import { type PeerIdText, parsePeerId, peerIdText } from '../../../shared/net/peer-id.js';
import type { Settings } from '../../../shared/settings/table.js';
import { isRelayed, multiaddrHost } from '../addresses/multiaddrs.js';
import type { PeripheryMetrics, RefusalReason } from '../metrics/periphery-metrics.js';
import { Admission, type AdmissionLimit, type AdmissionOptions } from './admission.js';
import {
  type DialledAddress,
  DialledAddresses,
  type DialSettings,
  leadsNowhere,
  type ResolveHost,
} from './dialled-addresses.js';
import { Refusals } from './refusals.js';

/** What the gater asks of the ban list: synchronous, constant time. */
export interface BanPolicy {
  isAddressBanned(address: string): boolean;
  isPeerBanned(peerId: PeerIdText): boolean;
  /** Application score for GossipSub, 0 or negative. */
  applicationScore(peerId: PeerIdText): number;
}

type GaterSettings = DialSettings &
  Pick<Settings, 'p2p_connections_per_address' | 'p2p_inbound_connections_per_second'>;

export interface GaterInit {
  readonly bans: BanPolicy;
  readonly settings: GaterSettings;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'connectionsRefused'>;
  /**
   * Loopback is limited in all alone: connections of this machine, and of a proxy on it, share one address.
   * @default true
   */
  readonly exemptLoopback?: boolean;
  /** Inbound connections at the most, those that are not limited besides. No bound unless given. */
  readonly slots?: number;
  /** Peers that are not limited wherever they come from, once they are known. */
  readonly isProtected?: (peerId: string) => boolean;
  /** Times of handshakes. */
  readonly handshakes?: Pick<AdmissionOptions, 'silenceMs' | 'handshakeMs'>;
  /**
   * @default the system's resolver
   */
  readonly resolve?: ResolveHost;
}

/** Addresses whose rate is remembered; the least recently seen starts anew. */
const MAX_RATED_ADDRESSES = 10_000;

class Gater implements ConnectionGater {
  readonly #bans: BanPolicy;
  readonly #refusals: Refusals;
  readonly #dialled: DialledAddresses;
  readonly #exempt: AddressList;
  readonly #exemptLoopback: boolean;
  readonly #isProtected: (peerId: string) => boolean;
  readonly #admission: Admission;
  readonly #rate: KeyedRate;

  constructor(init: GaterInit) {
    const { settings } = init;
    this.#bans = init.bans;
    this.#refusals = new Refusals(init);
    this.#dialled = new DialledAddresses(settings, init.resolve);
    this.#exempt = new AddressList(settings.p2p_allowed_addresses);
    this.#exemptLoopback = init.exemptLoopback ?? true;
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

  denyDialPeer = (peerId: PeerId): boolean => this.#refusePeer('outbound', peerIdText(peerId));

  denyDialMultiaddr = async (address: Multiaddr): Promise<boolean> => {
    for (const { name, value } of address.getComponents()) {
      const peer = name === 'p2p' && value !== undefined ? parsePeerId(value) : undefined;
      if (peer !== undefined && this.#refusePeer('outbound', peer)) return true;
    }
    if (leadsNowhere(address)) {
      return this.#refuse('outbound', 'no_host', { address: address.toString().slice(0, 128) });
    }
    for (const dialled of await this.#dialled.addressesOf(address)) {
      if (this.#refuseDialled(dialled)) return true;
    }
    return false;
  };

  denyOutboundConnection = (_peerId: PeerId, connection: MultiaddrConnection): boolean =>
    this.#refuseConnected(connection);

  denyOutboundEncryptedConnection = (peerId: PeerId, connection: MultiaddrConnection): boolean =>
    this.#refusePeer('outbound', peerIdText(peerId)) || this.#refuseConnected(connection);

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
    const peer = peerIdText(peerId);
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
    this.#refusePeer('inbound', peerIdText(remotePeer)) || this.#refusePeer('inbound', peerIdText(relay));

  /** What is never dialled is not kept either. True keeps. */
  filterMultiaddrForPeer = (_peerId: PeerId, address: Multiaddr): boolean => {
    if (leadsNowhere(address)) return false;
    const host = multiaddrHost(address);
    if (host?.kind !== 'ip') return true;
    return this.#dialled.forbidden({ address: host.address, host: host.address }) === undefined;
  };

  #limitOf(address: string): AdmissionLimit {
    if (this.#exempt.has(address)) return 'nothing';
    // Also where a static peer is there: it is known by its ID.
    if (this.#exemptLoopback && isLoopbackAddress(address)) return 'slots';
    return this.#dialled.isConfigured(address) ? 'nothing' : 'source';
  }

  #refuseDialled(dialled: DialledAddress): boolean {
    if (this.#bans.isAddressBanned(dialled.address)) {
      return this.#refuse('outbound', 'banned_address', dialled);
    }
    const reason = this.#dialled.forbidden(dialled);
    return reason !== undefined && this.#refuse('outbound', reason, dialled);
  }

  #refuseConnected(connection: MultiaddrConnection): boolean {
    const dialled = this.#dialled.connectedTo(connection);
    return dialled !== undefined && this.#refuseDialled(dialled);
  }

  #refusePeer(direction: 'inbound' | 'outbound', peer: PeerIdText): boolean {
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

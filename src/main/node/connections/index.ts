/** Who is connected, and what is known of each: one view over the host's connections, traffic and identities. */

import type { Connection, Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { AddressList, isLoopbackAddress } from '../../../shared/net/ip.js';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import type { Settings } from '../../../shared/settings/table.js';
import { ConfiguredPeers } from '../addresses/configured-peers.js';
import { multiaddrHost } from '../addresses/multiaddrs.js';
import type { ConnectedPeer } from './connected-peer.js';
import { Identities } from './identities.js';
import { Traffic } from './traffic.js';

/** The part of the host that is looked at. */
export interface ConnectedHost extends Pick<Libp2p, 'getConnections' | 'addEventListener'> {
  readonly services: { readonly pubsub: { getScore(peerId: string): number } };
}

/** Peer IDs are base58. */
export class Connections {
  readonly configured: ConfiguredPeers;
  readonly traffic = new Traffic();
  readonly identities = new Identities();
  readonly #allowed: AddressList;
  /** Connected peers of exempt addresses. */
  readonly #exempt = new Set<string>();
  #host: ConnectedHost | undefined;

  constructor({ settings }: { readonly settings: Settings }) {
    this.configured = new ConfiguredPeers(settings);
    this.#allowed = new AddressList(settings.p2p_allowed_addresses);
  }

  /** Looks at a host's connections from now on; before it starts. */
  attach(host: ConnectedHost): void {
    this.#host = host;
    this.identities.watch(host);
    host.addEventListener('connection:open', ({ detail: connection }) => {
      // Gone before it was told of: no disconnection will be.
      if (connection.status !== 'open') return;
      this.traffic.opened(connection);
      const address = multiaddrHost(connection.remoteAddr);
      if (address?.kind === 'ip' && this.isExemptAddress(address.address)) {
        this.#exempt.add(peerIdText(connection.remotePeer));
      }
    });
    host.addEventListener('connection:close', ({ detail }) => this.traffic.closed(detail));
  }

  /** The host has stopped. */
  detach(): void {
    this.#host = undefined;
    this.identities.clear();
    this.#exempt.clear();
  }

  /** Drops what is known of a peer whose last connection has closed. Returns the bytes that came from it. */
  forget(peerId: PeerIdText): bigint {
    const { bytesReceived } = this.traffic.of(peerId);
    this.traffic.forget(peerId);
    this.#exempt.delete(peerId);
    return bytesReceived;
  }

  /** One entry a peer, whatever the number of its connections. */
  peers(): readonly ConnectedPeer[] {
    const peers = new Map<PeerIdText, ConnectedPeer>();
    for (const connection of this.#host?.getConnections() ?? []) {
      const id = peerIdText(connection.remotePeer);
      if (!peers.has(id)) peers.set(id, this.#describe(connection));
    }
    return [...peers.values()];
  }

  /** Undefined for one that is not connected. */
  peer(peerId: PeerIdText): ConnectedPeer | undefined {
    if (!this.isConnected(peerId)) return undefined;
    const [connection] = this.#host?.getConnections(peerIdFromString(peerId)) ?? [];
    return connection && this.#describe(connection);
  }

  isConnected(peerId: PeerIdText): boolean {
    return this.traffic.has(peerId);
  }

  /** Static or bootstrap, those behind /dnsaddr too once it is resolved. */
  isConfigured(peerId: string): boolean {
    return this.configured.isConfigured(peerId);
  }

  /** Static, bootstrap or relay. */
  isNamed(peerId: string): boolean {
    return this.configured.isNamed(peerId);
  }

  /** Those behind a /dnsaddr are added when it is resolved, before such a peer is dialled. */
  get bootstrapPeers(): ReadonlySet<string> {
    return this.configured.bootstrapIds;
  }

  /** Loopback, and `p2p_allowed_addresses`. */
  isExemptAddress(address: string): boolean {
    return isLoopbackAddress(address) || this.#allowed.has(address);
  }

  /** Connected from an exempt address, or configured: it has no application score. */
  isExempt(peerId: string): boolean {
    return this.#exempt.has(peerId) || this.isConfigured(peerId);
  }

  #describe(connection: Connection): ConnectedPeer {
    const id = peerIdText(connection.remotePeer);
    const address = multiaddrHost(connection.remoteAddr);
    const configured = this.isConfigured(id);
    return {
      id,
      address: connection.remoteAddr.toString(),
      inbound: connection.direction === 'inbound',
      connectedAt: connection.timeline.open,
      ...this.traffic.of(id),
      pingMs: connection.rtt,
      ...this.identities.of(id),
      configured,
      trusted: configured || (address?.kind === 'ip' && this.#allowed.has(address.address)),
      score: this.#host?.services.pubsub.getScore(id) ?? 0,
    };
  }
}

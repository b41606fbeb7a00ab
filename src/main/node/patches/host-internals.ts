/**
 * What of a libp2p host its type does not show: the parts of it that others here reach for, and public addresses that are told.
 *
 * Reason for the latter: libp2p keeps public addresses of this machine's interfaces to itself until a service has had them dialled
 * back, and none here does; Go nodes tell them.
 */

import type { Connection, Libp2p, MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { isPrivateMultiaddr, isRelayed } from '../addresses/multiaddrs.js';
import type { TransportManagerInternals } from './relay-reservations.js';

export interface HostInternals {
  readonly transportManager: TransportManagerInternals & { getAddrs(): Multiaddr[] };
  readonly addressManager: {
    confirmObservedAddr(
      address: Multiaddr,
      options: { readonly type: 'transport'; readonly ttl: number },
    ): void;
  };
}

export function internalsOf(host: object): HostInternals {
  return (host as { readonly components: HostInternals }).components;
}

/** What a connection is made of: a socket, or a stream through a relay. */
export function transportOf(connection: Connection): MultiaddrConnection {
  return (connection as unknown as { readonly maConn: MultiaddrConnection }).maConn;
}

/** Tells peers of public addresses of this machine's interfaces, as Go nodes do, for `ttl` ms. */
export function announcePublicAddresses(host: Pick<Libp2p, 'addEventListener'>, ttl: number): void {
  const { addressManager } = internalsOf(host);
  host.addEventListener('transport:listening', ({ detail: listener }) => {
    for (const address of listener.getAddrs()) {
      if (isRelayed(address) || isPrivateMultiaddr(address)) continue;
      addressManager.confirmObservedAddr(address, { type: 'transport', ttl });
    }
  });
}

/** What of a libp2p host its types do not show, and its parts given other components than libp2p would give them. */

import type { Connection, MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
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

/** The TCP socket of a connection, with what of it is read here; undefined where there is none, as through a relay. */
export function socketOf(
  connection: MultiaddrConnection,
): { readonly remoteAddress?: unknown; readonly bytesRead?: unknown } | undefined {
  return (connection as { readonly socket?: { remoteAddress?: unknown; bytesRead?: unknown } }).socket;
}

/**
 * `original` with some of it replaced; not a copy: what is not replaced keeps its own `this`. libp2p's components are no plain objects, and
 * cannot be spread.
 */
export function replacing<T extends object>(original: T, replaced: Partial<T>): T {
  return new Proxy(original, {
    get(target, key) {
      if (key in replaced) return replaced[key as keyof T];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

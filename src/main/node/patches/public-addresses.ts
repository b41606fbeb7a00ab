/**
 * Public addresses of this machine's interfaces are told to peers.
 *
 * Reason: libp2p keeps them to itself until a service has had them dialled back, and none here does; Go nodes tell them.
 */

import type { Libp2p } from '@libp2p/interface';
import { isPrivateMultiaddr, isRelayed } from '../addresses/multiaddrs.js';
import { internalsOf } from './host-internals.js';

/** Applies the patch to one host. The addresses are told for `ttl` ms. */
export function announcePublicAddresses(host: Pick<Libp2p, 'addEventListener'>, ttl: number): void {
  const { addressManager } = internalsOf(host);
  host.addEventListener('transport:listening', ({ detail: listener }) => {
    for (const address of listener.getAddrs()) {
      if (isRelayed(address) || isPrivateMultiaddr(address)) continue;
      addressManager.confirmObservedAddr(address, { type: 'transport', ttl });
    }
  });
}

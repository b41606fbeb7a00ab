/** Where multiaddrs lead. */

import type { Multiaddr } from '@multiformats/multiaddr';
import { canonicalIp } from './ip.js';

/** Where a multiaddr leads first: for a relayed one, the relay. */
export type MultiaddrHost =
  | { readonly kind: 'ip'; readonly address: string }
  /** `family` 0: either. */
  | { readonly kind: 'dns'; readonly name: string; readonly family: 0 | 4 | 6 };

/** The first host of a multiaddr, an address in canonical form; undefined when it names none. */
export function multiaddrHost(address: Multiaddr): MultiaddrHost | undefined {
  for (const { name, value } of address.getComponents()) {
    if (value === undefined) continue;
    switch (name) {
      case 'ip4':
      case 'ip6': {
        const canonical = canonicalIp(value);
        return canonical === undefined ? undefined : { kind: 'ip', address: canonical };
      }
      case 'dns':
      case 'dnsaddr':
        return { kind: 'dns', name: value, family: 0 };
      case 'dns4':
        return { kind: 'dns', name: value, family: 4 };
      case 'dns6':
        return { kind: 'dns', name: value, family: 6 };
      case 'ip6zone':
        continue;
      default:
        return undefined;
    }
  }
  return undefined;
}

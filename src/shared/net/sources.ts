/** Where strangers come from, as what is scarce is shared out among them. */

import { AddressList, networkOf, sourceOf } from './ip.js';
import type { Holder } from './shares.js';

/** The entries of a list of trusted sources, where `none` among them stands for nobody, as in Teranode. */
export function trustedSources(entries: readonly string[]): readonly string[] {
  return entries.some((entry) => entry.toLowerCase() === 'none') ? [] : entries;
}

/** Undefined where it stands for nobody but itself: it is trusted, or not known. */
export type Provenance =
  | {
      /** An IPv4 /24, or an IPv6 /48. */
      readonly network: string;
      /** An IPv4 address, or an IPv6 /64. */
      readonly source: string;
    }
  | undefined;

export class Sources {
  readonly #trusted: AddressList;

  /** Throws RangeError on a trusted entry that does not parse. */
  constructor(trusted: readonly string[]) {
    this.#trusted = new AddressList(trustedSources(trusted));
  }

  /** `address`: empty where it is not known. */
  of(address: string): Provenance {
    if (address === '' || this.#trusted.has(address)) return undefined;
    return { network: networkOf(address), source: sourceOf(address) };
  }
}

/** Who holds what somebody from there takes: the network as much as there is, the source its share. */
export function holdersOf(from: Provenance, share = Number.POSITIVE_INFINITY): Holder[] {
  if (from === undefined) return [];
  return [
    { name: from.network, share: Number.POSITIVE_INFINITY },
    { name: from.source, share },
  ];
}

/** Whose connection makes room for a newcomer, where all are taken. */

import type { ConnectionLedger } from '../../shared/net/connection-ledger.js';
import { rankOf } from '../../shared/net/shares.js';
import type { Provenance } from '../../shared/net/sources.js';

export interface Occupant {
  readonly from: Provenance;
  /** Ends it, and gives back what it held. */
  readonly go: () => void;
}

/** The youngest of who has the most, first of the network, in it of the source, where that is more than a newcomer from `address` would have. `all`: the eldest first. */
export function displacedBy<T extends Occupant>(
  address: string,
  { ledger, all }: { readonly ledger: ConnectionLedger; readonly all: Iterable<T> },
): T | undefined {
  const newcomer = ledger.provenance(address);
  if (!ledger.mayDisplace(newcomer)) return undefined;
  let found: T | undefined;
  let highest = ledger.rank(newcomer, newcomer) || rankOf(1, 1);
  for (const each of all) {
    const rank = ledger.rank(each.from, newcomer);
    if (rank < highest || (rank === highest && found === undefined)) continue;
    found = each;
    highest = rank;
  }
  return found;
}

/** Forgetting how dealing with peers went, here and in the blockchain service's registry. */

import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { PeerRecords } from './peer-records.js';
import type { PeerView } from './peer-view.js';
import { isDealtWith, type ServiceRow } from './service-row.js';

export interface ResetComponents {
  readonly peers: Pick<PeerView, 'get' | 'ids'>;
  readonly records: Pick<PeerRecords, 'has' | 'reset'>;
  /** The blockchain service's registry, where there is one. */
  readonly service?: { row(peer: PeerIdText): ServiceRow | undefined; reset(peer: PeerIdText): void };
}

/** Resets the reputation of one peer, or of all. Gives how many peers that were. */
export function resetReputation({ peers, records, service }: ResetComponents, id?: PeerIdText): number {
  const ids = id === undefined ? peers.ids() : new Set(peers.get(id) === undefined ? [] : [id]);
  for (const each of ids) {
    const row = service?.row(each);
    // Of a record here the service is told with every other report.
    if (records.has(each)) records.reset(each);
    else if (row !== undefined && isDealtWith(row)) service?.reset(each);
  }
  return ids.size;
}

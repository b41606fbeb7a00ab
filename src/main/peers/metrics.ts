/** What is known of peers, as figures. */

import { Gauge, type Registry } from 'prom-client';

export interface PeerMetrics {
  /** Peers of which something is known. */
  readonly known: Gauge;
}

export function createPeerMetrics(registry: Registry): PeerMetrics {
  return {
    known: new Gauge({
      name: 'teranode_p2p_peers_known',
      help: 'Peers that told something of themselves, connected or not',
      registers: [registry],
    }),
  };
}

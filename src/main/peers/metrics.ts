/** What is known of peers, as figures. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

export type PeerMetrics = ReturnType<typeof createPeerMetrics>;

export function createPeerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    known: new Gauge({
      name: 'teranode_p2p_peers_known',
      help: 'Peers that told something of themselves or were connected',
      registers,
    }),
    recorded: new Gauge({
      name: 'teranode_p2p_peers_recorded',
      help: 'Peers with a record of how dealing with them went',
      registers,
    }),
    low: new Gauge({
      name: 'teranode_p2p_peers_low_reputation',
      help: 'Peers whose reputation is below 20: their subtrees, rejected transactions and statuses are ignored',
      registers,
    }),
    interactions: zeroedCounter({
      name: 'teranode_p2p_peer_interactions_total',
      help: 'What the services around this node reported of peers, by outcome',
      labels: { outcome: ['attempt', 'success', 'failure', 'malicious'] },
      registers,
    }),
    unstored: new Gauge({
      name: 'teranode_p2p_peer_registry_unstored',
      help: 'Entries of the peer registry whose newest state is not stored yet',
      registers,
    }),
    storeFailures: new Counter({
      name: 'teranode_p2p_peer_registry_store_failures_total',
      help: 'Writes of the peer registry that failed and are tried again',
      registers,
    }),
  };
}

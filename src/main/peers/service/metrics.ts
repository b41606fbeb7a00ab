/** The blockchain service's registry of peers, as figures. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../../shared/metrics/zeroed-counter.js';
import { CALL_OUTCOMES } from './outcome.js';

export type RegistryClientMetrics = ReturnType<typeof createRegistryClientMetrics>;

export function createRegistryClientMetrics(registry: Registry) {
  const registers = [registry];
  return {
    up: new Gauge({
      name: 'teranode_p2p_peer_registry_service_up',
      help: 'Whether the peer registry of the blockchain service is in use: 0 also where the service has none',
      registers,
    }),
    calls: zeroedCounter({
      name: 'teranode_p2p_peer_registry_service_calls_total',
      help: 'Calls to the peer registry of the blockchain service, by what came of them',
      labels: { outcome: CALL_OUTCOMES },
      registers,
    }),
    pending: new Gauge({
      name: 'teranode_p2p_peer_registry_service_pending',
      help: 'Peers about whom something is to be written to the peer registry of the blockchain service',
      registers,
    }),
    dropped: new Counter({
      name: 'teranode_p2p_peer_registry_service_dropped_total',
      help: 'Updates and reports that the peer registry of the blockchain service did not get: no room here or there, or refused',
      registers,
    }),
    refusedRows: new Counter({
      name: 'teranode_p2p_peer_registry_service_rows_refused_total',
      help: 'Rows and peer IDs in answers of the peer registry of the blockchain service that make no sense',
      registers,
    }),
  };
}

import type { Registry } from 'prom-client';
import { zeroedCounter } from '../metrics/zeroed-counter.js';

const SERVICES: readonly string[] = ['blockchain', 'blockvalidation', 'blockassembly'];

/** Figures of the calls to other services. */
export function createNeighbourMetrics(registry: Registry) {
  const registers = [registry];
  return {
    givenUp: zeroedCounter({
      name: 'teranode_p2p_grpc_connections_given_up_total',
      help: 'Connections to a service of the node that were given up for new ones, as nothing came back on them.',
      labels: { service: SERVICES },
      registers,
    }),
    refused: zeroedCounter({
      name: 'teranode_p2p_grpc_calls_refused_total',
      help: 'Calls that a service of the node refused for the key in grpc_admin_api_key, or for want of one.',
      labels: { service: SERVICES },
      registers,
    }),
  };
}

export type NeighbourMetrics = ReturnType<typeof createNeighbourMetrics>;

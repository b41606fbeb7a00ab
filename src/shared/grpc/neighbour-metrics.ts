import { Counter, type Registry } from 'prom-client';

/** Figures of the calls to other services. */
export function createNeighbourMetrics(registry: Registry) {
  const registers = [registry];
  const metrics = {
    givenUp: new Counter({
      name: 'teranode_p2p_grpc_connections_given_up_total',
      help: 'Connections to a service of the node that were given up for new ones, as nothing came back on them.',
      labelNames: ['service'],
      registers,
    }),
    refused: new Counter({
      name: 'teranode_p2p_grpc_calls_refused_total',
      help: 'Calls that a service of the node refused for the key in grpc_admin_api_key, or for want of one.',
      labelNames: ['service'],
      registers,
    }),
  };
  for (const service of ['blockchain', 'blockvalidation', 'blockassembly']) {
    metrics.givenUp.inc({ service }, 0);
    metrics.refused.inc({ service }, 0);
  }
  return metrics;
}

export type NeighbourMetrics = ReturnType<typeof createNeighbourMetrics>;

/** Calls of PeerService. */

import { Counter, Histogram, type Registry } from 'prom-client';

export interface PeerServiceMetrics {
  readonly calls: Counter<'method' | 'code'>;
  readonly seconds: Histogram<'method'>;
}

export function createPeerServiceMetrics(registry: Registry): PeerServiceMetrics {
  const registers = [registry];
  return {
    calls: new Counter({
      name: 'teranode_p2p_grpc_calls_total',
      help: 'Calls of PeerService by method and gRPC code',
      labelNames: ['method', 'code'],
      registers,
    }),
    seconds: new Histogram({
      name: 'teranode_p2p_grpc_call_seconds',
      help: 'How long calls of PeerService took',
      labelNames: ['method'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
  };
}

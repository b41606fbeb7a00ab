/** Calls of PeerService. */

import { Counter, Histogram, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

export type PeerServiceMetrics = ReturnType<typeof createPeerServiceMetrics>;

export function createPeerServiceMetrics(registry: Registry) {
  const registers = [registry];
  const closed = zeroedCounter({
    name: 'teranode_p2p_grpc_connections_closed_total',
    help: 'Connections to PeerService closed by the server, by why: more at once than the share of a source, all places taken, nothing said, a long answer not taken in time or in the way of others.',
    labels: { reason: ['share', 'full', 'silent', 'unread'] },
    registers,
  });
  return {
    closed,
    catchupAttempts: new Counter({
      name: 'teranode_p2p_catchup_attempts_total',
      help: 'Attempts at catching up from a peer that services reported',
      registers,
    }),
    catchupSuccesses: new Counter({
      name: 'teranode_p2p_catchup_successes_total',
      help: 'Catch-ups from a peer that services reported as done',
      registers,
    }),
    catchupFailures: zeroedCounter({
      name: 'teranode_p2p_catchup_failures_total',
      help: 'Failed catch-ups from a peer that services reported, by kind: a block of which the peer did not have everything, or any other',
      labels: { kind: ['generic', 'block_incomplete'] },
      registers,
    }),
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

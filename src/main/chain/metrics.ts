/** Metrics of following the chain. */

import { Gauge, type Registry } from 'prom-client';
import { block, miningOn } from '../../shared/messages/index.js';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

export type ChainMetrics = ReturnType<typeof createChainMetrics>;

export function createChainMetrics(registry: Registry) {
  const registers = [registry];
  return {
    subscribed: new Gauge({
      name: 'teranode_p2p_announce_chain_subscribed',
      help: '1 while the subscription to the blockchain service is open, else 0.',
      registers,
    }),
    failures: zeroedCounter({
      name: 'teranode_p2p_announce_chain_failures_total',
      help: 'Notifications not announced because the chain did not answer about them.',
      labels: { kind: [block.name, miningOn.name, 'best_block'] },
      registers,
    }),
  };
}

/** Metrics of announcing. */

import { Counter, Gauge, type Registry } from 'prom-client';

export type AnnounceMetrics = ReturnType<typeof createAnnounceMetrics>;

export function createAnnounceMetrics(registry: Registry) {
  const registers = [registry];
  return {
    announcements: new Counter({
      name: 'teranode_p2p_announce_messages_total',
      help: 'Own messages by kind and what became of them: told, nobody (no peer listens to it), shown (to our WebSocket clients alone), dropped (by the state of the chain), no_url, failed.',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    subscribed: new Gauge({
      name: 'teranode_p2p_announce_chain_subscribed',
      help: '1 while the subscription to the blockchain service is open, else 0.',
      registers,
    }),
    dataHubUsable: new Gauge({
      name: 'teranode_p2p_announce_data_hub_usable',
      help: '0 while blocks and subtrees are not announced because peers could not reach the data hub that the settings name, else 1.',
      registers,
    }),
    waiting: new Gauge({
      name: 'teranode_p2p_announce_waiting',
      help: 'Notifications of the chain waiting to be announced.',
      registers,
    }),
    shed: new Counter({
      name: 'teranode_p2p_announce_shed_total',
      help: 'Notifications that gave way because too many waited.',
      labelNames: ['kind'] as const,
      registers,
    }),
    chainFailures: new Counter({
      name: 'teranode_p2p_announce_chain_failures_total',
      help: 'Notifications not announced because the chain did not answer about them.',
      labelNames: ['kind'] as const,
      registers,
    }),
    rejectedTxLimited: new Counter({
      name: 'teranode_p2p_announce_rejected_tx_limited_total',
      help: 'Rejected transactions not announced: rate, repeat, known (came from the network), malformed.',
      labelNames: ['reason'] as const,
      registers,
    }),
    bestBlockAnswers: new Counter({
      name: 'teranode_p2p_announce_best_block_answers_total',
      help: 'Requests for our best block: answered, limited, silent (by listen mode, state or URL, or the block is invalid), failed.',
      labelNames: ['outcome'] as const,
      registers,
    }),
  };
}

/** Metrics of announcing. */

import { Gauge, type Registry } from 'prom-client';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

const SAID = MESSAGE_KINDS.filter(({ published }) => published !== undefined).map(({ name }) => name);
const NEWS = MESSAGE_KINDS.filter(({ published }) => published === 'news').map(({ name }) => name);
const REJECTED_TX_LIMITS = ['rate', 'repeat', 'known', 'malformed'] as const;
export type RejectedTxLimit = (typeof REJECTED_TX_LIMITS)[number];
const BEST_BLOCK_ANSWERS = ['answered', 'limited', 'silent', 'displaced', 'failed'] as const;
export type BestBlockAnswer = (typeof BEST_BLOCK_ANSWERS)[number];

const BLOCKED_STAGES = ['precheck', 'chokepoint'] as const;
export type BlockedStage = (typeof BLOCKED_STAGES)[number];
/** States in which not everything is told. */
const BLOCKING_STATES = ['IDLE', 'CATCHINGBLOCKS', 'LEGACYSYNCING', 'UNKNOWN'] as const;

/** What became of a message of ours, and what `teranode_p2p_announce_messages_total` calls it. */
const PUBLICATION_OUTCOMES = {
  published: 'told',
  no_peers: 'nobody',
  local_only: 'shown',
  dropped: 'dropped',
  no_url: 'no_url',
  failed: 'failed',
} as const;
type PublicationOutcome = keyof typeof PUBLICATION_OUTCOMES;

/** Counts own messages, in 0.2 under the older name and words too. */
function publications(registers: Registry[]) {
  const current = zeroedCounter({
    name: 'teranode_p2p_own_messages_total',
    help: 'Own messages by kind and what became of them: published, no_peers (none listens to it), local_only (to our WebSocket clients alone), dropped (by the state of the chain), no_url, failed.',
    labels: { kind: SAID, outcome: Object.keys(PUBLICATION_OUTCOMES) as PublicationOutcome[] },
    registers,
  });
  const older = zeroedCounter({
    name: 'teranode_p2p_announce_messages_total',
    help: 'Older name of teranode_p2p_own_messages_total, with told for published, nobody for no_peers and shown for local_only; goes in 0.3.',
    labels: { kind: SAID, outcome: Object.values(PUBLICATION_OUTCOMES) },
    registers,
  });
  return {
    /** What was counted, under the newer name. */
    get: () => current.get(),
    inc({ kind, outcome }: { readonly kind: string; readonly outcome: PublicationOutcome }): void {
      current.inc({ kind, outcome });
      older.inc({ kind, outcome: PUBLICATION_OUTCOMES[outcome] });
    },
  };
}

export type AnnounceMetrics = ReturnType<typeof createAnnounceMetrics>;

export function createAnnounceMetrics(registry: Registry) {
  const registers = [registry];
  return {
    publications: publications(registers),
    blocked: zeroedCounter({
      name: 'teranode_p2p_publish_blocked_total',
      help: 'Own messages that the state of the chain kept back, by kind, state and stage: before any work for them, or at the last moment.',
      labels: {
        topic: NEWS,
        fsm_state: BLOCKING_STATES,
        stage: BLOCKED_STAGES,
      },
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
    shed: zeroedCounter({
      name: 'teranode_p2p_announce_shed_total',
      help: 'Notifications that gave way because too many waited.',
      labels: { kind: ['block', 'subtree', 'mining_on'] },
      registers,
    }),
    rejectedTxLimited: zeroedCounter({
      name: 'teranode_p2p_announce_rejected_tx_limited_total',
      help: 'Rejected transactions not announced: rate, repeat, known (came from the network), malformed.',
      labels: { reason: REJECTED_TX_LIMITS },
      registers,
    }),
    bestBlockAnswers: zeroedCounter({
      name: 'teranode_p2p_announce_best_block_answers_total',
      help: 'Requests for our best block: answered, limited, silent (by listen mode, state or URL, or the block is invalid), displaced (gave way to others), failed.',
      labels: { outcome: BEST_BLOCK_ANSWERS },
      registers,
    }),
    bestBlocksFollowed: zeroedCounter({
      name: 'teranode_p2p_announce_best_blocks_followed_total',
      help: 'First generation: peers’ answers to our request for their best block that went to block validation: sent, refused (by the outbox).',
      labels: { outcome: ['sent', 'refused'] },
      registers,
    }),
  };
}

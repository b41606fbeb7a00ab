/** Catching up, as figures. */

import { Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

/** What came of looking at a data hub. */
const HUB_OUTCOMES = ['answered', 'refused', 'inside', 'late', 'failed'] as const;
export type HubOutcome = (typeof HUB_OUTCOMES)[number];
/** Why a sync peer is no longer one. */
const SYNC_ENDS = [
  'caught_up',
  'failure',
  'standstill',
  'outdone',
  'ended_early',
  'banned',
  'low_reputation',
  'forgotten',
] as const;
export type SyncEnd = (typeof SYNC_ENDS)[number];

export type SyncMetrics = ReturnType<typeof createSyncMetrics>;

export function createSyncMetrics(registry: Registry) {
  const registers = [registry];
  return {
    active: new Gauge({
      name: 'teranode_p2p_sync_active',
      help: '1 while this node catches up from a sync peer that this server chose',
      registers,
    }),
    behind: new Gauge({
      name: 'teranode_p2p_sync_blocks_behind',
      help: 'Blocks by which the highest peer heard lately says to be ahead of this node; unproven',
      registers,
    }),
    triggers: zeroedCounter({
      name: 'teranode_p2p_sync_triggers_total',
      help: 'Best blocks of sync peers for the blocks topic, by outcome: sent, or refused by the outbox',
      labels: { outcome: ['sent', 'refused'] },
      registers,
    }),
    ended: zeroedCounter({
      name: 'teranode_p2p_sync_ended_total',
      help: 'Sync peers that are no longer one, by reason',
      labels: { reason: SYNC_ENDS },
      registers,
    }),
    hubChecks: zeroedCounter({
      name: 'teranode_p2p_data_hub_checks_total',
      help: 'Data hubs looked at over HTTP, by outcome',
      labels: { outcome: HUB_OUTCOMES },
      registers,
    }),
  };
}

/** Catching up, as figures. */

import { Counter, Gauge, type Registry } from 'prom-client';

/** What came of looking at a data hub. */
export type HubOutcome = 'answered' | 'refused' | 'inside' | 'late' | 'failed';
/** Why a sync peer is no longer one. */
export type SyncEnd =
  | 'caught_up'
  | 'failure'
  | 'standstill'
  | 'ended_early'
  | 'banned'
  | 'low_reputation'
  | 'forgotten';

export interface SyncMetrics {
  /** 1 while there is a sync peer. */
  readonly active: Gauge;
  /** Blocks by which the highest peer says to be ahead. */
  readonly behind: Gauge;
  readonly triggers: Counter<'outcome'>;
  readonly ended: Counter<'reason'>;
  readonly hubChecks: Counter<'outcome'>;
}

export function createSyncMetrics(registry: Registry): SyncMetrics {
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
    triggers: new Counter({
      name: 'teranode_p2p_sync_triggers_total',
      help: 'Best blocks of sync peers for the blocks topic, by outcome: sent, or refused by the outbox',
      labelNames: ['outcome'],
      registers,
    }),
    ended: new Counter({
      name: 'teranode_p2p_sync_ended_total',
      help: 'Sync peers that are no longer one, by reason',
      labelNames: ['reason'],
      registers,
    }),
    hubChecks: new Counter({
      name: 'teranode_p2p_data_hub_checks_total',
      help: 'Data hubs looked at over HTTP, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
  };
}

/** What the ban list and the scores show of themselves. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';
import { OFFENCE_POINTS } from './offences.js';

const OFFENCES = Object.keys(OFFENCE_POINTS) as (keyof typeof OFFENCE_POINTS)[];

/** As Go calls it; a label, and no reason that is scored. */
export const OPERATOR_BAN = 'operator_ban';

export type BanMetrics = ReturnType<typeof createBanMetrics>;

export function createBanMetrics(registry: Registry) {
  const registers = [registry];
  return {
    entries: new Gauge({
      name: 'teranode_p2p_bans',
      help: 'Bans in force, by kind and origin',
      labelNames: ['kind', 'origin'],
      registers,
    }),
    changes: zeroedCounter({
      name: 'teranode_p2p_ban_changes_total',
      help: 'Changes of the ban list: added, removed, expired, evicted, cleared',
      labels: { change: ['added', 'removed', 'expired', 'evicted', 'cleared'] },
      registers,
    }),
    storeFailures: zeroedCounter({
      name: 'teranode_p2p_ban_store_failures_total',
      help: 'Failed reads and writes of the ban store',
      labels: { operation: ['load', 'put', 'delete', 'clear'] },
      registers,
    }),
    unstored: new Gauge({
      name: 'teranode_p2p_bans_unstored',
      help: 'Ban changes in force that the store does not have yet',
      registers,
    }),
    scores: new Gauge({
      name: 'teranode_p2p_ban_scores',
      help: 'Peers whose ban score is remembered',
      registers,
    }),
    offences: zeroedCounter({
      name: 'teranode_p2p_ban_offences_total',
      help: 'Offences scored, by reason',
      labels: { reason: [...OFFENCES, 'unknown'] },
      registers,
    }),
    events: zeroedCounter({
      name: 'teranode_p2p_ban_events_total',
      help: 'Peers banned, by the offence that reached the threshold, and bans by the operator (operator_ban)',
      labels: { reason: [...OFFENCES, 'unknown', OPERATOR_BAN] },
      registers,
    }),
    spared: new Counter({
      name: 'teranode_p2p_ban_spared_total',
      help: 'Times a protected peer reached the ban threshold and was not banned',
      registers,
    }),
    closed: new Counter({
      name: 'teranode_p2p_ban_closed_connections_total',
      help: 'Connections closed because of a new ban',
      registers,
    }),
  };
}

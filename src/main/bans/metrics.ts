/** What the ban list and the scores show of themselves. */

import { Counter, Gauge, type Registry } from 'prom-client';

export interface BanMetrics {
  /** Entries in force, by kind and origin. */
  readonly entries: Gauge<'kind' | 'origin'>;
  /** added, removed, expired, evicted, cleared. */
  readonly changes: Counter<'change'>;
  readonly storeFailures: Counter<'operation'>;
  /** Changes in force that the store does not have yet. */
  readonly unstored: Gauge;
  /** Peers with a score that is remembered. */
  readonly scores: Gauge;
  readonly offences: Counter<'reason'>;
  /** Peers over the threshold that are protected from automatic bans. */
  readonly spared: Counter;
  /** Connections closed because of a ban. */
  readonly closed: Counter;
}

export function createBanMetrics(registry: Registry): BanMetrics {
  const registers = [registry];
  return {
    entries: new Gauge({
      name: 'teranode_p2p_bans',
      help: 'Bans in force, by kind and origin',
      labelNames: ['kind', 'origin'],
      registers,
    }),
    changes: new Counter({
      name: 'teranode_p2p_ban_changes_total',
      help: 'Changes of the ban list: added, removed, expired, evicted, cleared',
      labelNames: ['change'],
      registers,
    }),
    storeFailures: new Counter({
      name: 'teranode_p2p_ban_store_failures_total',
      help: 'Failed reads and writes of the ban store',
      labelNames: ['operation'],
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
    offences: new Counter({
      name: 'teranode_p2p_ban_offences_total',
      help: 'Offences scored, by reason',
      labelNames: ['reason'],
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

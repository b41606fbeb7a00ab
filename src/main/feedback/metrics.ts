/** What became of the node's reports about invalid blocks and subtrees. */

import { Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';
import { REPORTED_KINDS } from './invalid-report.js';

export type FeedbackMetrics = ReturnType<typeof createFeedbackMetrics>;

/** What became of one record. */
const OUTCOMES = ['scored', 'repeat', 'nobody', 'late', 'catching_up', 'malformed'] as const;
export type FeedbackOutcome = (typeof OUTCOMES)[number];

export function createFeedbackMetrics(registry: Registry) {
  const registers = [registry];
  return {
    reports: zeroedCounter({
      name: 'teranode_p2p_invalid_reports_total',
      help: 'Invalid blocks and subtrees that the node reported, by kind and what came of it: scored, repeat (everybody concerned has been scored for it), nobody (nobody known announced it, or nobody can be told from the others), late (more than 10 minutes old: forgiven), catching_up (not judged meanwhile), malformed.',
      labels: { kind: REPORTED_KINDS, outcome: OUTCOMES },
      registers,
    }),
    scored: zeroedCounter({
      name: 'teranode_p2p_invalid_report_peers_total',
      help: 'Peers scored for what was reported, by kind and how they were found: announced, peer_id, url.',
      labels: { kind: REPORTED_KINDS, found: ['announced', 'peer_id', 'url'] },
      registers,
    }),
    invalidBlocks: new Gauge({
      name: 'teranode_p2p_invalid_blocks_remembered',
      help: 'Hashes of invalid blocks, which are not announced.',
      registers,
    }),
  };
}

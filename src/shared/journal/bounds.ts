/** How large the journal may grow, and how much of it a restart needs. */

import { QUEUES } from '../queues.js';
import type { JournalOptions } from './options.js';

export type JournalBounds = Pick<
  JournalOptions,
  'segmentBytes' | 'segmentMs' | 'retentionMs' | 'retentionBytes' | 'repeats'
>;

/** Repeats are recognised for ten minutes (`workers/publisher/admission.ts`), a restart included as far as the newest half million. */
const { windowMs, overRestart } = QUEUES.repeats.bounds;

/** The bounds that `settings` ask for. */
export function journalBounds(settings: {
  readonly p2p_feed_retention: number;
  readonly p2p_feed_retention_bytes: number;
}): JournalBounds {
  return {
    // Whole segments go, so that a small journal needs small ones.
    segmentBytes: Math.min(64 * 1_048_576, Math.max(1_048_576, settings.p2p_feed_retention_bytes / 8)),
    segmentMs: 3_600_000,
    retentionMs: settings.p2p_feed_retention,
    retentionBytes: settings.p2p_feed_retention_bytes,
    repeats: { windowMs, max: overRestart },
  };
}

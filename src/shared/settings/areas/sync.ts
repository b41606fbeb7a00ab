/** Catching up (current generation). */

import type { Setting } from '../setting.js';
import { duration, flag, integer } from '../values/basic.js';
import { peerId } from '../values/keys.js';

const SECOND = 1000;
const HOUR = 3_600_000;

export const SYNC = {
  p2p_force_sync_peer: peerId('Peer ID to sync from whatever the others say.'),
  p2p_allow_pruned_node_fallback: flag(
    true,
    'Catch up from peers without full storage where none with it can be had.',
  ),
  p2p_health_check_enabled: flag(true, 'Catch up only from peers whose data hub answers.'),
  p2p_sync_coordination: flag(
    { first: false, current: true },
    'Choose a peer to catch up from when behind; never with the embedded chain (this server).',
  ),
  p2p_sync_interval: duration(2 * SECOND, 'Between two looks at whether to catch up (this server).', 10),
  p2p_sync_peer_no_progress_timeout: duration(
    5 * 60 * SECOND,
    'Without a new block for this long, another peer is chosen to catch up from.',
    0,
    { aliases: ['p2p_sync_standstill'] },
  ),
  p2p_full_storage_penalty_duration: duration(
    HOUR,
    'How long a peer that lacked a block is not believed to store everything, nor preferred for work validated from it.',
  ),
  p2p_full_delivery_freshness_window: duration(
    24 * HOUR,
    'How long a peer that delivered a valid block is preferred for it; 0: for good.',
  ),
  p2p_max_unproven_sync_probes_per_backoff_window: integer(
    3,
    'Peers of which nothing is proven that are tried until our height rises or a pause is over; 0: none.',
    { min: 0 },
  ),
  p2p_sync_coordinator_periodic_evaluation_interval: duration(
    30 * SECOND,
    'How often a sync peer that moves nothing is weighed against one with more validated work.',
    SECOND,
  ),
} as const satisfies Record<string, Setting>;

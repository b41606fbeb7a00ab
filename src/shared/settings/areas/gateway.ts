/** Gateways: notification servers that are fed by the notifications topic. */

import type { Setting } from '../setting.js';
import { duration } from '../values/basic.js';
import { peerId } from '../values/keys.js';

const SECOND = 1000;

export const GATEWAY = {
  p2p_gateway_node: peerId(
    'Peer ID of the node whose status greets clients of a gateway; empty: whichever writes to the topic and told its status last (this server).',
  ),
  p2p_gateway_merge_window: duration(
    60 * SECOND,
    'What several nodes wrote to the topic of one announcement within so long, a gateway shows once; 0: each time (this server).',
  ),
  p2p_gateway_max_lag: duration(
    30 * SECOND,
    'How long a gateway may be behind the end of the topic before it is not ready (this server).',
    SECOND,
  ),
} as const satisfies Record<string, Setting>;

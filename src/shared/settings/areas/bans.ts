/** Bans. */

import type { Setting } from '../setting.js';
import { duration, integer } from '../values/basic.js';
import { storeUrl } from '../values/texts.js';

const HOUR = 3_600_000;

export const BANS = {
  p2p_ban_threshold: integer(100, 'Score at which a peer is banned.', { min: 1 }),
  p2p_ban_duration: duration(24 * HOUR, 'How long an automatic ban lasts.'),
  blockchain_store: storeUrl('postgres://… shares its bans table; else the embedded store.', {
    secret: true,
  }),
} as const satisfies Record<string, Setting>;

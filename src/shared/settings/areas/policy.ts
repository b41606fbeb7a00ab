/** What the node tells of itself in node_status. */

import type { Setting } from '../setting.js';
import { decimal, integer } from '../values/basic.js';

export const POLICY = {
  minminingtxfee: decimal(0.000_000_01, 'Fee in BSV a thousand bytes, told in node_status.', { min: 0 }),
  maxscriptsizepolicy: integer(500_000, 'Largest script in bytes, told in node_status.', { min: 0 }),
  maxtxsizepolicy: integer(100_000_000, 'Largest transaction in bytes, told in node_status.', { min: 0 }),
  maxtxsigopscountspolicy: integer(
    4_294_967_295,
    'Signature operations of a transaction at the most, told in node_status.',
    { min: 0 },
  ),
  global_blockHeightRetention: integer(
    288,
    'Blocks that stay unpruned: told as full storage while the block persister lags no more.',
    { min: 0 },
  ),
} as const satisfies Record<string, Setting>;

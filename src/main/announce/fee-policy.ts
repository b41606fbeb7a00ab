/** What a node tells of itself by the settings that it shares with the services around it: fees and limits, and its storage. */

import type { FeePolicy } from '../../shared/messages/fee-policy.js';
import type { Settings } from '../../shared/settings/table.js';

export type PolicySettings = Pick<
  Settings,
  'minminingtxfee' | 'maxscriptsizepolicy' | 'maxtxsizepolicy' | 'maxtxsigopscountspolicy'
>;

const SATOSHIS = 100_000_000;

/** `fee_policy`: the fee a thousand bytes in satoshis, rounded, where Go cuts off and may tell one too few. */
export function feePolicy(settings: PolicySettings): FeePolicy {
  return {
    miningFee: { satoshis: Math.round(settings.minminingtxfee * SATOSHIS), bytes: 1000 },
    maxscriptsizepolicy: settings.maxscriptsizepolicy,
    maxtxsizepolicy: settings.maxtxsizepolicy,
    maxtxsigopscountspolicy: settings.maxtxsigopscountspolicy,
  };
}

/** The blockchain service's state that the block persister writes: the height up to which blocks are stored whole. */
export const PERSISTED_STATE = 'BlockPersisterHeight';

/** `global_blockHeightRetention` where it is 0. */
const RETENTION = 288;

/**
 * `full` while blocks are persisted up to no more than `retention` below `height`, since nothing younger is pruned; else
 * `pruned`. `state` is little-endian; absent, short or 0: nothing persists.
 */
export function storageOf(
  state: Uint8Array | undefined,
  height: number,
  retention: number,
): 'full' | 'pruned' {
  if (state === undefined || state.length < 4) return 'pruned';
  const persisted = new DataView(state.buffer, state.byteOffset, state.byteLength).getUint32(0, true);
  if (persisted === 0) return 'pruned';
  return height - persisted <= (retention || RETENTION) ? 'full' : 'pruned';
}

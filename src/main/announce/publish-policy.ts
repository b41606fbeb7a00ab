/** What this node may publish, and to whom, by its listen mode and the chain's state. */

import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { Settings } from '../../shared/settings/table.js';
import type { FsmState } from '../chain/types.js';

/** `publish`: to the network and to our WebSocket clients; `local`: to those alone; `drop`: to nobody. */
export type PublishPolicy = 'publish' | 'local' | 'drop';

/** Names of the kinds that tell of the node itself. */
const STATUS = new Set(
  MESSAGE_KINDS.filter(({ published }) => published === 'status').map(({ name }) => name),
);

/**
 * A node that is not RUNNING hears its chain's past go by, which is no news to anybody: only its status is. A state that
 * cannot be read (undefined) is taken for RUNNING. The listen mode then decides what leaves the machine.
 */
export function publishPolicyOf(
  kind: string,
  mode: Settings['listen_mode'],
  state: FsmState | undefined,
): PublishPolicy {
  const status = STATUS.has(kind);
  if (!status && state !== undefined && state !== 'RUNNING') return 'drop';
  if (mode === 'full' || (mode === 'listen_only' && status)) return 'publish';
  return 'local';
}

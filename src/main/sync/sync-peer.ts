/** From whom the node catches up, as others see it. */

import type { PeerIdText } from '../../shared/net/peer-id.js';

/** The peer from which the node catches up. */
export interface SyncPeer {
  readonly id: PeerIdText;
  readonly height: number;
  readonly hash: string;
  /** Unix seconds. */
  readonly connectedAt: number;
}

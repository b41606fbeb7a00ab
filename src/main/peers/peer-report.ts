/** What the services around this node report of a peer. */

import type { PeerIdText } from '../../shared/net/peer-id.js';

/** A failed catch-up is reported by a call and by a notification of the chain. */
export type FailureSource = 'call' | 'notification';

/** What was reported of a peer and is recorded, for who keeps records too. */
export type PeerReport = { readonly peer: PeerIdText } & (
  | {
      readonly type:
        | 'catchup_attempt'
        | 'catchup_failure'
        | 'malicious'
        | 'failure'
        | 'storage_doubted'
        | 'valid_block'
        | 'valid_subtree'
        | 'reset';
    }
  | { readonly type: 'catchup_success' | 'valid_headers'; readonly ms: bigint }
  | { readonly type: 'catchup_error'; readonly text: string }
  | {
      readonly type: 'validated';
      readonly height: number;
      readonly hash: string;
      /** Big-endian. */
      readonly work: Uint8Array;
    }
  | { readonly type: 'downloaded'; readonly bytes: bigint }
);

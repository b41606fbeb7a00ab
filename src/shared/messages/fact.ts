/** What messages say of peers. */

import type { PeerIdText } from '../net/peer-id.js';
import type { DataHubUrl } from './data-hub-url.js';

/** What a message says of its author: kept by main, never by the publisher. */
export type PeerFact =
  | { readonly type: 'best_block_requested'; readonly peer: PeerIdText }
  | {
      readonly type: 'block';
      readonly peer: PeerIdText;
      readonly height: number;
      readonly hash: string;
      readonly dataHubUrl: DataHubUrl | '';
      readonly clientName: string;
      /** 160 hex digits, or empty in the first generation. */
      readonly header: string;
    }
  | {
      readonly type: 'node_status';
      readonly peer: PeerIdText;
      readonly height: number;
      readonly hash: string;
      readonly dataHubUrl: DataHubUrl | '';
      readonly clientName: string;
      readonly storage: string;
      /** Hex, or empty. */
      readonly chainWork: string;
    };

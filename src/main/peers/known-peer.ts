/** What one peer told of itself, as it is kept and stored. */

import type { DataHubUrl } from '../../shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { decodeFlat, encodeFlat } from './stored-object.js';

export interface KnownPeer {
  /** Base58. */
  readonly id: PeerIdText;
  /** As told, at the most ours plus `p2p_max_unvalidated_advertised_height_lead`; 0 before the first word of it. */
  readonly height: number;
  /** Height when it was first heard. */
  readonly startingHeight: number;
  /** Best block, 64 hex digits in display order, or empty. */
  readonly bestBlock: string;
  /** Data hub, or empty; empty where it is longer than 256 bytes and of a peer that was never connected and has no record. */
  readonly dataHubUrl: DataHubUrl | '';
  /** Client name, or empty. */
  readonly name: string;
  /** `full`, `pruned`, or empty. */
  readonly storage: string;
  /** Hex, or empty. */
  readonly chainWork: string;
  /** Unix ms of its last message; 0 for none. */
  readonly lastReceived: number;
  /** Unix ms of its last block; 0 for none. */
  readonly lastBlock: number;
  /** Unix ms when it was last connected; 0 for never. */
  readonly connectedAt: number;
  /** Over the connections that have closed. */
  readonly bytesReceived: bigint;
}

/** Of a peer that has told nothing. */
export const NOTHING_KNOWN: Omit<KnownPeer, 'id'> = {
  height: 0,
  startingHeight: 0,
  bestBlock: '',
  dataHubUrl: '',
  name: '',
  storage: '',
  chainWork: '',
  lastReceived: 0,
  lastBlock: 0,
  connectedAt: 0,
  bytesReceived: 0n,
};

const { dataHubUrl: url, lastReceived: lastHeard, ...others } = NOTHING_KNOWN;
const STORED_NOTHING = { ...others, url, lastHeard };

/** Heights are 32-bit on every wire. */
export const MAX_HEIGHT = 0xffff_ffff;

/** JSON for the embedded store, where two fields have older names. */
export function encodeKnown({ dataHubUrl: url, lastReceived: lastHeard, ...known }: KnownPeer): string {
  return encodeFlat({ ...known, url, lastHeard });
}

/** What is in `json` of a base58 peer ID. Throws what `decodeFlat` throws, and RangeError on a height that no wire carries. */
export function decodeKnown(peerId: PeerIdText, json: string): KnownPeer {
  const { url, lastHeard, ...known } = decodeFlat(STORED_NOTHING, json);
  if (Math.max(known.height, known.startingHeight) > MAX_HEIGHT)
    throw new RangeError('a height is not 32-bit');
  return { ...known, id: peerId, dataHubUrl: url as DataHubUrl | '', lastReceived: lastHeard };
}

/** Peer IDs as text. */

import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';

declare const base58: unique symbol;

/** A libp2p peer ID in its canonical text, base58btc: two of them are the same peer's where the texts are equal. */
export type PeerIdText = string & { readonly [base58]: true };

/** Longest text that is looked at, in UTF-16 units. */
const MAX_LENGTH = 256;

/** The canonical form of a peer ID that somebody wrote, in base58 or as a CID; undefined when it is none. */
export function parsePeerId(text: string): PeerIdText | undefined {
  if (text.length > MAX_LENGTH || !/^[0-9A-Za-z]{10,}$/.test(text)) return undefined;
  try {
    return peerIdText(peerIdFromString(text));
  } catch {
    return undefined;
  }
}

/** The text of a peer ID of libp2p's. */
export function peerIdText(peerId: PeerId): PeerIdText {
  return peerId.toString() as PeerIdText;
}

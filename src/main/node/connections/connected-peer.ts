/** A connected peer, as the rest of the server sees it. */

import type { PeerIdText } from '../../../shared/net/peer-id.js';

/** One connected peer and what was counted of it. Times are unix ms, 0 for never. */
export interface ConnectedPeer {
  readonly id: PeerIdText;
  /** Multiaddr of the remote end. */
  readonly address: string;
  readonly inbound: boolean;
  readonly connectedAt: number;
  readonly lastSend: number;
  readonly lastReceive: number;
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  /** Round trip of the last ping in ms; undefined before the first. */
  readonly pingMs: number | undefined;
  /** Identify agent version. */
  readonly agent: string;
  readonly protocolVersion: string;
  /** Static, bootstrap or in p2p_allowed_addresses. */
  readonly trusted: boolean;
  /** Static or bootstrap. */
  readonly configured: boolean;
  /** GossipSub score. */
  readonly score: number;
}

/** What the rest of the server sees of the libp2p node. */

import type { DependencyHealth } from '../../shared/health.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { ConnectedPeer } from './connections/connected-peer.js';
import type { Verdict } from './gossip/verdicts.js';
import type { ReceivedMessage } from './messages/types.js';

export type { ConnectedPeer } from './connections/connected-peer.js';
export type { BanPolicy } from './connections/gater.js';

export type {
  Checking,
  IncomingMessage,
  Judgement,
  MessageChecks,
  ReceivedMessage,
} from './messages/types.js';

/** Peer IDs are base58. */
export interface NodeEvents {
  /** Verdict is owed: call `report` exactly once a message. */
  received: [message: ReceivedMessage];
  /** One JSON message from the direct stream, unchecked, at most 32 KiB. */
  direct: [message: { readonly source: PeerIdText; readonly data: Uint8Array }];
  connected: [peerId: PeerIdText];
  /** Its last connection has closed; `bytesReceived` came over all of them. */
  disconnected: [peerId: PeerIdText, bytesReceived: bigint];
  /** Persistent excess of a connection's budget. */
  excess: [peerId: PeerIdText];
  /** It has sent one more message in its own name that is not valid than can be by mistake. */
  forged: [peerId: PeerIdText];
}

export interface P2PNode {
  /** Base58. */
  readonly peerId: PeerIdText;
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  on<E extends keyof NodeEvents>(event: E, listener: (...values: NodeEvents[E]) => void): unknown;
  /** Publishes already framed bytes on a kind's topic. Resolves with the number of peers it went to. */
  publish(kind: number, data: Uint8Array): Promise<number>;
  /** Connected peers that have said that they listen to a kind's topic. */
  subscribers(kind: number): number;
  /** Verdict on a message that was `received`; see `Verdict` for what each does. */
  report(messageId: string, verdict: Verdict): void;
  /** Writes one message on the direct stream and closes it. */
  sendDirect(peerId: PeerIdText, data: Uint8Array, signal?: AbortSignal): Promise<void>;
  isConnected(peerId: PeerIdText): boolean;
  peers(): readonly ConnectedPeer[];
  /** Undefined for one that is not connected. */
  peer(peerId: PeerIdText): ConnectedPeer | undefined;
  /** Multiaddrs others can dial, with /p2p/<id>. */
  addresses(): readonly string[];
  /** Throws RangeError on a multiaddr that does not parse or lacks a peer ID. */
  connect(multiaddr: string, signal?: AbortSignal): Promise<void>;
  disconnect(peerId: PeerIdText): Promise<boolean>;
  /** Closes connections whose remote address (IP text) or peer ID matches. Resolves with how many. */
  closeMatching(
    matches: (remote: { readonly address: string; readonly peerId: PeerIdText }) => boolean,
  ): Promise<number>;
  /** Peer names shown in message-bus envelopes and the peer cache. */
  setPeerName(peerId: PeerIdText, name: string): void;
  health(signal: AbortSignal): Promise<DependencyHealth>;
}

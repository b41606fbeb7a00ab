/** What the rest of the server sees of the libp2p node. */

import type { PeerId } from '@libp2p/interface';
import type { DependencyHealth } from '../../shared/health.js';
import type { Signed } from '../../shared/pipeline/types.js';

/** A gossip message that has come, unopened, and that nobody has verified: who signed it is a claim. */
export interface IncomingMessage {
  /** Index in the table of message kinds. */
  readonly kind: number;
  /** Base58. */
  readonly author: string;
  /** Base58; the propagation source. */
  readonly source: string;
  readonly data: Uint8Array;
  readonly signed: Signed;
}

/** What was found out about a message that came. */
export interface Judgement {
  /**
   * `refused`: nobody looked at it, for reasons that every copy of it shares. `shed`: nobody looked at this copy. `poisonous`: it
   * kills who looks.
   */
  readonly signature: 'holds' | 'forged' | 'refused' | 'shed' | 'poisonous';
  /** Who looked at the signature: a thread of the pool, or main itself. */
  readonly where: 'thread' | 'main';
}

/** A message on its way through a checker. */
export interface Checking {
  /** Settles in the order in which messages were handed to the checkers; never rejects. */
  readonly judgement: Promise<Judgement>;
  /** The same message has come from another neighbour as well. */
  copyFrom(source: string): void;
}

/** Verifies what comes and, if the signature holds, goes on to check it: one way to a checker and back for both. */
export interface MessageChecks {
  check(message: IncomingMessage): Checking;
}

/** A gossip message whose signature holds, unopened, waiting for a verdict. */
export interface ReceivedMessage {
  /** GossipSub's message id, as its events give it. */
  readonly id: string;
  /** Id of the message kind. */
  readonly kind: number;
  /** Base58. */
  readonly author: string;
  /** Base58; the propagation source. */
  readonly source: string;
  readonly data: Uint8Array;
  /** As the checks gave it; undefined where the library verified. */
  readonly judgement?: Judgement | undefined;
}

/** One connected peer and what was counted of it. Times are unix ms, 0 for never. */
export interface ConnectedPeer {
  readonly id: string;
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

export interface NodeEvents {
  /** Verdict is owed: call `report` exactly once a message. */
  received(message: ReceivedMessage): void;
  /** One JSON message from the direct stream, unchecked, at most 32 KiB. */
  direct(message: { readonly source: string; readonly data: Uint8Array }): void;
  connected(peerId: string): void;
  /** Its last connection has closed; `bytesReceived` came over all of them. */
  disconnected(peerId: string, bytesReceived: bigint): void;
  /** Persistent excess of a connection's budget. */
  excess(peerId: string): void;
  /** It has sent one more message in its own name that is not valid than can be by mistake. */
  forged(peerId: string): void;
}

export interface P2PNode {
  /** Base58. */
  readonly peerId: string;
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  on<E extends keyof NodeEvents>(event: E, listener: NodeEvents[E]): void;
  /** Publishes already framed bytes on a kind's topic. Resolves with the number of peers it went to. */
  publish(kind: number, data: Uint8Array): Promise<number>;
  /** Connected peers that have said that they listen to a kind's topic. */
  listeners(kind: number): number;
  report(messageId: string, source: string, verdict: 'accept' | 'ignore' | 'reject'): void;
  /** Writes one message on the direct stream and closes it. */
  sendDirect(peerId: string, data: Uint8Array, signal?: AbortSignal): Promise<void>;
  isConnected(peerId: string): boolean;
  peers(): readonly ConnectedPeer[];
  /** Multiaddrs others can dial, with /p2p/<id>. */
  addresses(): readonly string[];
  /** Throws RangeError on a multiaddr that does not parse or lacks a peer ID. */
  connect(multiaddr: string, signal?: AbortSignal): Promise<void>;
  disconnect(peerId: string): Promise<boolean>;
  /** Closes connections whose remote address (IP text) or peer ID matches. Resolves with how many. */
  closeMatching(
    matches: (remote: { readonly address: string; readonly peerId: string }) => boolean,
  ): Promise<number>;
  /** Peer names shown in message-bus envelopes and the peer cache. */
  setPeerName(peerId: string, name: string): void;
  health(signal: AbortSignal): Promise<DependencyHealth>;
}

/** What the gater asks of the ban list: synchronous, constant time. */
export interface BanPolicy {
  isAddressBanned(address: string): boolean;
  isPeerBanned(peerId: string): boolean;
  /** Application score for GossipSub, 0 or negative. */
  applicationScore(peerId: string): number;
}

export type { PeerId };

/**
 * What GossipSub receives and sends goes by a guard first.
 *
 * Reason: the library takes as many messages, subscriptions and control messages as come, verifies each, and never tells a sender to wait;
 * to a peer that does not read it goes on sending until a buffer is full.
 */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { PeerId, Stream } from '@libp2p/interface';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';

/** What GossipSub has and its exported type does not show. */
export interface GuardedGossip {
  handleReceivedRpc(from: PeerId, rpc: RPC): Promise<void>;
  handleReceivedMessage(from: PeerId, message: RPC.Message): Promise<void>;
  sendRpc(peerId: string, rpc: RPC): boolean;
  readonly streamsOutbound: ReadonlyMap<string, { readonly rawStream: Stream }>;
}

/** Peer IDs are base58. */
export interface RpcGuard {
  /** An RPC has come; what is taken out of it is not handled. False: none of it is. */
  received(peerId: PeerIdText, rpc: RPC): boolean;
  /** One of its messages is handled from now on. */
  entered(peerId: string): void;
  /** GossipSub has verified that message, or thrown it away. */
  left(peerId: string): void;
  /** Whether more may be sent to a peer that has so many bytes still to read. */
  maySend(peerId: string, waitingBytes: number): boolean;
  /** An RPC is on its way to the peer. */
  sent(peerId: string, rpc: RPC): void;
}

/** Applies the patch to one GossipSub: last, so that the guard comes before the others. */
export function guardRpcs(gossip: GuardedGossip, guard: RpcGuard): void {
  const receiveRpc = gossip.handleReceivedRpc.bind(gossip);
  gossip.handleReceivedRpc = (from, rpc) =>
    guard.received(peerIdText(from), rpc) ? receiveRpc(from, rpc) : Promise.resolve();

  const receiveMessage = gossip.handleReceivedMessage.bind(gossip);
  gossip.handleReceivedMessage = (from, message) => {
    const peerId = from.toString();
    guard.entered(peerId);
    const left = () => guard.left(peerId);
    const received = receiveMessage(from, message);
    received.then(left, left);
    return received;
  };

  const sendRpc = gossip.sendRpc.bind(gossip);
  gossip.sendRpc = (peerId, rpc) => {
    const waiting = gossip.streamsOutbound.get(peerId)?.rawStream.writeBufferLength ?? 0;
    if (!guard.maySend(peerId, waiting)) return false;
    const sent = sendRpc(peerId, rpc);
    if (sent) guard.sent(peerId, rpc);
    return sent;
  };
}

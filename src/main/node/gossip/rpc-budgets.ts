/**
 * What a peer may send in one RPC, and what it may leave unread: budget and backpressure before anything is verified, traffic counted
 * both ways.
 */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Traffic } from '../connections/traffic.js';
import type { RpcGuard } from '../patches/rpc-guard.js';
import type { Backpressure } from './backpressure.js';
import type { ConnectionBudgets } from './budgets.js';
import type { PeerExchange } from './peer-exchange.js';

/** Bytes that may wait for a peer that does not read, before its connection is closed. */
export const OUTBOUND_BOUND = QUEUES.gossipToPeer.bounds.bytes;
/** Bytes of a message besides its data: author, sequence number, signature, topic. */
const MESSAGE_OVERHEAD = 160;
/** Subscriptions, control messages or ids in them that cost as much as a message. */
const ENTRIES_A_MESSAGE = 32;
const ENTRY_OVERHEAD = 16;
/** A peer may ask for an hour's pause, not for one that we would remember for ever. */
const LONGEST_BACKOFF_S = 3600;

export interface RpcBudgetsComponents {
  readonly budgets: ConnectionBudgets;
  readonly backpressure: Backpressure;
  readonly traffic: Traffic;
  readonly exchange: PeerExchange;
}

export interface RpcBudgetsOptions {
  /** A peer has told that it is subscribed to a topic, ours or another. */
  readonly onSubscribed: (peerId: PeerIdText, topic: string) => void;
  /** A peer has not read for so long that its connection should be closed; may be called again until it is. */
  readonly onStalled: (peerId: PeerIdText) => void;
}

export class RpcBudgets implements RpcGuard {
  readonly #components: RpcBudgetsComponents;
  readonly #options: RpcBudgetsOptions;

  constructor(components: RpcBudgetsComponents, options: RpcBudgetsOptions) {
    this.#components = components;
    this.#options = options;
  }

  received(peerId: PeerIdText, rpc: RPC): boolean {
    const { budgets, traffic, exchange } = this.#components;
    if (rpc.messages.length > 0) {
      traffic.received(peerId, rpc.messages.length);
      rpc.messages = rpc.messages.filter((message) => budgets.admit(peerId, sizeOf(message)));
    }
    const cost = controlCost(rpc);
    if (cost.messages > 0 && !budgets.admit(peerId, cost.bytes, cost.messages)) {
      if (rpc.messages.length === 0) return false;
      rpc.subscriptions = [];
      delete rpc.control;
    }
    for (const { topic, subscribe } of rpc.subscriptions) {
      if (subscribe === true && topic !== undefined) this.#options.onSubscribed(peerId, topic);
    }
    for (const prune of rpc.control?.prune ?? []) {
      if ((prune.backoff ?? 0) > LONGEST_BACKOFF_S) prune.backoff = LONGEST_BACKOFF_S;
      if (prune.peers.length > 0) prune.peers = exchange.admit(peerId, prune.peers);
    }
    return true;
  }

  entered(peerId: PeerIdText): void {
    this.#components.backpressure.enter(peerId);
  }

  left(peerId: PeerIdText): void {
    this.#components.backpressure.leave(peerId);
  }

  maySend(peerId: PeerIdText, waitingBytes: number): boolean {
    if (waitingBytes <= OUTBOUND_BOUND) return true;
    this.#options.onStalled(peerId);
    return false;
  }

  sent(peerId: PeerIdText, rpc: RPC): void {
    if (rpc.messages.length > 0) this.#components.traffic.sent(peerId, rpc.messages.length);
  }
}

const sizeOf = (message: RPC.Message): number => (message.data?.length ?? 0) + MESSAGE_OVERHEAD;

/** What subscriptions and control of an RPC amount to, in messages and bytes; an RPC with nothing in it counts as well. */
function controlCost({ subscriptions, messages, control }: RPC): { messages: number; bytes: number } {
  let entries = subscriptions.length;
  let bytes = 0;
  for (const { topic } of subscriptions) bytes += topic?.length ?? 0;
  if (control !== undefined) {
    const { ihave, iwant, idontwant, graft, prune } = control;
    entries += graft.length;
    for (const { messageIDs } of [...ihave, ...iwant, ...idontwant]) {
      entries += 1 + messageIDs.length;
      for (const id of messageIDs) bytes += id.length;
    }
    for (const { peers } of prune) entries += 1 + peers.length;
  }
  if (entries === 0 && messages.length > 0) return { messages: 0, bytes: 0 };
  return {
    messages: Math.max(1, Math.ceil(entries / ENTRIES_A_MESSAGE)),
    bytes: bytes + entries * ENTRY_OVERHEAD,
  };
}

/** GossipSub as this network needs it: its topics, ids, scores, and the budget before each message. */

import { type GossipSub, gossipsub, StrictSign } from '@chainsafe/libp2p-gossipsub';
import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { AddrInfo } from '@chainsafe/libp2p-gossipsub/types';
import { gossipTopic } from '../../../shared/bitcoin/networks.js';
import type { MessageKind } from '../../../shared/messages/kind.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { Traffic } from '../metrics/traffic.js';
import { meshWithDirectPeers } from '../patches/direct-peers.js';
import { boundMemory } from '../patches/gossip-memory.js';
import type { GossipStreams, StreamComponents } from '../patches/gossip-streams.js';
import {
  blameAuthorsAlone,
  type GossipInternals,
  keepUncheckedMessages,
  type Patches,
  resetOversizedStreams,
  resetReplacedStreams,
  verifyByCheckers,
} from '../patches/library-patches.js';
import { retainScores } from '../patches/retained-scores.js';
import type { Backpressure } from './backpressure.js';
import type { ConnectionBudgets } from './budgets.js';
import { fastMessageId, messageId, messageIdText } from './message-id.js';
import { PeerExchange } from './peer-exchange.js';
import { NO_SCORES, SCORE_THRESHOLDS, type ScoreInputs, scoreParameters } from './score-parameters.js';
import type { Verification } from './verification.js';

/** Bytes of one RPC at the most; Go splits its own at 1 MiB. */
const RPC_BOUND = 2 * 1024 * 1024;
/** Bytes that may wait for a peer that does not read, before its connection is closed. */
const OUTBOUND_BOUND = QUEUES.gossipToPeer.bounds.bytes;
/** Bytes of a message besides its data: author, sequence number, signature, topic. */
const MESSAGE_OVERHEAD = 160;

/**
 * What one RPC may hold besides messages; one with more is dropped whole. A node speaks of a handful of topics, in control
 * messages of one or two a topic.
 */
const RPC_LIMITS = {
  maxSubscriptions: 1024,
  maxMessages: 5000,
  maxControlMessages: 256,
  maxIhaveMessageIDs: 5000,
  maxIwantMessageIDs: 5000,
  maxIdontwantMessageIDs: 512,
  maxPeerInfos: 16,
};
/** Subscriptions, control messages or ids in them that cost as much as a message. */
const ENTRIES_A_MESSAGE = 32;
const ENTRY_OVERHEAD = 16;
/** A peer may ask for an hour's pause, not for one that we would remember for ever. */
const LONGEST_BACKOFF_S = 3600;

/** The topics of these kinds, in their order: `<prefix>-<setting>`. */
export function topicNames(settings: Settings, kinds: readonly MessageKind[]): string[] {
  return kinds.map((kind) => gossipTopic(settings, kind));
}

export interface GossipComponents {
  readonly settings: Settings;
  readonly budgets: ConnectionBudgets;
  readonly backpressure: Backpressure;
  readonly traffic: Traffic;
  /** Undefined: as many streams as the library opens. */
  readonly streams: GossipStreams | undefined;
  /** Undefined: signatures are verified where the library does it. */
  readonly verification: Verification | undefined;
  /** A message was dropped that is not valid, without blame for who sent it. */
  readonly onUnblamed: () => void;
  /** A peer has sent a message in its own name that is not valid. */
  readonly onForged: (peerId: string) => void;
  /** A peer has told that it is subscribed to a topic, ours or another. */
  readonly onSubscribed: (peerId: string, topic: string) => void;
  /** A peer has not read for so long that its connection should be closed; may be called again until it is. */
  readonly onStalled: (peerId: string) => void;
}

export interface GossipOptions extends ScoreInputs {
  readonly patches: Patches;
  readonly kindOfTopic: ReadonlyMap<string, Pick<MessageKind, 'id'>>;
  /** Static and bootstrap peers of the current generation: always spoken to. */
  readonly directPeers: readonly AddrInfo[];
}

type Create = ReturnType<typeof gossipsub>;

/** What libp2p takes as a service; the instance shows its internals to this folder. */
export function gossipService(
  components: GossipComponents,
  options: GossipOptions,
): (components: Parameters<Create>[0]) => GossipInternals {
  const { settings } = components;
  const create = gossipsub({
    globalSignaturePolicy: StrictSign,
    // Nothing is forwarded before its verdict.
    asyncValidation: true,
    // Go's id, or IHAVE, IWANT and IDONTWANT mean nothing to a Go node.
    msgIdFn: messageId,
    msgIdToStrFn: messageIdText,
    fastMsgIdFn: fastMessageId,
    allowedTopics: [...options.topics],
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    emitSelf: false,
    fallbackToFloodsub: false,
    doPX: settings.p2p_enable_peer_exchange,
    directPeers: [...options.directPeers],
    heartbeatInterval: settings.p2p_heartbeat_interval,
    maxInboundDataLength: RPC_BOUND,
    decodeRpcLimits: RPC_LIMITS,
    // A backstop: the library gives up the stream alone, and the peer would hear nothing and not know.
    maxOutboundBufferSize: OUTBOUND_BOUND * 2,
    scoreParams: settings.p2p_enable_peer_scoring
      ? scoreParameters(options, settings.p2p_peer_score_ip_colocation_threshold)
      : NO_SCORES,
    scoreThresholds: SCORE_THRESHOLDS,
  });
  return (libp2pComponents) => {
    const gossip = create(libp2pComponents) as GossipSub as GossipInternals;
    const { verification } = components;
    if (verification !== undefined) verifyByCheckers(gossip, verification, options.kindOfTopic);
    blameAuthorsAlone(gossip, { onDropped: components.onUnblamed, onForged: components.onForged });
    if (options.patches.directPeersInMesh) meshWithDirectPeers(gossip);
    if (options.patches.retainedScores) retainScores(gossip.score);
    if (options.patches.gossipMemory) {
      gossip.remembered = boundMemory(gossip, {
        idBytes: settings.p2p_gossip_id_bytes,
        messageBytes: settings.p2p_gossip_message_bytes,
      });
    }
    keepUncheckedMessages(gossip);
    const { streams } = components;
    streams?.lay(gossip, libp2pComponents as object as StreamComponents);
    resetReplacedStreams(gossip, streams && ((...replaced) => streams.drains(...replaced)));
    resetOversizedStreams(gossip);
    guard(gossip, components);
    return gossip;
  };
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

/** Budget and backpressure before anything is verified, traffic counted both ways. */
function guard(
  gossip: GossipInternals,
  { budgets, backpressure, traffic, onSubscribed, onStalled }: GossipComponents,
): void {
  const exchange = new PeerExchange(gossip);
  const receiveRpc = gossip.handleReceivedRpc.bind(gossip);
  gossip.handleReceivedRpc = (from, rpc) => {
    const peerId = from.toString();
    if (rpc.messages.length > 0) {
      traffic.received(peerId, rpc.messages.length);
      rpc.messages = rpc.messages.filter((message) => budgets.admit(peerId, sizeOf(message)));
    }
    const cost = controlCost(rpc);
    if (cost.messages > 0 && !budgets.admit(peerId, cost.bytes, cost.messages)) {
      if (rpc.messages.length === 0) return Promise.resolve();
      rpc.subscriptions = [];
      delete rpc.control;
    }
    for (const { topic, subscribe } of rpc.subscriptions) {
      if (subscribe === true && topic !== undefined) onSubscribed(peerId, topic);
    }
    for (const prune of rpc.control?.prune ?? []) {
      if ((prune.backoff ?? 0) > LONGEST_BACKOFF_S) prune.backoff = LONGEST_BACKOFF_S;
      if (prune.peers.length > 0) prune.peers = exchange.admit(peerId, prune.peers);
    }
    return receiveRpc(from, rpc);
  };

  const receiveMessage = gossip.handleReceivedMessage.bind(gossip);
  gossip.handleReceivedMessage = (from, message) => {
    const peerId = from.toString();
    backpressure.enter(peerId);
    const leave = () => backpressure.leave(peerId);
    const received = receiveMessage(from, message);
    received.then(leave, leave);
    return received;
  };

  const sendRpc = gossip.sendRpc.bind(gossip);
  gossip.sendRpc = (peerId, rpc) => {
    const waiting = gossip.streamsOutbound.get(peerId)?.rawStream.writeBufferLength ?? 0;
    if (waiting > OUTBOUND_BOUND) {
      onStalled(peerId);
      return false;
    }
    const sent = sendRpc(peerId, rpc);
    if (sent && rpc.messages.length > 0) traffic.sent(peerId, rpc.messages.length);
    return sent;
  };
}

/** GossipSub as this network needs it: its topics, ids, scores, and the gate before each message. */

import { type GossipSub, gossipsub, StrictSign } from '@chainsafe/libp2p-gossipsub';
import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { AddrInfo } from '@chainsafe/libp2p-gossipsub/types';
import type { MessageKind } from '../../shared/messages/kind.js';
import { topicPrefix } from '../../shared/networks.js';
import type { Settings } from '../../shared/settings/table.js';
import type { Backpressure } from './backpressure.js';
import type { ConnectionBudgets } from './budgets.js';
import { type GossipInternals, verifyOffThread } from './library-seams.js';
import { fastMessageId, messageId, messageIdText } from './message-id.js';
import { SCORE_THRESHOLDS, type ScoreInputs, scoreParameters } from './score-parameters.js';
import type { Traffic } from './traffic.js';
import type { SignatureVerifier } from './verification.js';

/** Bytes of one RPC at the most; Go splits its own at 1 MiB. */
const RPC_BOUND = 2 * 1024 * 1024;
/** Bytes that may wait for a peer that does not read, before its connection is closed. */
const OUTBOUND_BOUND = 16 * 1024 * 1024;
/** Bytes of a message besides its data: author, sequence number, signature, topic. */
const MESSAGE_OVERHEAD = 160;

/** The topics of these kinds, in their order: `<prefix>-<setting>`. */
export function topicNames(settings: Settings, kinds: readonly MessageKind[]): string[] {
  const prefix = topicPrefix(settings);
  return kinds.map((kind) => `${prefix}-${String(settings[kind.topicSetting])}`);
}

export interface GossipComponents {
  readonly settings: Settings;
  readonly budgets: ConnectionBudgets;
  readonly backpressure: Backpressure;
  readonly traffic: Traffic;
  /** Undefined: signatures are verified where the library does it. */
  readonly verifier: SignatureVerifier | undefined;
  /** A peer has not read for so long that its connection should be closed; may be called again until it is. */
  readonly onStalled: (peerId: string) => void;
}

export interface GossipOptions extends ScoreInputs {
  /** Static and bootstrap peers: always spoken to, never in the mesh. */
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
    doPX: settings.p2p_generation === 'current',
    directPeers: [...options.directPeers],
    heartbeatInterval: settings.p2p_heartbeat_interval,
    maxInboundDataLength: RPC_BOUND,
    // A backstop: the library gives up the stream alone, and the peer would hear nothing and not know.
    maxOutboundBufferSize: OUTBOUND_BOUND * 2,
    scoreParams: scoreParameters(options),
    scoreThresholds: SCORE_THRESHOLDS,
  });
  return (libp2pComponents) => {
    const gossip = create(libp2pComponents) as GossipSub as GossipInternals;
    if (components.verifier !== undefined) verifyOffThread(gossip, components.verifier, options.topics);
    guard(gossip, components);
    return gossip;
  };
}

const sizeOf = (message: RPC.Message): number => (message.data?.length ?? 0) + MESSAGE_OVERHEAD;

/** Budget and backpressure before anything is verified, traffic counted both ways. */
function guard(
  gossip: GossipInternals,
  { budgets, backpressure, traffic, onStalled }: GossipComponents,
): void {
  const receiveRpc = gossip.handleReceivedRpc.bind(gossip);
  gossip.handleReceivedRpc = (from, rpc) => {
    const peerId = from.toString();
    if (rpc.messages.length > 0) {
      traffic.received(peerId, rpc.messages.length);
      rpc.messages = rpc.messages.filter((message) => budgets.admit(peerId, sizeOf(message)));
    } else if (!budgets.admit(peerId, MESSAGE_OVERHEAD)) {
      // Control messages and subscriptions alone cost as much as a small message.
      return Promise.resolve();
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

/** GossipSub as this network needs it: its topics, ids, scores, and the patches that it gets. */

import { type GossipSub, gossipsub, StrictSign } from '@chainsafe/libp2p-gossipsub';
import type { AddrInfo } from '@chainsafe/libp2p-gossipsub/types';
import { gossipTopic } from '../../../shared/bitcoin/networks.js';
import type { MessageKind } from '../../../shared/messages/kind.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { Settings } from '../../../shared/settings/table.js';
import { fastMessageId, messageId, messageIdText } from '../messages/message-id.js';
import { resetAbandonedStreams } from '../patches/abandoned-streams.js';
import { blameAuthorsAlone } from '../patches/author-blame.js';
import { type Verifier, verifyByCheckers } from '../patches/checker-verification.js';
import { meshWithDirectPeers } from '../patches/direct-peers.js';
import type { GossipInternals } from '../patches/gossip-internals.js';
import { boundMemory } from '../patches/gossip-memory.js';
import type { Patches } from '../patches/index.js';
import { connectBeside } from '../patches/peer-exchange.js';
import { retainScores } from '../patches/retained-scores.js';
import { guardRpcs } from '../patches/rpc-guard.js';
import { keepUncheckedMessages } from '../patches/unchecked-messages.js';
import { PeerExchange } from './peer-exchange.js';
import {
  OUTBOUND_BOUND,
  RpcBudgets,
  type RpcBudgetsComponents,
  type RpcBudgetsOptions,
} from './rpc-budgets.js';
import { NO_SCORES, SCORE_THRESHOLDS, type ScoreInputs, scoreParameters } from './score-parameters.js';
import type { GossipStreams, StreamComponents } from './streams.js';

/** Bytes of one RPC at the most; Go splits its own at 1 MiB. */
const RPC_BOUND = 2 * 1024 * 1024;

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

/** The topics of these kinds, in their order: `<prefix>-<setting>`. */
export function topicNames(settings: Settings, kinds: readonly MessageKind[]): string[] {
  return kinds.map((kind) => gossipTopic(settings, kind));
}

export interface GossipServiceComponents extends Omit<RpcBudgetsComponents, 'exchange'> {
  readonly settings: Settings;
  readonly streams: GossipStreams;
  readonly verification: Verifier;
}

export interface GossipServiceOptions extends ScoreInputs, RpcBudgetsOptions {
  readonly patches: Patches;
  readonly kindOfTopic: ReadonlyMap<string, Pick<MessageKind, 'id'>>;
  /** Static and bootstrap peers of the current generation: always spoken to. */
  readonly directPeers: readonly AddrInfo[];
  /** A message was dropped that is not valid, without blame for who sent it. */
  readonly onUnblamed: () => void;
  /** A peer has sent a message in its own name that is not valid. */
  readonly onForged: (peerId: PeerIdText) => void;
}

type Create = ReturnType<typeof gossipsub>;
export type GossipService = (components: Parameters<Create>[0]) => GossipInternals;

/** What libp2p takes as a service; the instance shows its internals to this folder. */
export function gossipService(
  components: GossipServiceComponents,
  options: GossipServiceOptions,
): GossipService {
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
    applyPatches(gossip, libp2pComponents as object as StreamComponents, components, options);
    return gossip;
  };
}

/** In this order: who comes later is asked first. */
function applyPatches(
  gossip: GossipInternals,
  libp2pComponents: StreamComponents,
  components: GossipServiceComponents,
  options: GossipServiceOptions,
): void {
  const { settings, verification, streams } = components;
  const { patches, kindOfTopic, onUnblamed: onDropped, onForged } = options;
  if (patches.checkerVerification) verifyByCheckers(gossip, verification, kindOfTopic);
  if (patches.authorBlame) blameAuthorsAlone(gossip, { onDropped, onForged });
  if (patches.directPeers) meshWithDirectPeers(gossip);
  if (patches.retainedScores) retainScores(gossip.score);
  if (patches.gossipMemory) {
    gossip.remembered = boundMemory(gossip, {
      idBytes: settings.p2p_gossip_id_bytes,
      messageBytes: settings.p2p_gossip_message_bytes,
    });
  }
  if (patches.uncheckedMessages) keepUncheckedMessages(gossip);
  if (patches.gossipStreams) streams.own(gossip, libp2pComponents);
  if (patches.abandonedStreams) {
    resetAbandonedStreams(gossip, (...replaced) => streams.drains(...replaced));
  }
  if (patches.peerExchange) connectBeside(gossip);
  if (patches.rpcGuard) {
    guardRpcs(gossip, new RpcBudgets({ ...components, exchange: new PeerExchange(gossip) }, options));
  }
}

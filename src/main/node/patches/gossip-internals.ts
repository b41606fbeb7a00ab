/** What GossipSub has and its exported type does not show: what the patches lean on, and what the node asks it besides. */

import type { GossipSub, TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { InboundGossip } from './abandoned-streams.js';
import type { BlamingGossip } from './author-blame.js';
import type { VerifyingGossip } from './checker-verification.js';
import type { DirectGossip } from './direct-peers.js';
import type { RememberingGossip } from './gossip-memory.js';
import type { StreamedGossip } from './gossip-streams.js';
import type { ConnectingGossip } from './peer-exchange.js';
import type { ScoreInternals } from './retained-scores.js';
import type { GuardedGossip } from './rpc-guard.js';
import type { AnsweringGossip } from './unchecked-messages.js';

export interface GossipInternals
  extends GossipSub,
    Omit<RememberingGossip, 'mcache' | 'score'>,
    VerifyingGossip,
    BlamingGossip,
    GuardedGossip,
    ConnectingGossip,
    Omit<InboundGossip, 'streamsInbound'>,
    Omit<DirectGossip, 'streamsOutbound'>,
    Omit<StreamedGossip, 'protocols' | 'getTopics'> {
  getScore(peerId: string): number;
  getMeshPeers(topic: string): string[];
  reportMessageValidationResult(id: string, source: string, verdict: TopicValidatorResult): void;
  /** Whether we called the peer. */
  readonly outbound: ReadonlyMap<string, boolean>;
  readonly mcache: RememberingGossip['mcache'] & AnsweringGossip['mcache'];
  readonly score: RememberingGossip['score'] & ScoreInternals;
  readonly streamsOutbound: StreamedGossip['streamsOutbound'];
  readonly streamsInbound: StreamedGossip['streamsInbound'];
  /** Bytes of ids and of messages held now; where their patch is applied. */
  remembered?: () => { readonly ids: number; readonly messages: number };
}

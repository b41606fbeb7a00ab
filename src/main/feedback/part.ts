/** What the node's validation found invalid. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { blocks, subtrees } from '../../shared/messages/topics.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { BanScores } from '../bans/scores.js';
import type { ChainView } from '../chain/follower.js';
import type { Peers } from '../peers/part.js';
import type { Pipeline } from '../pipeline/index.js';
import { InvalidBlocks } from './invalid-blocks.js';
import { InvalidFeedback } from './invalid-feedback.js';
import { createFeedbackMetrics } from './metrics.js';

export interface FeedbackNeighbours {
  readonly chain: ChainView;
  readonly scores: BanScores;
  readonly peers: Peers;
  readonly pipeline: Pipeline;
  readonly blocks: KafkaConsumer | undefined;
  readonly subtrees: KafkaConsumer | undefined;
}

export function createFeedback(
  { settings, loggers, registry }: PartContext,
  { chain, scores, peers, pipeline, ...consumers }: FeedbackNeighbours,
  { peerId }: { readonly peerId: PeerIdText },
): { readonly invalidBlocks: InvalidBlocks; readonly part: Part } {
  const invalidBlocks = new InvalidBlocks();
  const feedback = new InvalidFeedback({
    logger: loggers.of('reports'),
    metrics: createFeedbackMetrics(registry),
    chain,
    scores,
    peers: peers.view,
    records: settings.p2p_generation === 'current' ? peers.registry.records : undefined,
    invalidBlocks,
    announcersOf: (kind, hashes) =>
      pipeline.publisher.ask('announcers', { topic: (kind === 'block' ? blocks : subtrees).id, hashes }),
    ownPeerId: () => peerId,
    ...consumers,
  });
  return {
    invalidBlocks,
    part: { name: 'invalid reports', start: () => feedback.start(), stop: () => feedback.stop() },
  };
}

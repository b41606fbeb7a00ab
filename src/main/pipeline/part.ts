/** The pipeline: its threads, and what is on its way through them. */

import { parseHeader } from '../../shared/bitcoin/header.js';
import { monotonic } from '../../shared/clock.js';
import { localSocketPath } from '../../shared/ipc/socket-path.js';
import { journalBounds } from '../../shared/journal/bounds.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { TracingOrder } from '../../shared/tracing/types.js';
import type { Bans } from '../bans/part.js';
import type { ChainFollower } from '../chain/follower.js';
import type { P2PNode } from '../node/types.js';
import { isUpgradeDue } from '../outbox-upgrade/due.js';
import type { Peers } from '../peers/part.js';
import { Pipeline } from './index.js';
import { createPipelineMetrics } from './metrics.js';

/** Of `shutdown_timeout`, kept for closing after Kafka had its time. */
const CLOSING_MS = 1_500;
/** What Kafka is given in a hand-over: what it has not taken, the next server sends it, and until then nobody hears. */
const HAND_OVER_KAFKA_MS = 2_000;

export interface PipelineNeighbours {
  readonly chain: ChainFollower;
  readonly bans: Bans;
  readonly peers: Peers;
  /** DATADIR. */
  readonly directory: { readonly path: string; file(name: string): string };
  /** Whether another server is to have the directory. */
  readonly handOver: { readonly handingOver: boolean };
}

export interface PipelinePartOptions {
  /** Base58 ID of this node. */
  readonly peerId: PeerIdText;
  /** Local socket of the embedded broker, where it runs. */
  readonly brokerSocketPath: string | undefined;
  readonly tracing: TracingOrder | undefined;
}

export interface PipelineParts {
  readonly pipeline: Pipeline;
  /** Where the publisher offers frames. */
  readonly frameSocketPath: string;
  readonly threads: Part;
  readonly batches: Part;
}

export function createPipeline(
  { settings, loggers, registry, tracing }: PartContext,
  { chain, bans, peers, directory, handOver }: PipelineNeighbours,
  options: PipelinePartOptions,
): PipelineParts {
  const logger = loggers.of('pipeline');
  const frameSocketPath = localSocketPath(directory.path, 'frames.sock');
  const pipeline = new Pipeline(
    {
      settings,
      logger,
      metrics: createPipelineMetrics(registry),
      bans: bans.policy,
      reputation: peers.view,
      standingOf: (author) => peers.registry.standingOf(author),
      tracers: tracing,
    },
    {
      publisher: {
        settings,
        journalPath: directory.file('journal'),
        frameSocketPath,
        brokerSocketPath: options.brokerSocketPath,
        peerId: options.peerId,
        logLevel: loggers.level,
        tracing: options.tracing,
      },
    },
  );
  chain.on('best', ({ header }) => pipeline.setTipBits(parseHeader(header).bits));
  pipeline.on('offence', (author, offence) => bans.scores.add(author, offence));
  const { registry: peerRegistry, client } = peers;
  if (client !== undefined) pipeline.on('accepted', (author) => client.received(author));
  pipeline.on('fact', (fact) => {
    if (fact.type === 'best_block_requested') return;
    peerRegistry.known.learn(fact);
    client?.told(fact.peer);
  });
  const kafkaUntil = (deadline: number): number =>
    Math.min(deadline - CLOSING_MS, handOver.handingOver ? monotonic() + HAND_OVER_KAFKA_MS : Infinity);
  return {
    pipeline,
    frameSocketPath,
    threads: {
      name: 'publisher and checkers',
      start: async () => {
        if (isUpgradeDue(directory.path)) {
          const { upgradeOutbox } = await import('../outbox-upgrade/index.js');
          const upgrade = { directory: directory.path, bounds: journalBounds(settings) };
          await upgradeOutbox({ logger: loggers.of('server') }, upgrade);
        }
        await pipeline.start();
      },
      stop: async (deadline) => {
        try {
          // Where it never ran, its start has said why.
          if (!pipeline.started) return;
          const { left } = await pipeline.publisher.ask('close', { deadline: kafkaUntil(deadline) });
          if (left > 0) {
            loggers.of('server').warn({ left }, 'announcements stay in the outbox for the next start');
          }
        } finally {
          await pipeline.stop();
        }
      },
      // The publisher speaks for its producers and its outbox.
      health: [{ resource: 'Kafka', check: () => pipeline.publisher.ask('health', {}) }],
      vitals: [{ resource: 'worker pools', fault: () => pipeline.failed }],
      setLogLevel: (level) => pipeline.publisher.setLevel(level),
      metrics: () => [
        {
          name: 'publisher',
          collect: async () => ({
            instance: pipeline.publisher.instance,
            metrics: await pipeline.publisher.ask('metrics', {}),
          }),
        },
      ],
    },
    batches: { name: 'batches', stop: () => pipeline.drain() },
  };
}

/** Has `pipeline` take what `node` receives, and give it the verdicts. */
export function receiveFrom(node: P2PNode, pipeline: Pipeline): void {
  node.on('received', (message) => pipeline.push(message));
  node.on('direct', (message) => pipeline.takeDirect(message));
  pipeline.on('verdict', (id, verdict) => node.report(id, verdict));
  pipeline.on('fact', (fact) => {
    if (fact.type === 'best_block_requested' || fact.clientName === '') return;
    node.setPeerName(fact.peer, fact.clientName);
  });
}

/** The order in which a server starts; its stop goes backwards. */

import { journalBounds } from '../../shared/journal/bounds.js';
import type { Logger } from '../../shared/logging/logger.js';
import { isUpgradeDue } from '../outbox-upgrade/due.js';
import type { ServerDependencies } from './dependencies.js';
import type { ServerParts } from './parts.js';
import type { Stage } from './stages.js';

/** Of `shutdown_timeout`, kept for closing after Kafka had its time. */
export const CLOSING_MS = 1_500;

export interface StartPlanOptions {
  /** Until when (monotonic) Kafka is given what it can take, in a stop that is to end by `deadline`; that, less what closing takes, unless told. */
  readonly kafkaUntil?: (deadline: number) => number;
}

/** The stages of what `dependencies` and `parts` hold. */
export function startPlan(
  dependencies: ServerDependencies,
  parts: ServerParts,
  logger: Logger,
  { kafkaUntil = (deadline) => deadline - CLOSING_MS }: StartPlanOptions = {},
): Stage[] {
  const { blockchain, validation, assembly, embedded, rejectedTx, invalidBlocks, invalidSubtrees } =
    dependencies;
  return [
    {
      name: 'chain',
      start: (signal) => blockchain.waitUntilNotIdle(signal),
      stop: () => blockchain.close(),
    },
    {
      name: 'preparation',
      // What takes long to load and waits for nobody does so beside the stages before its own.
      start: async () => {
        parts.notifications.prepare();
        parts.grpc.prepare();
      },
      // A signal to the whole process group ends them before their turn: none takes their place.
      beforeStop: () => parts.notifications.retire(),
      stop: () => parts.notifications.stop(),
    },
    {
      name: 'embedded broker',
      start: async () => embedded.broker?.start(),
      stop: async () => embedded.broker?.stop(),
    },
    {
      name: 'validation and assembly clients',
      start: async () => {},
      stop: async () => {
        validation.close();
        assembly.close();
      },
    },
    {
      name: 'publisher and checkers',
      start: async () => {
        const { directory, settings } = dependencies;
        if (isUpgradeDue(directory.path)) {
          const { upgradeOutbox } = await import('../outbox-upgrade/index.js');
          await upgradeOutbox({ logger }, { directory: directory.path, bounds: journalBounds(settings) });
        }
        await parts.pipeline.start();
      },
      stop: async (deadline) => {
        try {
          // Where it never ran, its start has said why.
          if (!parts.pipeline.started) return;
          const { left } = await parts.pipeline.publisher.ask('close', { deadline: kafkaUntil(deadline) });
          if (left > 0) logger.warn({ left }, 'announcements stay in the outbox for the next start');
        } finally {
          await parts.pipeline.stop();
        }
      },
    },
    {
      name: 'notification servers',
      start: () => parts.notifications.start(),
      stop: () => parts.notifications.stop(),
    },
    { name: 'batches', start: async () => {}, stop: () => parts.pipeline.drain() },
    {
      // Ends after libp2p: then it tells that nobody is connected any more.
      name: 'peer registry of the blockchain service',
      start: async () => parts.registryClient?.start(),
      stop: async (deadline) => parts.registryClient?.stop(deadline),
    },
    {
      name: 'libp2p',
      start: async (signal) => {
        await parts.datastore.open();
        await parts.node.start(signal);
      },
      stop: async () => {
        await parts.node.stop();
        await parts.datastore.close();
      },
    },
    {
      name: 'chain follower',
      start: async () => parts.chain.start(),
      stop: () => parts.chain.stop(),
    },
    {
      name: 'announcements',
      start: () => parts.announcer.start(),
      stop: () => parts.announcer.stop(),
    },
    {
      name: 'bans',
      start: async () => {
        parts.bans.start();
        await parts.enforcer.start();
      },
      stop: () => parts.enforcer.stop(),
    },
    {
      name: 'invalid reports',
      start: async () => parts.feedback.start(),
      stop: () => parts.feedback.stop(),
    },
    {
      name: 'consumers',
      start: async () => {},
      // At once: each may have to give up on a broker that does not answer.
      stop: async () => {
        await Promise.all([rejectedTx?.stop(), invalidBlocks?.stop(), invalidSubtrees?.stop()]);
      },
    },
    {
      name: 'sync',
      start: async () => parts.sync?.start(),
      stop: async () => parts.sync?.stop(),
    },
    {
      name: 'gRPC',
      start: () => parts.grpc.start(),
      stop: () => parts.grpc.stop(),
    },
    {
      name: 'embedded neighbours',
      start: async () => {
        embedded.chain?.start();
        await embedded.rejections?.start();
      },
      stop: async () => embedded.rejections?.stop(),
    },
  ];
}

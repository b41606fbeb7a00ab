/** The parts of a gateway, in the order of their start. */

import { localSocketPath } from '../../shared/ipc/socket-path.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { archiving } from '../archive/part.js';
import { directoryWatch } from '../data-directory/part.js';
import type { LifeComponents } from '../life/foundation.js';
import type { LifeOptions } from '../life/life.js';
import { createStatus } from '../life/status-part.js';
import { createNotificationServers } from '../websocket/part.js';
import type { GatewayDependencies } from './dependencies.js';
import { GatewayFeed } from './feed.js';
import { TopicFollower } from './follower.js';
import { createGatewayMetrics } from './metrics.js';

/** Nothing runs yet. */
export function createGatewayParts(
  dependencies: GatewayDependencies,
  { handOver, running, runtimeInfo, tracing }: LifeComponents,
  { version = '' }: LifeOptions,
): readonly Part[] {
  const { settings, loggers, registry, directory, reader } = dependencies;
  const { p2p_gateway_node: peerId } = settings;
  const metrics = createGatewayMetrics(registry, {
    behindMs: () => follower.behindMs,
    shortMs: () => follower.shortMs,
  });
  const frameSocketPath = localSocketPath(directory.path, 'frames.sock');
  const logger = loggers.of('gateway');
  const feed = new GatewayFeed(
    { logger, registry },
    { path: directory.path, settings, socketPath: frameSocketPath },
  );
  const follower = new TopicFollower({ reader, feed, logger, metrics }, settings);
  const notifications = createNotificationServers(
    dependencies,
    { handOver },
    { peerId, frameSocketPath, cursors: 'gateway', dataHubUrl: '', tracing },
  );
  return [
    directoryWatch(dependencies, directory),
    notifications.preparation,
    {
      name: 'journal',
      start: () => feed.open(),
      stop: () => feed.close(),
      health: [{ resource: 'journal', check: async () => feed.health() }],
    },
    {
      // Before clients are served: they are not to get as news what came while nobody read.
      name: 'notifications topic',
      start: (signal) => follower.start(signal),
      stop: () => follower.stop(),
      health: [{ resource: `kafka ${reader.topic}`, check: async () => follower.health() }],
    },
    notifications.serving,
    archiving(dependencies, { directory: () => feed.directory, cursors: 'gateway' }),
    createStatus(dependencies, {
      logger,
      running,
      runtimeInfo,
      commands: {},
      notifications: notifications.servers,
      sources: { version, peerId, node: undefined },
    }),
  ];
}

/** The parts of a gateway, in the order of their start. */

import { monotonic, wall } from '../../shared/clock.js';
import { localSocketPath } from '../../shared/ipc/socket-path.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { archiving } from '../archive/part.js';
import { directoryWatch } from '../data-directory/part.js';
import type { HandOver } from '../hand-over/hand-over.js';
import type { RuntimeInfo } from '../server/runtime-info.js';
import { StatusFeed } from '../server/status-feed.js';
import type { Running } from '../server/status-part.js';
import type { NotificationServers } from '../websocket/index.js';
import { createNotificationServers } from '../websocket/part.js';
import type { GatewayDependencies } from './dependencies.js';
import { GatewayFeed } from './feed.js';
import { TopicFollower } from './follower.js';
import { createGatewayMetrics } from './metrics.js';
import { gatewayStatus } from './status.js';

export interface GatewayPartsComponents {
  readonly dependencies: GatewayDependencies;
  readonly handOver: HandOver;
  readonly running: Running;
  readonly runtimeInfo: RuntimeInfo;
}

/** Nothing runs yet. */
export function createGatewayParts(
  { dependencies, handOver, running, runtimeInfo }: GatewayPartsComponents,
  { version }: { readonly version: string },
): readonly Part[] {
  const { settings, loggers, registry, tracing, directory, reader } = dependencies;
  const metrics = createGatewayMetrics(registry, { behindMs: () => follower.behindMs });
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
    {
      peerId: settings.p2p_gateway_node,
      frameSocketPath,
      cursors: 'gateway',
      dataHubUrl: '',
      tracing: tracing.orderOf({
        peerId: settings.p2p_gateway_node,
        clientName: settings.clientName,
        version,
      }),
    },
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
    statusPart(dependencies, { running, runtimeInfo, notifications: notifications.servers }, { version }),
  ];
}

/** The last: once all others run, it tells of the gateway. */
function statusPart(
  { settings, loggers }: GatewayDependencies,
  {
    running,
    runtimeInfo,
    notifications,
  }: {
    readonly running: Running;
    readonly runtimeInfo: RuntimeInfo;
    readonly notifications: NotificationServers;
  },
  { version }: { readonly version: string },
): Part {
  const startedAt = wall.told();
  const began = monotonic();
  const feed = new StatusFeed({
    logger: loggers.of('gateway'),
    health: () => running.readiness(),
    report: (health) =>
      gatewayStatus(
        { settings, version, startedAt },
        { uptimeMs: monotonic() - began, health, clients: notifications.connections },
      ),
    tell: (json) => notifications.setStatus(json),
    watched: () => notifications.connections > 0,
  });
  return {
    name: 'status',
    ready: () => {
      const { p2p = 0, ...ports } = running.ports();
      runtimeInfo.announce(
        { startedAt, peerId: settings.p2p_gateway_node, ports: { p2p, ...ports } },
        {
          publisher: undefined,
          backUp: undefined,
          setLogLevel: (level) => running.setLogLevel(level),
        },
      );
      feed.start();
    },
    beforeStop: () => runtimeInfo.withdraw(),
    stop: () => feed.stop(),
  };
}

/** The notification servers. */

import type { CursorsOf } from '../../shared/firehose/cursor-schemes.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { TracingOrder } from '../../shared/tracing/types.js';
import type { HandOver } from '../hand-over/hand-over.js';
import { FeedTokens } from './feed-tokens.js';
import { createNotificationsMetrics, NotificationServers } from './index.js';

export interface NotificationPartOptions {
  /** Base58 ID of this node. */
  readonly peerId: string;
  /** Where the publisher offers frames. */
  readonly frameSocketPath: string;
  readonly dataHubUrl: string;
  /** Whose journal it is that the frames are of; a node's unless told. */
  readonly cursors?: CursorsOf;
  readonly tracing: TracingOrder | undefined;
}

export interface NotificationParts {
  readonly servers: NotificationServers;
  readonly preparation: Part;
  readonly serving: Part;
}

export function createNotificationServers(
  { settings, loggers, registry }: PartContext,
  { handOver }: { readonly handOver: HandOver },
  { dataHubUrl, ...options }: NotificationPartOptions,
): NotificationParts {
  const logger = loggers.of('notifications');
  const { p2p_feed_tokens_file: path } = settings;
  const tokens = path === '' ? undefined : new FeedTokens({ logger, registry }, path);
  const servers = new NotificationServers(
    { settings, logger, metrics: createNotificationsMetrics(registry), tokens },
    { ...options, baseUrl: dataHubUrl },
  );
  handOver.on('begun', () => servers.handOver());
  let isReady = false;
  const fault = (): string | undefined =>
    isReady && servers.serving === 0 ? 'no notification server serves' : undefined;
  return {
    servers,
    preparation: {
      name: 'preparation of notification servers',
      // What takes long to load and waits for nobody does so beside the parts before its own.
      start: () => servers.prepare(),
      // A signal to the whole process group ends them before their turn: none takes their place.
      beforeStop: () => servers.retire(),
      stop: () => servers.stop(),
    },
    serving: {
      name: 'notification servers',
      start: () => {
        tokens?.start();
        return servers.start();
      },
      ready: () => {
        isReady = true;
      },
      beforeStop: () => {
        isReady = false;
      },
      stop: () => {
        tokens?.stop();
        return servers.stop();
      },
      health: [
        { resource: 'notification servers', check: () => servers.health() },
        ...(tokens === undefined ? [] : [{ resource: 'feed tokens', check: async () => tokens.health() }]),
      ],
      vitals: [{ resource: 'notification servers', fault }],
      metrics: () =>
        servers.metricSources.map((collect, index) => ({
          name: `notification server ${index + 1}`,
          collect,
        })),
      setLogLevel: (level) => servers.setLevel(level),
      ports: () => ({ http: servers.port }),
    },
  };
}

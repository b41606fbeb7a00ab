/** The last part: once all others run, it tells people and programs on this machine of the server or gateway, and as long as they do. */

import { monotonic, wall } from '../../shared/clock.js';
import type { HealthReport } from '../../shared/health.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { NotificationServers } from '../websocket/index.js';
import type { Commands, RuntimeInfo } from './runtime-info.js';
import { type StatusSources, statusReport } from './status.js';
import { StatusFeed } from './status-feed.js';

/** What runs, as its parts see it. */
export interface Running {
  /** Bound now, by name. */
  readonly ports: Readonly<Record<string, number | undefined>> & { readonly http: number };
  /** Readiness asks every dependency. */
  health(checkLiveness: boolean): Promise<HealthReport>;
  /** Changes the level of every logger. */
  setLogLevel(level: string): Promise<void>;
}

export interface StatusPartComponents {
  readonly logger: Logger;
  readonly running: Running;
  readonly runtimeInfo: RuntimeInfo;
  readonly commands: Omit<Commands, 'setLogLevel'>;
  readonly notifications: NotificationServers;
  readonly sources: Omit<StatusSources, 'settings' | 'notifications' | 'startedAt'>;
}

export function createStatus(
  { settings }: PartContext,
  { logger, running, runtimeInfo, commands, notifications, sources }: StatusPartComponents,
  { brokerSocketPath }: { readonly brokerSocketPath?: string | undefined } = {},
): Part {
  const startedAt = wall.told();
  // The same by the clock that is never set.
  const began = monotonic();
  const feed = new StatusFeed({
    logger,
    health: () => running.health(false),
    report: (health) =>
      statusReport(
        { ...sources, settings, notifications, startedAt },
        { uptimeMs: monotonic() - began, health },
      ),
    tell: (json) => notifications.setStatus(json),
    watched: () => notifications.connections > 0,
  });
  return {
    name: 'status',
    ready: () => {
      const { p2p = 0, ...ports } = running.ports;
      const about = {
        startedAt,
        peerId: sources.peerId,
        ...(brokerSocketPath === undefined ? {} : { brokerSocket: brokerSocketPath }),
        ports: { p2p, ...ports },
      };
      runtimeInfo.announce(about, { ...commands, setLogLevel: (level) => running.setLogLevel(level) });
      feed.start();
    },
    beforeStop: () => runtimeInfo.withdraw(),
    stop: () => feed.stop(),
  };
}

/** What a server and a gateway alike are handed at their door. */

import { Registry } from 'prom-client';
import type { PartContext } from '../../shared/lifecycle/context.js';
import { ComponentLoggers, type Logger } from '../../shared/logging/logger.js';
import { Secrets } from '../../shared/secrets/secrets.js';
import type { Settings } from '../../shared/settings/table.js';
import { kafkaFiles } from '../../shared/sinks/kafka/security-settings.js';
import { createTlsMetrics } from '../../shared/tls/metrics.js';
import { type TlsSets, TlsWatch } from '../../shared/tls/watch.js';
import { tracingConfig } from '../../shared/tracing/config.js';
import { Tracing } from '../../shared/tracing/tracing.js';
import { DataDirectory } from '../data-directory/data-directory.js';
import { notificationFiles } from '../websocket/index.js';

export interface LifeDependencies extends PartContext {
  readonly logger: Logger;
  /** The files of TLS that are used; looked at from `init` to the end of `stop`. */
  readonly tls: TlsWatch;
  /** Keys and passwords, those in files looked at as long. */
  readonly secrets: Secrets;
  /** Opened in `init`, closed at the end of `stop`, as tracing is. */
  readonly directory: DataDirectory;
}

/**
 * What `settings` ask for. Nothing is connected to, opened or written. `directory`: where it is open already; `sets`: files of TLS besides those of the feed
 * and of Kafka. Throws ConfigurationError.
 */
export function lifeDependencies(
  settings: Settings,
  logger: Logger,
  {
    directory = new DataDirectory(settings.DATADIR),
    sets = {},
  }: { readonly directory: DataDirectory | undefined; readonly sets?: TlsSets },
): LifeDependencies {
  const loggers = new ComponentLoggers(logger);
  const registry = new Registry();
  const tls = new TlsWatch(
    { logger: loggers.of('tls'), metrics: createTlsMetrics(registry) },
    { websocket: notificationFiles(settings), kafka: kafkaFiles(settings), ...sets },
  );
  const { config, warnings } = tracingConfig(settings, process.env);
  for (const warning of warnings) logger.warn({ component: 'tracing' }, warning);
  return {
    settings,
    logger,
    loggers,
    registry,
    tls,
    secrets: new Secrets(settings, loggers.of('server')),
    tracing: new Tracing({ logger: loggers.of('tracing'), registry }, config),
    directory,
  };
}

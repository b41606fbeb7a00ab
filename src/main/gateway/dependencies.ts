/** What a gateway is handed at its door. */

import { Registry } from 'prom-client';
import type { PartContext } from '../../shared/lifecycle/context.js';
import { ComponentLoggers, type Logger } from '../../shared/logging/logger.js';
import { Secrets } from '../../shared/secrets/secrets.js';
import type { Settings } from '../../shared/settings/table.js';
import { createTopicReader } from '../../shared/sinks/kafka/index.js';
import { kafkaFiles } from '../../shared/sinks/kafka/security-settings.js';
import type { TopicReader } from '../../shared/sinks/kafka/topic-reader.js';
import { createTlsMetrics } from '../../shared/tls/metrics.js';
import { TlsWatch } from '../../shared/tls/watch.js';
import { tracingConfig } from '../../shared/tracing/config.js';
import { Tracing } from '../../shared/tracing/tracing.js';
import { DataDirectory } from '../data-directory/data-directory.js';
import { notificationFiles } from '../websocket/index.js';

export interface GatewayDependencies extends PartContext {
  readonly logger: Logger;
  /** The files of TLS that the gateway uses; looked at from `init` to the end of `stop`, as those of the secrets are. */
  readonly tls: TlsWatch;
  readonly secrets: Secrets;
  /** Opened in `init`, closed at the end of `stop`. */
  readonly directory: DataDirectory;
  readonly reader: TopicReader;
}

/** What `settings` ask for. Nothing is connected to, opened or written. Throws ConfigurationError. `directory`: where it is open already. */
export function gatewayDependencies(
  settings: Settings,
  logger: Logger,
  directory = new DataDirectory(settings.DATADIR),
): GatewayDependencies {
  const loggers = new ComponentLoggers(logger);
  const registry = new Registry();
  const tls = new TlsWatch(
    { logger: loggers.of('tls'), metrics: createTlsMetrics(registry) },
    { websocket: notificationFiles(settings), kafka: kafkaFiles(settings) },
  );
  const { config, warnings } = tracingConfig(settings, process.env);
  for (const warning of warnings) logger.warn({ component: 'tracing' }, warning);
  const secrets = new Secrets(settings, loggers.of('server'));
  const kafka = {
    logger: loggers.of('kafka'),
    brokerSocketPath: undefined,
    tls: tls.of('kafka'),
    secrets,
  };
  return {
    settings,
    logger,
    loggers,
    registry,
    tls,
    secrets,
    tracing: new Tracing({ logger: loggers.of('tracing'), registry }, config),
    directory,
    reader: createTopicReader(settings, 'kafka_notificationsConfig', kafka),
  };
}

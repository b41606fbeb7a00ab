/** What a gateway is handed at its door. */

import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import { createTopicReader } from '../../shared/sinks/kafka/index.js';
import type { TopicReader } from '../../shared/sinks/kafka/topic-reader.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import { type LifeDependencies, lifeDependencies } from '../life/dependencies.js';
import { refuseGatewayProblems } from './problems.js';

export interface GatewayDependencies extends LifeDependencies {
  readonly reader: TopicReader;
}

/**
 * What `settings` ask for. Nothing is connected to, opened or written. `directory`: where it is open already. Throws ConfigurationError with every
 * problem.
 */
export function gatewayDependencies(
  settings: Settings,
  logger: Logger,
  directory?: DataDirectory,
): GatewayDependencies {
  refuseGatewayProblems(settings);
  const common = lifeDependencies(settings, logger, { directory });
  const { loggers, tls, secrets } = common;
  const kafka = { logger: loggers.of('kafka'), brokerSocketPath: undefined, tls: tls.of('kafka'), secrets };
  return { ...common, reader: createTopicReader(settings, 'kafka_notificationsConfig', kafka) };
}

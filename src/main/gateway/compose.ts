/** From settings to a gateway. */

import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import type { LifeOptions } from '../life/life.js';
import { packageVersion } from '../life/version.js';
import { gatewayDependencies } from './dependencies.js';
import { Gateway } from './gateway.js';

/** A gateway on `settings`, not yet initialised; on `directory`, where it is open already. Throws ConfigurationError with every problem. */
export function composeGateway(
  settings: Settings,
  {
    logger,
    directory,
    ...options
  }: { readonly logger: Logger; readonly directory?: DataDirectory } & LifeOptions,
): Gateway {
  const dependencies = gatewayDependencies(settings, logger, directory);
  return Gateway.create(dependencies, { version: packageVersion(), ...options });
}

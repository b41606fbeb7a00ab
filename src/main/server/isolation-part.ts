/** What is said of a server that runs beside a node without being of it. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import { islandHealth, islandsOf, islandWarning, showIslands } from '../preflight/isolation.js';

/** Says at the start, in readiness and in the figures that the server is alone, where it is. */
export function isolation({ settings, loggers, registry }: PartContext, origin?: SettingsOrigin): Part {
  const islands = islandsOf(settings, origin);
  showIslands(registry, islands);
  const warning = islandWarning(islands);
  const health = islandHealth(islands);
  return {
    name: 'isolation',
    start: () => {
      if (warning === undefined) return;
      loggers.of('server').warn({ signs: islands.map(({ sign }) => sign) }, warning);
    },
    health: health === undefined ? [] : [{ resource: health.resource, check: async () => health }],
  };
}

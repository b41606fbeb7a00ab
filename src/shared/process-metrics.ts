/** Figures of a process as prom-client collects them. */

import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges with the suffix of a counter, each the sum of the gauge by type without it. */
const MISNAMED = ['active_handles', 'active_requests', 'active_resources'];

/** CPU, memory, garbage collection and the event loop, each name behind `prefix`. */
export function collectProcessMetrics(registry: Registry, prefix = ''): void {
  collectDefaultMetrics({ register: registry, prefix });
  for (const name of MISNAMED) registry.removeSingleMetric(`${prefix}nodejs_${name}_total`);
}

import type { Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

export const PROBE_SETTINGS = ['health_check_httpListenAddress', 'profilerAddr'] as const;
const CLOSE_REASONS = ['rate', 'share', 'full', 'time'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export function createHealthMetrics(registry: Registry) {
  return {
    closed: zeroedCounter({
      name: 'teranode_p2p_probe_connections_closed_total',
      help: 'Connections to the health and metrics ports closed before their answer was sent, by the setting of the port and why: too many a second of a source, more at once than its share, all places taken, or time.',
      labels: {
        setting: PROBE_SETTINGS,
        reason: CLOSE_REASONS,
      },
      registers: [registry],
    }),
  };
}

export type HealthMetrics = ReturnType<typeof createHealthMetrics>;

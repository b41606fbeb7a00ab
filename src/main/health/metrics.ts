import { Counter, type Registry } from 'prom-client';

export function createProbeMetrics(registry: Registry) {
  const closed = new Counter({
    name: 'teranode_p2p_probe_connections_closed_total',
    help: 'Connections to the health and metrics ports closed before their answer was sent, by the setting of the port and why: too many a second of a source, more at once than its share, all places taken, or time.',
    labelNames: ['setting', 'reason'] as const,
    registers: [registry],
  });
  for (const setting of ['health_check_httpListenAddress', 'profilerAddr'])
    for (const reason of ['rate', 'share', 'full', 'time']) closed.inc({ setting, reason }, 0);
  return { closed };
}

import type { Registry } from 'prom-client';
import { zeroedCounter } from '../metrics/zeroed-counter.js';

/** Of each thread and process that traces; a scrape has their sum. */
export function createTracingMetrics(registry: Registry) {
  return {
    spans: zeroedCounter({
      name: 'teranode_p2p_trace_spans_total',
      help: 'Spans by what became of them: exported; failed: the collector did not take them; dropped: too many waited.',
      labels: { outcome: ['exported', 'failed', 'dropped'] },
      registers: [registry],
    }),
  };
}

export type TracingMetrics = ReturnType<typeof createTracingMetrics>;

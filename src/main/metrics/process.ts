/** Figures of the main process: CPU, memory, garbage collection, and how late the event loop is. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { droppedLogLines } from '../../shared/logging/log-sink.js';
import { collectProcessMetrics, EventLoopDelay } from '../../shared/metrics/process-metrics.js';

export class ProcessMetrics {
  readonly #delay = new EventLoopDelay();

  constructor({ registry }: { registry: Registry }) {
    const delay = this.#delay;
    new Counter({
      name: 'teranode_p2p_log_lines_dropped_total',
      help: 'Log lines that standard output did not take from this process and its threads.',
      registers: [registry],
      collect() {
        this.reset();
        this.inc(droppedLogLines());
      },
    });
    new Gauge({
      name: 'teranode_p2p_event_loop_delay_seconds',
      help: 'How late the main event loop was since the last scrape, by percentile; 100 is the longest.',
      labelNames: ['percentile'],
      registers: [registry],
      collect() {
        this.set({ percentile: '50' }, delay.seconds(50));
        this.set({ percentile: '99' }, delay.seconds(99));
        this.set({ percentile: '100' }, delay.seconds('max'));
      },
    });
    collectProcessMetrics(registry, { delay });
  }

  start(): void {
    this.#delay.start();
  }

  stop(): void {
    this.#delay.stop();
  }
}

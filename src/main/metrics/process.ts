/** Figures of the main process: CPU, memory, garbage collection, and how late the event loop is. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import { droppedLogLines } from '../../shared/log-sink.js';
import { collectProcessMetrics } from '../../shared/process-metrics.js';

const NANOSECONDS = 1e9;

export class ProcessMetrics {
  readonly #delay: IntervalHistogram;

  constructor({ registry }: { registry: Registry }) {
    const delay = monitorEventLoopDelay({ resolution: 10 });
    this.#delay = delay;
    collectProcessMetrics(registry);
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
        // Without a sample the histogram's figures are not numbers.
        const seconds = (nanoseconds: number) => (delay.count > 0 ? nanoseconds / NANOSECONDS : 0);
        this.set({ percentile: '50' }, seconds(delay.percentile(50)));
        this.set({ percentile: '99' }, seconds(delay.percentile(99)));
        this.set({ percentile: '100' }, seconds(delay.max));
        delay.reset();
      },
    });
  }

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }
}

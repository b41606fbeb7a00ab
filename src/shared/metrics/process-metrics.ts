/** Figures of a process: CPU, memory, garbage collection, and how late the event loop is. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { type Aggregator, collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

/** Gauges with the suffix of a counter, each the sum of the gauge by type without it. */
const MISNAMED = ['active_handles', 'active_requests', 'active_resources'];

/**
 * Ms between two looks at the event loop. Each look wakes the thread, for some 35 µs of CPU where nothing else does: every 10 ms, as prom-client has
 * it, that was half of what an idle server cost. A delay that is longer than this is always met, a shorter one by chance.
 */
const LOOK_MS = 100;
/** So long that prom-client's own looks never come; Node takes no more than 31 bits. */
const NEVER_MS = 2 ** 31 - 1;
const NANOSECONDS = 1e9;

type Figure = 'min' | 'max' | 'mean' | 'stddev';

/** The last part of prom-client's names, with its aggregators. */
const DELAYS: readonly (readonly [string, Figure | number, Aggregator])[] = [
  ['min', 'min', 'min'],
  ['max', 'max', 'max'],
  ['mean', 'mean', 'average'],
  ['stddev', 'stddev', 'average'],
  ['p50', 50, 'average'],
  ['p90', 90, 'average'],
  ['p99', 99, 'average'],
];

/** How late this thread's event loop comes to its timers. */
export class EventLoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOK_MS });

  start(): void {
    this.#histogram.enable();
  }

  stop(): void {
    this.#histogram.disable();
  }

  /** Forgets what was seen. */
  reset(): void {
    this.#histogram.reset();
  }

  /** A percentile or another figure of what was seen, in seconds; 0 where nothing was. */
  seconds(figure: Figure | number): number {
    const histogram = this.#histogram;
    const nanoseconds = typeof figure === 'number' ? histogram.percentile(figure) : histogram[figure];
    if (histogram.count === 0 || Number.isNaN(nanoseconds)) return 0;
    if (figure === 'stddev') return nanoseconds / NANOSECONDS;
    // Node counts from one look to the next.
    return Math.max(0, nanoseconds / NANOSECONDS - LOOK_MS / 1000);
  }
}

/**
 * CPU, memory, garbage collection and the event loop, each name behind `prefix`. A scrape resets `delay` with the last of these: a metric that
 * reads it too is registered before.
 */
export function collectProcessMetrics(
  registry: Registry,
  { delay, prefix = '' }: { readonly delay: EventLoopDelay; readonly prefix?: string },
): void {
  collectDefaultMetrics({ register: registry, prefix, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(`${prefix}nodejs_${name}_total`);
  for (const [part, figure, aggregator] of DELAYS) {
    const name = `${prefix}nodejs_eventloop_lag_${part}_seconds`;
    registry.removeSingleMetric(name);
    const last = part === DELAYS.at(-1)?.[0];
    new Gauge({
      name,
      help: `How late the event loop was since the last scrape: ${part}.`,
      aggregator,
      registers: [registry],
      collect() {
        this.set(delay.seconds(figure));
        if (last) delay.reset();
      },
    });
  }
}

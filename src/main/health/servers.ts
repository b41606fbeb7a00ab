/** What others look at: health and metrics, on their ports from the beginning of `init` to the end of `stop`. */

import type { HealthCheck, HealthReport, VitalSign } from '../../shared/health.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { MetricSource } from '../../shared/metrics/source.js';
import { MetricsAggregate } from '../metrics/aggregate.js';
import { ClockMetrics } from '../metrics/clock.js';
import { ProcessMetrics } from '../metrics/process.js';
import { HealthServer, MetricsServer } from './http.js';
import { Liveness } from './liveness.js';
import { createHealthMetrics } from './metrics.js';
import { Readiness } from './readiness.js';

/** For each check of readiness. */
const READINESS_TIMEOUT_MS = 2_000;

export interface HealthServersOptions {
  /** Asked at each look at readiness. */
  readonly checks: () => readonly HealthCheck[];
  /** Asked at each look at liveness. */
  readonly signs: () => readonly VitalSign[];
}

export class HealthServers {
  readonly #process: ProcessMetrics;
  readonly #clock: ClockMetrics;
  readonly #metrics: MetricsAggregate;
  readonly #liveness: Liveness;
  readonly #readiness: Readiness;
  readonly #healthServer: HealthServer | undefined;
  readonly #metricsServer: MetricsServer | undefined;
  #started: Promise<void> | undefined;

  constructor({ settings, registry, loggers }: PartContext, { checks, signs }: HealthServersOptions) {
    const { health_check_httpListenAddress: healthAddress, profilerAddr, prometheusEndpoint } = settings;
    const logger = loggers.of('metrics');
    this.#process = new ProcessMetrics({ registry });
    this.#clock = new ClockMetrics({ registry, logger });
    this.#metrics = new MetricsAggregate({ registry, logger });
    const { closed } = createHealthMetrics(registry);
    this.#liveness = new Liveness({ signs });
    this.#readiness = new Readiness({ checks }, { timeoutMs: READINESS_TIMEOUT_MS });
    this.#healthServer =
      healthAddress === undefined
        ? undefined
        : new HealthServer(
            {
              logger: loggers.of('health'),
              closed,
              readiness: () => this.health(false),
              liveness: () => this.health(true),
            },
            { address: healthAddress },
          );
    this.#metricsServer =
      profilerAddr === undefined || prometheusEndpoint === ''
        ? undefined
        : new MetricsServer(
            { logger, closed, scrape: (format) => this.#metrics.scrape(format) },
            { address: profilerAddr, path: prometheusEndpoint },
          );
  }

  /** Once, however often it is called. Throws ConfigurationError naming the setting whose port cannot be had. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    this.#process.start();
    this.#clock.start();
    this.#liveness.start();
    await this.#healthServer?.start();
    await this.#metricsServer?.start();
  }

  async stop(): Promise<void> {
    this.#liveness.stop();
    this.#process.stop();
    this.#clock.stop();
    await Promise.all([this.#healthServer?.stop(), this.#metricsServer?.stop()]);
  }

  health(checkLiveness: boolean): Promise<HealthReport> {
    return checkLiveness ? this.#liveness.check() : this.#readiness.check();
  }

  /** From now on each scrape holds the figures of `sources` too. */
  watch(sources: readonly MetricSource[]): void {
    for (const { name, collect } of sources) this.#metrics.addSource(name, collect);
  }

  /** The text of `/metrics`. */
  async scrape(): Promise<string> {
    return (await this.#metrics.scrape()).body;
  }

  /** Bound ports; undefined for what is off or not yet open. */
  get ports(): { readonly health: number | undefined; readonly metrics: number | undefined } {
    return { health: this.#healthServer?.port || undefined, metrics: this.#metricsServer?.port || undefined };
  }
}

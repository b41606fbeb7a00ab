/** All processes' and threads' figures in one scrape. */

import pTimeout from 'p-timeout';
import { openMetricsContentType, Registry, type RegistryContentType } from 'prom-client';
import type { Logger } from '../../shared/logging/logger.js';
import type { SourceAnswer } from '../../shared/metrics/source.js';
import { withGoNames } from './go-names.js';
import { type MetricSnapshot, type MetricValue, readSnapshots, seriesKey } from './snapshot.js';

interface Earlier {
  readonly metric: MetricSnapshot;
  readonly value: MetricValue;
}

interface Source {
  readonly collect: () => Promise<SourceAnswer>;
  instance: string | number | undefined;
  last: readonly MetricSnapshot[];
  /** What earlier instances had counted, by series. */
  readonly before: Map<string, Earlier>;
}

/** Prometheus' text format 0.0.4, or OpenMetrics 1.0. */
export type ScrapeFormat = 'text' | 'openmetrics';

export interface Scrape {
  readonly contentType: string;
  readonly body: string;
}

export interface MetricsAggregateOptions {
  /**
   * Milliseconds a source has to answer.
   * @default 2_000
   */
  readonly timeoutMs?: number;
}

/**
 * Counters and histograms are summed over the sources, and a source whose process was replaced goes on from where the old
 * one ended: nothing that counts ever goes backwards. A source that does not answer counts with its last figures, its
 * gauges left out. Gauges follow their aggregator (`sum` unless the metric says otherwise).
 */
export class MetricsAggregate {
  readonly #registry: Registry;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #sources = new Map<string, Source>();
  readonly #underWay = new Map<ScrapeFormat, Promise<Scrape>>();

  /** `registry` is main's own. */
  constructor(
    { registry, logger }: { registry: Registry; logger: Logger },
    { timeoutMs = 2000 }: MetricsAggregateOptions = {},
  ) {
    this.#registry = registry;
    this.#logger = logger;
    this.#timeoutMs = timeoutMs;
  }

  /** Adds or replaces the source `name`: one for each slot that a thread or process fills, however often it is replaced. */
  addSource(name: string, collect: () => Promise<SourceAnswer>): void {
    const known = this.#sources.get(name);
    this.#sources.set(name, {
      collect,
      instance: known?.instance,
      last: known?.last ?? [],
      before: known?.before ?? new Map(),
    });
  }

  /** The text of one scrape. Scrapes of a format that come while one is under way share it. */
  scrape(format: ScrapeFormat = 'text'): Promise<Scrape> {
    const known = this.#underWay.get(format);
    if (known !== undefined) return known;
    const scrape = this.#scrape(format).finally(() => this.#underWay.delete(format));
    this.#underWay.set(format, scrape);
    return scrape;
  }

  async #scrape(format: ScrapeFormat): Promise<Scrape> {
    const own = readSnapshots((await this.#registry.getMetricsAsJSON()) as readonly object[]);
    const others = await Promise.all([...this.#sources].map(([name, source]) => this.#ask(name, source)));
    const merged: Registry<RegistryContentType> = new Registry();
    if (format === 'openmetrics') merged.setContentType(openMetricsContentType);
    for (const metric of withGoNames(merge([own, ...others])).map(wellNamed)) {
      // In OpenMetrics the registry renames a counter that it holds before it asks it for its figures.
      const held = { ...metric, get: async () => held };
      merged.registerMetric(held as unknown as Parameters<Registry['registerMetric']>[0]);
    }
    return { contentType: merged.contentType, body: await merged.metrics() };
  }

  async #ask(name: string, source: Source): Promise<readonly MetricSnapshot[]> {
    try {
      const { instance, metrics } = await pTimeout(source.collect(), {
        milliseconds: this.#timeoutMs,
        message: `no answer within ${this.#timeoutMs} ms`,
      });
      const current = readSnapshots(metrics);
      if (source.instance !== instance) {
        if (source.instance !== undefined) remember(source);
        source.instance = instance;
      }
      source.last = current;
      return withEarlier(current, source.before);
    } catch (error) {
      this.#logger.debug({ source: name, err: error }, 'no metrics from this source');
      return withEarlier(source.last.filter(counts), source.before);
    }
  }
}

/** The suffix of a counter belongs to counters; a library has a gauge with it. */
function wellNamed(metric: MetricSnapshot): MetricSnapshot {
  return counts(metric) ? metric : { ...metric, name: metric.name.replace(/_total$/, '') };
}

function counts({ type }: MetricSnapshot): boolean {
  return type !== 'gauge';
}

/** Quantiles of a summary are not sums; everything else of a counting metric is. */
function accumulates(metric: MetricSnapshot, value: MetricValue): boolean {
  return counts(metric) && value.labels.quantile === undefined;
}

function remember({ last, before }: Source): void {
  for (const metric of last) {
    for (const value of metric.values) {
      if (!accumulates(metric, value)) continue;
      const key = seriesKey(metric.name, value);
      const total = (before.get(key)?.value.value ?? 0) + value.value;
      before.set(key, { metric: { ...metric, values: [] }, value: { ...value, value: total } });
    }
  }
}

/** `metrics` and what went before, also in series that this instance has not counted yet. */
function withEarlier(
  metrics: readonly MetricSnapshot[],
  before: ReadonlyMap<string, Earlier>,
): readonly MetricSnapshot[] {
  const left = new Map(before);
  const current = metrics.map((metric) => ({
    ...metric,
    values: metric.values.map((value) => {
      if (!accumulates(metric, value)) return value;
      const key = seriesKey(metric.name, value);
      const earlier = left.get(key)?.value.value ?? 0;
      left.delete(key);
      return { ...value, value: value.value + earlier };
    }),
  }));
  return [...current, ...[...left.values()].map(({ metric, value }) => ({ ...metric, values: [value] }))];
}

const AGGREGATORS: Readonly<Record<string, (values: readonly number[]) => number | undefined>> = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  first: (values) => values[0],
  omit: () => undefined,
  average: (values) => values.reduce((total, value) => total + value, 0) / values.length,
  min: (values) => values.reduce((least, value) => Math.min(least, value)),
  max: (values) => values.reduce((most, value) => Math.max(most, value)),
};

/** One metric a name, one value a series. */
function merge(sources: readonly (readonly MetricSnapshot[])[]): readonly MetricSnapshot[] {
  const metrics = new Map<string, { metric: MetricSnapshot; series: Map<string, MetricValue[]> }>();
  for (const metric of sources.flat()) {
    let known = metrics.get(metric.name);
    if (known === undefined) {
      known = { metric, series: new Map() };
      metrics.set(metric.name, known);
    }
    if (known.metric.type !== metric.type) continue;
    for (const value of metric.values) {
      const key = seriesKey(metric.name, value);
      const values = known.series.get(key);
      if (values === undefined) known.series.set(key, [value]);
      else values.push(value);
    }
  }
  return [...metrics.values()].map(({ metric, series }) => ({
    ...metric,
    values: [...series.values()].flatMap((values) => {
      const aggregator = AGGREGATORS[metric.aggregator] ?? AGGREGATORS.sum;
      // What only one source has is that source's: `omit` and the like are about merging.
      const value = values.length === 1 ? values[0]?.value : aggregator?.(values.map(({ value }) => value));
      return value === undefined || values[0] === undefined ? [] : [{ ...values[0], value }];
    }),
  }));
}

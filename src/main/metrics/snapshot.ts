/** prom-client's JSON of a registry, as it comes from other threads and processes. */

export interface MetricValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Differs from the metric's name in histograms and summaries. */
  readonly metricName?: string;
}

export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly aggregator: string;
  readonly values: readonly MetricValue[];
}

/** Series of one source at the most; a source that sends more is broken. */
const SERIES_BOUND = 100_000;

/** What came from another thread or process, checked. Throws TypeError on anything else. */
export function readSnapshots(json: readonly object[]): readonly MetricSnapshot[] {
  let series = 0;
  return json.map((entry) => {
    const { name, help = '', type, aggregator = 'sum', values } = entry as Partial<MetricSnapshot>;
    if (typeof name !== 'string' || typeof type !== 'string' || !Array.isArray(values)) {
      throw new TypeError('not a metric of prom-client');
    }
    series += values.length;
    if (series > SERIES_BOUND) throw new TypeError(`more than ${SERIES_BOUND} series`);
    return { name, help, type, aggregator, values };
  });
}

/** The same text for the same series, whatever the order of its labels. */
export function seriesKey(name: string, { metricName = name, labels }: MetricValue): string {
  const sorted = Object.keys(labels)
    .sort()
    .map((label) => [label, String(labels[label])]);
  return JSON.stringify([metricName, sorted]);
}

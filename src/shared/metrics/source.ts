/** Figures of other threads and processes, for main's scrape. */

/** What a source answers. `instance` changes when the thread or process behind it is a new one. */
export interface SourceAnswer {
  readonly instance: string | number;
  /** prom-client's JSON. */
  readonly metrics: readonly object[];
}

/** One for each slot that a thread or process fills, however often it is replaced. */
export interface MetricSource {
  readonly name: string;
  /** Rejects where there is no answer. */
  readonly collect: () => Promise<SourceAnswer>;
}

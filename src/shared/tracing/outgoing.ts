/** What is on its way to one exporter: bounded, and what does not arrive is counted. */

import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import type { TracingMetrics } from './metrics.js';

export class Outgoing implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #max: number;
  readonly #metrics: TracingMetrics;
  readonly #logger: Logger;
  #waiting = 0;
  #failing = false;

  constructor(
    exporter: SpanExporter,
    {
      logger,
      metrics,
      max,
      batch,
    }: {
      readonly logger: Logger;
      readonly metrics: TracingMetrics;
      readonly max: number;
      readonly batch: number;
    },
  ) {
    const counted: SpanExporter = {
      export: (spans, done) => {
        this.#waiting -= spans.length;
        exporter.export(spans, (result) => {
          this.#exported(spans.length, result);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    };
    this.#batches = new BatchSpanProcessor(counted, { maxQueueSize: max, maxExportBatchSize: batch });
    this.#max = max;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  get full(): boolean {
    return this.#waiting >= this.#max;
  }

  /** Messages have the other half to themselves. */
  get halfFull(): boolean {
    return 2 * this.#waiting >= this.#max;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.full) {
      this.#metrics.spans.inc({ outcome: 'dropped' });
      return;
    }
    this.#waiting++;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #exported(count: number, { code, error }: ExportResult): void {
    const failed = code !== ExportResultCode.SUCCESS;
    this.#metrics.spans.inc({ outcome: failed ? 'failed' : 'exported' }, count);
    // Once an outage.
    if (failed && !this.#failing) {
      const reason = error === undefined ? 'no reason told' : errorMessage(error);
      this.#logger.warn({ reason }, 'spans do not reach the collector: they are lost until it takes them');
    }
    if (!failed && this.#failing) this.#logger.info('spans reach the collector again');
    this.#failing = failed;
  }
}

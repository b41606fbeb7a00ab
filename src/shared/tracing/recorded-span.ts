import { type Span, SpanStatusCode } from '@opentelemetry/api';
import { monotonic } from '../clock.js';
import type { SpanValues, TraceParent, TraceSpan } from './types.js';

/** A span of the library. */
export class RecordedSpan implements TraceSpan {
  readonly context: TraceParent;
  readonly #span: Span;

  constructor(span: Span, clock: number) {
    const { traceId, spanId, traceState } = span.spanContext();
    this.context = { traceId, spanId, state: traceState?.serialize() ?? '', clock };
    this.#span = span;
  }

  set(values: SpanValues): void {
    this.#span.setAttributes(values);
  }

  event(name: string, values: SpanValues = {}): void {
    this.#span.addEvent(name, values, this.context.clock + monotonic());
  }

  fail(type: string, message?: string): void {
    this.#span.setAttribute('error.type', type);
    this.#span.setStatus({
      code: SpanStatusCode.ERROR,
      ...(message === undefined ? {} : { message }),
    });
  }

  end(at = monotonic()): void {
    this.#span.end(this.context.clock + at);
  }
}

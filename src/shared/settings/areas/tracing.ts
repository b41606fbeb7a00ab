/** Tracing. */

import type { Setting } from '../setting.js';
import { decimal, flag, text } from '../values/basic.js';

export const TRACING = {
  tracing_enabled: flag(
    false,
    'Trace messages and calls to tracing_collector_url, unless OTEL_TRACES_EXPORTER or an OTLP endpoint of the environment says otherwise.',
  ),
  tracing_SampleRate: decimal(
    0.01,
    'Of what begins here, the part that is traced, where OTEL_TRACES_SAMPLER does not say.',
    {
      min: 0,
      max: 1,
    },
  ),
  tracing_collector_url: text(
    'http://localhost:4318',
    'Collector that takes OTLP over HTTP: a URL, or host:port.',
  ),
  p2p_kafka_trace_context: flag(
    false,
    'Kafka records of traced messages have the trace’s context in their headers, as traceparent and tracestate of W3C; not on the embedded broker (this server).',
  ),
} as const satisfies Record<string, Setting>;

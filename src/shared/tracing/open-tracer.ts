/** Makes a tracer of what the settings ask for: its exporters, and what they say of this process. */

import { DiagLogLevel, diag } from '@opentelemetry/api';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BasicTracerProvider, ConsoleSpanExporter, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../logging/logger.js';
import type { TracingConfig } from './config.js';
import type { TracingMetrics } from './metrics.js';
import { Outgoing } from './outgoing.js';
import { samplerOf } from './sampler.js';
import { SCOPE, Tracer } from './tracer.js';
import type { TracedService } from './types.js';

async function exporterOf(
  name: TracingConfig['exporters'][number],
  { protocol, url }: TracingConfig,
): Promise<SpanExporter> {
  if (name === 'console') return new ConsoleSpanExporter();
  const options = url === undefined ? {} : { url };
  switch (protocol) {
    case 'grpc': {
      const { OTLPTraceExporter } = await import('./exporters/grpc.js');
      return new OTLPTraceExporter(options);
    }
    case 'http/json': {
      const { OTLPTraceExporter } = await import('./exporters/http.js');
      return new OTLPTraceExporter(options);
    }
    case 'http/protobuf': {
      const { OTLPTraceExporter } = await import('./exporters/proto.js');
      return new OTLPTraceExporter(options);
    }
  }
}

/** What the environment says of the resource beats what is known here. */
function resourceOf({ peerId, clientName, version }: TracedService) {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': SCOPE,
        'service.version': version,
        'service.instance.id': peerId,
        'process.pid': process.pid,
        ...(clientName === '' ? {} : { 'teranode.client_name': clientName }),
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}

/** Throws what OpenTelemetry's packages throw. */
export async function openTracer(
  { logger, metrics }: { readonly logger: Logger; readonly metrics: TracingMetrics },
  config: TracingConfig,
  service: TracedService,
): Promise<Tracer> {
  const ignored = (message: string): void => {
    // Told where the settings are read.
    if (!message.startsWith('OTEL_TRACES_SAMPLER'))
      logger.warn({ reason: message }, 'tracing: a value is ignored');
  };
  const quiet = (): void => {};
  // The packages tell of values that they cannot use, and only so.
  diag.setLogger(
    { error: ignored, warn: ignored, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  try {
    const outgoing: Outgoing[] = [];
    for (const name of config.exporters) {
      const exporter = await exporterOf(name, config);
      const { maxQueue: max, maxBatch } = config;
      outgoing.push(new Outgoing(exporter, { logger, metrics, max, batch: Math.min(max, maxBatch) }));
    }
    const provider = new BasicTracerProvider({
      resource: resourceOf(service),
      sampler: samplerOf(config),
      spanProcessors: outgoing,
    });
    return new Tracer({ provider, outgoing, metrics, logger }, { ...config, version: service.version });
  } finally {
    diag.disable();
  }
}

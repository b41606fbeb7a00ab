/** OpenTelemetry, behind what the server asks of it. Loaded only where tracing is on. */

import {
  type Context,
  createContextKey,
  DiagLogLevel,
  defaultTextMapSetter,
  diag,
  type Tracer as LibraryTracer,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import {
  type ExportResult,
  ExportResultCode,
  TraceState,
  W3CTraceContextPropagator,
} from '@opentelemetry/core';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import pTimeout from 'p-timeout';
import { TokenBucket } from '../async/token-bucket.js';
import { monotonic, wall } from '../clock.js';
import { errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import type { TracingConfig } from './config.js';
import type { TracingMetrics } from './metrics.js';
import type { SpanOptions, SpanValues, TracedService, TraceParent, TraceSpan } from './types.js';

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

const SCOPE = 'teranode-p2p';

/**
 * Calls of callers who have not proven who they are that are traced because they say so, a second, as W3C advises against denial of service
 * (https://www.w3.org/TR/trace-context/#denial-of-service).
 */
const STRANGERS_A_SECOND = 10;

/** In a context: that this trace is sampled is settled. */
const SETTLED = createContextKey('teranode-p2p sampled');
const SAMPLED: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };

/** Of messages it was decided when they came, and of what is below a span with that span. */
class SettledOrSampled implements Sampler {
  constructor(private readonly others: Sampler) {}

  shouldSample(context: Context, ...what: Tail<Parameters<Sampler['shouldSample']>>): SamplingResult {
    return context.getValue(SETTLED) === true ? SAMPLED : this.others.shouldSample(context, ...what);
  }

  toString(): string {
    return this.others.toString();
  }
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

function samplerOf({ parentBased, ratio }: TracingConfig): Sampler {
  const root =
    ratio === 0
      ? new AlwaysOffSampler()
      : ratio === 1
        ? new AlwaysOnSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

/** What is on its way to one exporter: bounded, and what does not arrive is counted. */
class Outgoing implements SpanProcessor {
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

class RecordedSpan implements TraceSpan {
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

export class Tracer {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: LibraryTracer;
  readonly #outgoing: readonly Outgoing[];
  readonly #metrics: TracingMetrics;
  readonly #logger: Logger;
  readonly #propagates: boolean;
  readonly #parentBased: boolean;
  readonly #strangers = new TokenBucket({ perSecond: STRANGERS_A_SECOND });
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #settled = ROOT_CONTEXT.setValue(SETTLED, true);

  constructor(
    parts: {
      readonly provider: BasicTracerProvider;
      readonly outgoing: readonly Outgoing[];
      readonly metrics: TracingMetrics;
      readonly logger: Logger;
    },
    {
      propagates,
      parentBased,
      version,
    }: Pick<TracingConfig, 'propagates' | 'parentBased'> & { readonly version: string },
  ) {
    this.#provider = parts.provider;
    this.#tracer = parts.provider.getTracer(SCOPE, version);
    this.#outgoing = parts.outgoing;
    this.#metrics = parts.metrics;
    this.#logger = parts.logger;
    this.#propagates = propagates;
    this.#parentBased = parentBased;
  }

  /** False where too much waits already: another message's spans would be made to be dropped. */
  hasCapacity(): boolean {
    if (!this.#outgoing.some(({ full }) => full)) return true;
    this.#metrics.spans.inc({ outcome: 'dropped' });
    return false;
  }

  /** The first span of a message, which is one of those that are traced. */
  message(name: string, options: Omit<SpanOptions, 'parent'>): TraceSpan {
    return this.#record(name, options, this.#settled) as TraceSpan;
  }

  /** Below another, or first of a trace where that is to be sampled: else undefined. */
  start(name: string, options: SpanOptions): TraceSpan | undefined {
    const { parent } = options;
    return this.#record(
      name,
      options,
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(this.#settled, contextOf(parent)),
    );
  }

  /**
   * Of a call that has come with the metadata that `get` reads; undefined where it is not sampled. Unless the caller is `known`, its word that it is sampled counts a
   * few times a second: beyond, a trace of its own begins, linked to the caller's, where chance has it, as OpenTelemetry has it at public endpoints. And
   * where half of the room is taken, the rest is for messages.
   */
  incoming(
    name: string,
    get: (key: string) => string | undefined,
    { known = false, ...options }: Omit<SpanOptions, 'parent'> & { readonly known?: boolean },
  ): TraceSpan | undefined {
    let context = this.#propagates
      ? this.#propagator.extract(ROOT_CONTEXT, get, { get: (from, key) => from(key), keys: () => [] })
      : ROOT_CONTEXT;
    const caller = trace.getSpanContext(context);
    const says = this.#parentBased && caller !== undefined && (caller.traceFlags & TraceFlags.SAMPLED) !== 0;
    const followed = known || !says || this.#strangers.take();
    if (!followed) context = ROOT_CONTEXT;
    const span = this.#record(name, options, context, followed ? undefined : caller);
    if (span === undefined || known || !this.#outgoing.some(({ halfFull }) => halfFull)) return span;
    this.#metrics.spans.inc({ outcome: 'dropped' });
    return undefined;
  }

  /** W3C's headers for whoever is called; none where they are not wanted. */
  headers(parent: TraceParent): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    if (this.#propagates)
      this.#propagator.inject(
        trace.setSpanContext(ROOT_CONTEXT, contextOf(parent)),
        headers,
        defaultTextMapSetter,
      );
    return headers;
  }

  #record(
    name: string,
    { kind = 'internal', parent, at, values }: SpanOptions,
    context: Context,
    linked?: SpanContext,
  ) {
    const clock = parent?.clock ?? wall.told() - monotonic();
    const span = this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        startTime: clock + (at ?? monotonic()),
        ...(values === undefined ? {} : { attributes: values }),
        ...(linked === undefined ? {} : { links: [{ context: linked }] }),
      },
      context,
    );
    return span.isRecording() ? new RecordedSpan(span, clock) : undefined;
  }

  /** Gives what waits `ms` to go out. Never rejects. */
  async close(ms: number): Promise<void> {
    const done = this.#provider.shutdown().then(() => undefined, errorMessage);
    const reason = await pTimeout(done, {
      milliseconds: Math.max(1, ms),
      fallback: () => `it took more than ${ms} ms`,
    });
    if (reason !== undefined) this.#logger.warn({ reason }, 'the last spans did not reach the collector');
  }
}

function contextOf({ traceId, spanId, state }: TraceParent) {
  return {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    ...(state === '' ? {} : { traceState: new TraceState(state) }),
  };
}

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
      sampler: new SettledOrSampled(samplerOf(config)),
      spanProcessors: outgoing,
    });
    return new Tracer({ provider, outgoing, metrics, logger }, { ...config, version: service.version });
  } finally {
    diag.disable();
  }
}

/** OpenTelemetry, behind what the server asks of it. Loaded only where tracing is on. */

import {
  type Context,
  defaultTextMapSetter,
  type Tracer as LibraryTracer,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { TraceState, W3CTraceContextPropagator } from '@opentelemetry/core';
import type { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import pTimeout from 'p-timeout';
import { TokenBucket } from '../async/token-bucket.js';
import { monotonic, wall } from '../clock.js';
import { errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import type { TracingConfig } from './config.js';
import type { TracingMetrics } from './metrics.js';
import type { Outgoing } from './outgoing.js';
import { RecordedSpan } from './recorded-span.js';
import { SETTLED } from './sampler.js';
import type { SpanOptions, TraceParent, TraceSpan } from './types.js';

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/** Under which its spans are told. */
export const SCOPE = 'teranode-p2p';

/**
 * Calls of callers who have not proven who they are that are traced because they say so, a second, as W3C advises against denial of service
 * (https://www.w3.org/TR/trace-context/#denial-of-service).
 */
const STRANGERS_A_SECOND = 10;

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

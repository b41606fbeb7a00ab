/** What the server knows of a trace, whoever makes it. Types alone. */

import type { TracingConfig } from './config.js';

/** What tells this node from others. */
export interface TracedService {
  /** Base58. */
  readonly peerId: string;
  readonly clientName: string;
  /** Of the package. */
  readonly version: string;
}

/** What another thread or process is told of tracing, where that is on. */
export interface TracingOrder {
  readonly config: TracingConfig;
  readonly service: TracedService;
}

/** A span that others are below, as it goes to other threads and processes. */
export interface TraceParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** W3C's `tracestate`; empty for none. */
  readonly state: string;
  /** Unix ms at 0 of the monotonic clock, when the trace began: so all of it is told by one clock, whatever becomes of the time of day. */
  readonly clock: number;
}

/** A message of a batch that is traced. */
export interface TracedMessage {
  /** Its place in the batch. */
  readonly index: number;
  readonly parent: TraceParent;
}

/** Values of a span, by OpenTelemetry's names; undefined ones are left out. */
export type SpanValues = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Undefined: a trace begins with it. */
  readonly parent?: TraceParent | undefined;
  /**
   * When it began (monotonic).
   * @default now
   */
  readonly at?: number;
  readonly values?: SpanValues;
}

/** A span that is recorded. Times are monotonic, and now unless told. */
export interface TraceSpan {
  /** For those below it. */
  readonly context: TraceParent;
  set(values: SpanValues): void;
  event(name: string, values?: SpanValues): void;
  /** `type`: of few kinds. */
  fail(type: string, message?: string): void;
  /** Once. */
  end(at?: number): void;
}

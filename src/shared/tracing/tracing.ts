/**
 * Tracing of one thread or process. While it is off, and until it is opened, nobody has a tracer, and nothing of OpenTelemetry is loaded.
 */

import type { Registry } from 'prom-client';
import { errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import type { TracingConfig } from './config.js';
import { MessageSampler } from './message-sampler.js';
import { createTracingMetrics, type TracingMetrics } from './metrics.js';
import type { Tracer } from './tracer.js';
import type { TracedService, TracingOrder } from './types.js';

export interface TracingComponents {
  readonly logger: Logger;
  /** Has its counters while it is on. */
  readonly registry: Registry;
}

/** Of the time that a stop has, what the last spans get at the most, ms. */
export const FLUSH_MS = 1_000;

/** What parts are handed of it. */
export type Tracers = Pick<Tracing, 'tracer' | 'sampled'>;

export class Tracing {
  /** Undefined: off. */
  readonly config: TracingConfig | undefined;
  readonly #components: TracingComponents;
  readonly #metrics: TracingMetrics | undefined;
  readonly #sampler: MessageSampler;
  #tracer: Tracer | undefined;

  constructor(components: TracingComponents, config: TracingConfig | undefined) {
    this.#components = components;
    this.config = config;
    this.#metrics = config && createTracingMetrics(components.registry);
    this.#sampler = new MessageSampler(config?.ratio ?? 0);
  }

  /** What the other threads and processes of `service` are to be told; undefined: nothing is traced. */
  orderOf(service: TracedService): TracingOrder | undefined {
    return this.config && { config: this.config, service };
  }

  /** Undefined: nothing is traced. */
  get tracer(): Tracer | undefined {
    return this.#tracer;
  }

  /** The tracer, where the message that has come is one of those that are traced. Asked of each, once. */
  sampled(): Tracer | undefined {
    const tracer = this.#tracer;
    return tracer !== undefined && this.#sampler.take() && tracer.hasCapacity() ? tracer : undefined;
  }

  /** Loads OpenTelemetry; again after `close`. Never rejects: what is wrong with tracing costs nothing else. */
  async open(service: TracedService | undefined): Promise<void> {
    const metrics = this.#metrics;
    if (this.config === undefined || metrics === undefined || service === undefined) return;
    if (this.#tracer !== undefined) return;
    try {
      const { openTracer } = await import('./open-tracer.js');
      this.#tracer = await openTracer({ ...this.#components, metrics }, this.config, service);
    } catch (error) {
      this.#components.logger.error({ reason: errorMessage(error) }, 'nothing is traced');
    }
  }

  /** Gives the last spans `ms` to go out. Never rejects. */
  async close(ms: number): Promise<void> {
    const tracer = this.#tracer;
    this.#tracer = undefined;
    await tracer?.close(ms);
  }
}

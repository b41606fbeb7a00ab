/** A list of parts, started in order and stopped backwards. Whoever wants to know something of all of them reads it here. */

import pTimeout from 'p-timeout';
import { monotonic } from '../clock.js';
import { AbortedError, errorMessage } from '../errors.js';
import type { HealthCheck, VitalSign } from '../health.js';
import type { Logger } from '../logging/logger.js';
import type { MetricSource } from '../metrics/source.js';
import type { Part } from './part.js';

/** What a part that ignores its deadline gets on top before it is left behind. */
const GRACE_MS = 500;

export class Lifecycle {
  readonly #parts: readonly Part[];
  readonly #logger: Logger;
  readonly #started: Part[] = [];
  #isReady = false;

  /** Throws RangeError where two parts have one name. */
  constructor(parts: readonly Part[], logger: Logger) {
    const twice = parts.find(({ name }, index) => parts.findIndex((other) => other.name === name) !== index);
    if (twice !== undefined) throw new RangeError(`two parts are named ${twice.name}`);
    this.#parts = parts;
    this.#logger = logger;
  }

  /** From the end of the start to the beginning of the stop. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The part that is starting, or the last that was started and not stopped. */
  get current(): string | undefined {
    return this.#started.at(-1)?.name;
  }

  get health(): readonly HealthCheck[] {
    return this.#parts.flatMap(({ health = [] }) => health);
  }

  get vitals(): readonly VitalSign[] {
    return this.#parts.flatMap(({ vitals = [] }) => vitals);
  }

  get metrics(): readonly MetricSource[] {
    return this.#parts.flatMap((part) => part.metrics?.() ?? []);
  }

  /** Rejects with the first failure, after every part was told. */
  async setLogLevel(level: string): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.setLogLevel?.(level)));
  }

  /** Ports that are listened on now. */
  get ports(): Readonly<Record<string, number>> {
    const all = this.#parts.flatMap((part) => Object.entries(part.ports?.() ?? {}));
    return Object.fromEntries(all.filter((port): port is [string, number] => port[1] !== undefined));
  }

  /**
   * Starts each part when the one before has started, and tells all when the last has. Rejects with what a part rejected with, or AbortedError; what had
   * started is then still to be stopped.
   */
  async start(signal: AbortSignal): Promise<void> {
    for (const part of this.#parts) {
      if (signal.aborted) throw new AbortedError(`stopped before ${part.name} started`);
      const began = performance.now();
      this.#started.push(part);
      await part.start?.(signal);
      this.#logger.debug({ part: part.name, ms: Math.round(performance.now() - began) }, 'started');
    }
    if (signal.aborted) throw new AbortedError('stopped at the end of the start');
    this.#isReady = true;
    for (const part of this.#parts) part.ready?.();
  }

  /** Stops what was started, backwards. Never rejects: what fails is logged, what is late is left behind. Gives the names of both. */
  async stop(deadline: number): Promise<readonly string[]> {
    const unclean: string[] = [];
    this.#isReady = false;
    for (const part of this.#started) part.beforeStop?.();
    for (let part = this.#started.pop(); part !== undefined; part = this.#started.pop()) {
      const began = performance.now();
      try {
        await before(deadline + GRACE_MS, part.stop?.(deadline));
        this.#logger.debug({ part: part.name, ms: Math.round(performance.now() - began) }, 'stopped');
      } catch (error) {
        unclean.push(part.name);
        this.#logger.warn({ part: part.name, error: errorMessage(error) }, 'did not stop cleanly');
      }
    }
    return unclean;
  }
}

/** `work`, or a rejection at `deadline` (monotonic). */
async function before(deadline: number, work: void | Promise<void>): Promise<void> {
  if (work === undefined) return;
  await pTimeout(work, { milliseconds: Math.max(1, deadline - monotonic()), message: 'took too long' });
}

/** Whether this process is beyond help. Looks at nothing outside the machine: a quiet network is healthy. */

import { errorMessage } from '../../shared/errors.js';
import type { DependencyHealth, HealthReport, VitalSign } from '../../shared/health.js';
import { healthReport } from './readiness.js';

export interface LivenessOptions {
  /**
   * Milliseconds without a turn of the event loop that count as a stall.
   * @default 10_000
   */
  readonly stallMs?: number;
  /**
   * Milliseconds between two beats.
   * @default 500
   */
  readonly beatMs?: number;
  /**
   * Milliseconds.
   * @default `performance.now`
   */
  readonly now?: () => number;
}

/**
 * While the loop stands still nothing answers, and the probe's own timeout speaks. The first answers after it must not say
 * that all is well, because whoever asked was in the queue behind the stall: a stall is told for its own length again.
 */
export class Liveness {
  readonly #signs: () => readonly VitalSign[];
  readonly #stallMs: number;
  readonly #beatMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #lastBeat = 0;
  #stall = { length: 0, ended: 0 };

  constructor({ signs }: { readonly signs: () => readonly VitalSign[] }, options: LivenessOptions = {}) {
    this.#signs = signs;
    this.#stallMs = options.stallMs ?? 10_000;
    this.#beatMs = options.beatMs ?? 500;
    this.#now = options.now ?? (() => performance.now());
  }

  start(): void {
    this.#lastBeat = this.#now();
    this.#timer = setInterval(() => this.#beat(), this.#beatMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async check(): Promise<HealthReport> {
    this.#beat();
    return healthReport([this.#eventLoop(), ...this.#signs().map(examine)]);
  }

  #beat(): void {
    if (this.#timer === undefined) return;
    const now = this.#now();
    const gap = now - this.#lastBeat;
    if (gap >= this.#stallMs) this.#stall = { length: gap, ended: now };
    this.#lastBeat = now;
  }

  #eventLoop(): DependencyHealth {
    const { length, ended } = this.#stall;
    if (length === 0 || this.#now() - ended >= this.#stallMs) {
      return { resource: 'EventLoop', status: 200, message: 'turning' };
    }
    const error = `stood still for ${(length / 1000).toFixed(1)} s`;
    return { resource: 'EventLoop', status: 503, error, message: 'stalled' };
  }
}

function examine({ resource, fault }: VitalSign): DependencyHealth {
  let error: string | undefined;
  try {
    error = fault();
  } catch (thrown) {
    error = errorMessage(thrown);
  }
  return error === undefined
    ? { resource, status: 200, message: 'alive' }
    : { resource, status: 503, error, message: 'cannot recover by itself' };
}

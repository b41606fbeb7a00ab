/** Whether this server can do its work now: all dependencies asked in parallel, each within its time. */

import pTimeout from 'p-timeout';
import { SingleFlight } from '../../shared/async/single-flight.js';
import { errorMessage } from '../../shared/errors.js';
import type { DependencyHealth, HealthCheck, HealthReport } from '../../shared/health.js';
import { withoutSecrets } from '../../shared/redaction.js';

export interface ReadinessOptions {
  /**
   * Milliseconds for each check.
   * @default 2_000
   */
  readonly timeoutMs?: number;
}

/** Requests that come while a look is under way share it, so that probes cannot pile up on a slow dependency. */
export class Readiness {
  readonly #checks: () => readonly HealthCheck[];
  readonly #timeoutMs: number;
  readonly #looks = new SingleFlight<HealthReport>();

  constructor(
    { checks }: { checks: () => readonly HealthCheck[] },
    { timeoutMs = 2000 }: ReadinessOptions = {},
  ) {
    this.#checks = checks;
    this.#timeoutMs = timeoutMs;
  }

  /** 200 when every dependency is well, else 503. Never rejects, and takes no longer than the time of one check. */
  check(): Promise<HealthReport> {
    return this.#looks.run(() => this.#look());
  }

  async #look(): Promise<HealthReport> {
    const answers = await Promise.all(this.#checks().map((check) => this.#ask(check)));
    return healthReport(answers.flat());
  }

  async #ask({ resource, check }: HealthCheck): Promise<readonly DependencyHealth[]> {
    const asking = new AbortController();
    const milliseconds = this.#timeoutMs;
    try {
      const answer = await pTimeout(check(asking.signal), {
        milliseconds,
        message: `no answer within ${milliseconds} ms`,
      });
      return Array.isArray(answer) ? answer : [answer as DependencyHealth];
    } catch (error) {
      asking.abort();
      const why = errorMessage(error);
      return [{ resource, status: 503, error: why, message: `${resource} failed its check` }];
    }
  }
}

/** The whole's health from its parts', which everybody may read: without secrets of URLs in it. */
export function healthReport(dependencies: readonly DependencyHealth[]): HealthReport {
  return {
    status: dependencies.every(({ status }) => status === 200) ? 200 : 503,
    dependencies: dependencies.map(shown),
  };
}

function shown({ error, message, ...dependency }: DependencyHealth): DependencyHealth {
  return {
    ...dependency,
    ...(error === undefined ? {} : { error: withoutSecrets(error) }),
    message: withoutSecrets(message),
  };
}

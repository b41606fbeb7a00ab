/** Whether this server can do its work now: all dependencies asked in parallel, each within its time. */

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
  #underWay: Promise<HealthReport> | undefined;

  constructor(
    { checks }: { checks: () => readonly HealthCheck[] },
    { timeoutMs = 2000 }: ReadinessOptions = {},
  ) {
    this.#checks = checks;
    this.#timeoutMs = timeoutMs;
  }

  /** 200 when every dependency is well, else 503. Never rejects, and takes no longer than the time of one check. */
  check(): Promise<HealthReport> {
    this.#underWay ??= this.#look().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #look(): Promise<HealthReport> {
    const answers = await Promise.all(this.#checks().map((check) => this.#ask(check)));
    return healthReport(answers.flat());
  }

  async #ask({ resource, check }: HealthCheck): Promise<readonly DependencyHealth[]> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    let onAbort: (() => void) | undefined;
    const late = new Promise<never>((_, reject) => {
      onAbort = () => reject(new Error(`no answer within ${this.#timeoutMs} ms`));
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      const answer = await Promise.race([check(signal), late]);
      return Array.isArray(answer) ? answer : [answer as DependencyHealth];
    } catch (error) {
      const why = errorMessage(error);
      return [{ resource, status: 503, error: why, message: `${resource} failed its check` }];
    } finally {
      if (onAbort) signal.removeEventListener('abort', onAbort);
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

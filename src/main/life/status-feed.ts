/** Makes the status anew for as long as the server runs. */

import { pause } from '../../shared/async/pause.js';
import type { HealthReport } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { NodeStatusReport } from '../../shared/status.js';

export interface StatusFeedComponents {
  readonly logger: Logger;
  /** Asks every dependency. */
  readonly health: () => Promise<HealthReport>;
  readonly report: (health: HealthReport) => NodeStatusReport;
  /** What `/api/status` answers from now on. */
  readonly tell: (json: string) => void;
  /** Whether somebody may be looking: the page holds a WebSocket. */
  readonly watched: () => boolean;
}

export interface StatusFeedOptions {
  /**
   * Milliseconds between two snapshots while somebody looks.
   * @default 1_000
   */
  readonly watchedMs?: number;
  /**
   * The same while nobody does.
   * @default 5_000
   */
  readonly unwatchedMs?: number;
  /**
   * Milliseconds between two looks at the dependencies while all are well.
   * @default 5_000
   */
  readonly wellMs?: number;
  /**
   * The same while one is not.
   * @default 2_000
   */
  readonly ailingMs?: number;
}

/** Makes the status anew for as long as it runs. The dependencies are asked more rarely: they have other work. */
export class StatusFeed {
  readonly #components: StatusFeedComponents;
  readonly #options: Required<StatusFeedOptions>;
  readonly #stopping = new AbortController();
  #health: { readonly report: HealthReport; readonly at: number } | undefined;
  #running: Promise<void> | undefined;

  constructor(
    components: StatusFeedComponents,
    { watchedMs = 1_000, unwatchedMs = 5_000, wellMs = 5_000, ailingMs = 2_000 }: StatusFeedOptions = {},
  ) {
    this.#components = components;
    this.#options = { watchedMs, unwatchedMs, wellMs, ailingMs };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { logger, report, tell, watched } = this.#components;
    const { watchedMs, unwatchedMs } = this.#options;
    for (let told = false; !signal.aborted; ) {
      try {
        const health = await this.#look();
        if (signal.aborted) return;
        tell(JSON.stringify(report(health)));
        told = false;
      } catch (error) {
        if (!told) logger.warn({ err: error }, 'the status could not be made');
        told = true;
      }
      const next = performance.now() + unwatchedMs;
      // Who comes to look is not kept waiting until the next one that nobody looks at.
      do await pause(Math.min(watchedMs, unwatchedMs), { signal });
      while (!signal.aborted && !watched() && performance.now() < next);
    }
  }

  async #look(): Promise<HealthReport> {
    const { wellMs, ailingMs } = this.#options;
    const last = this.#health;
    const wait = last?.report.status === 200 ? wellMs : ailingMs;
    if (last !== undefined && performance.now() - last.at < wait) return last.report;
    const report = await this.#components.health();
    this.#health = { report, at: performance.now() };
    return report;
  }
}

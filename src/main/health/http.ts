/** The ports on which others look at this server: `/health…` (WIRE §6) and the metrics. */

import type { HealthReport } from '../../shared/health.js';
import type { Logger } from '../../shared/logging.js';
import { type Answer, Listener } from './listener.js';

/** How Go prints an error that is none, and so what readers of these bodies know. */
const NO_ERROR = '<nil>';

/** A report as it crosses the wire: statuses are text. */
export function healthBody({ status, dependencies }: HealthReport): string {
  return JSON.stringify({
    status: String(status),
    dependencies: dependencies.map(({ resource, status, error = NO_ERROR, message }) => ({
      resource,
      status: String(status),
      error,
      message,
    })),
  });
}

async function answer(report: () => Promise<HealthReport>): Promise<Answer> {
  const health = await report();
  return { status: health.status, contentType: 'application/json', body: healthBody(health) };
}

/** `/health` and `/health/readiness`, `/health/liveness` on `health_check_httpListenAddress`. */
export class HealthServer extends Listener {
  constructor(
    components: {
      readonly logger: Logger;
      readonly readiness: () => Promise<HealthReport>;
      readonly liveness: () => Promise<HealthReport>;
    },
    { address }: { readonly address: string },
  ) {
    const { logger, readiness, liveness } = components;
    super(
      {
        logger,
        routes: new Map([
          ['/health', () => answer(readiness)],
          ['/health/readiness', () => answer(readiness)],
          ['/health/liveness', () => answer(liveness)],
        ]),
      },
      { setting: 'health_check_httpListenAddress', address },
    );
  }
}

/** The metrics on `profilerAddr`, at `prometheusEndpoint`. */
export class MetricsServer extends Listener {
  constructor(
    components: {
      readonly logger: Logger;
      readonly scrape: () => Promise<{ readonly contentType: string; readonly body: string }>;
    },
    { address, path }: { readonly address: string; readonly path: string },
  ) {
    const { logger, scrape } = components;
    super(
      { logger, routes: new Map([[path, async () => ({ status: 200, ...(await scrape()) })]]) },
      { setting: 'profilerAddr', address },
    );
  }
}

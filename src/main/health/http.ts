/** The ports on which others look at this server: `/health…` (WIRE §6) and the metrics. */

import type { HealthReport } from '../../shared/health.js';
import { type Answer, Listener, type ListenerComponents } from './listener.js';

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

/** Scraped anew this long after the last: a scrape is the dearest answer there is, and whoever asks may ask it. */
const SCRAPE_KEPT_MS = 1_000;

export interface Scrape {
  readonly contentType: string;
  readonly body: string;
}

/** One scrape for all who ask while it is made and shortly after, and its bytes once in memory however many have not read them. */
function shared(scrape: () => Promise<Scrape>): () => Promise<Answer> {
  let current: Promise<Answer> | undefined;
  return () => {
    current ??= scrape().then(
      ({ contentType, body }) => {
        setTimeout(() => {
          current = undefined;
        }, SCRAPE_KEPT_MS).unref();
        return { status: 200, contentType, body: Buffer.from(body) };
      },
      (error: unknown) => {
        current = undefined;
        throw error;
      },
    );
    return current;
  };
}

async function answer(report: () => Promise<HealthReport>): Promise<Answer> {
  const health = await report();
  return { status: health.status, contentType: 'application/json', body: healthBody(health) };
}

/** `/health` and `/health/readiness`, `/health/liveness` on `health_check_httpListenAddress`. */
export class HealthServer extends Listener {
  constructor(
    components: ListenerComponents & {
      readonly readiness: () => Promise<HealthReport>;
      readonly liveness: () => Promise<HealthReport>;
    },
    { address }: { readonly address: string },
  ) {
    const { readiness, liveness } = components;
    super(
      {
        ...components,
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
    components: ListenerComponents & { readonly scrape: () => Promise<Scrape> },
    { address, path }: { readonly address: string; readonly path: string },
  ) {
    super(
      { ...components, routes: new Map([[path, shared(components.scrape)]]) },
      { setting: 'profilerAddr', address },
    );
  }
}

/** The ports on which others look at this server: `/health…` (WIRE §6) and the metrics. */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HealthReport } from '../../shared/health.js';
import type { ListenAddress } from '../../shared/net/listen-address.js';
import type { Scrape, ScrapeFormat } from '../metrics/aggregate.js';
import { type Answer, Listener, type ListenerComponents, type Route } from './listener.js';

const zip = promisify<Buffer, Buffer>(gzip);

/** How Go prints an error that is none, and so what readers of these bodies know. */
const NO_ERROR = '<nil>';

/** A report as it crosses the wire: statuses are text. */
function healthBody({ status, dependencies }: HealthReport): string {
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

interface Kept extends Answer {
  readonly body: Buffer;
  /** Made when it is first asked for. */
  zipped?: Promise<Buffer>;
}

/**
 * One scrape of a format for all who ask while it is made and shortly after, and its bytes once in memory however many have not read
 * them. OpenMetrics for whoever rates it above the text format, gzip for whoever takes it.
 */
function shared(scrape: (format: ScrapeFormat) => Promise<Scrape>): Route {
  const current = new Map<ScrapeFormat, Promise<Kept>>();
  const take = (format: ScrapeFormat): Promise<Kept> => {
    const known = current.get(format);
    if (known !== undefined) return known;
    const made = scrape(format).then(
      ({ contentType, body }) => {
        setTimeout(() => current.delete(format), SCRAPE_KEPT_MS).unref();
        return { status: 200, contentType, body: Buffer.from(body) };
      },
      (error: unknown) => {
        current.delete(format);
        throw error;
      },
    );
    current.set(format, made);
    return made;
  };
  return async ({ accept = '', 'accept-encoding': encodings = '' }) => {
    const openMetrics = qualityOf(accept, 'application/openmetrics-text');
    const text = Math.max(qualityOf(accept, 'text/plain'), qualityOf(accept, '*/*'));
    const kept = await take(openMetrics > text ? 'openmetrics' : 'text');
    const headers = { Vary: 'Accept, Accept-Encoding' };
    if (qualityOf(String(encodings), 'gzip') === 0) return { ...kept, headers };
    kept.zipped ??= zip(kept.body);
    return { ...kept, body: await kept.zipped, headers: { ...headers, 'Content-Encoding': 'gzip' } };
  };
}

/** `q` of an entry of Accept or Accept-Encoding, the highest where it is there more than once; 0: not there. */
function qualityOf(header: string, name: string): number {
  const qualities = header.split(',').flatMap((entry) => {
    const [value = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    if (value !== name) return [];
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return [quality === undefined ? 1 : Number(quality.slice(2)) || 0];
  });
  return Math.max(0, ...qualities);
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
    { address }: { readonly address: ListenAddress },
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
    components: ListenerComponents & { readonly scrape: (format: ScrapeFormat) => Promise<Scrape> },
    { address, path }: { readonly address: ListenAddress; readonly path: string },
  ) {
    super(
      { ...components, routes: new Map([[path, shared(components.scrape)]]) },
      { setting: 'profilerAddr', address },
    );
  }
}

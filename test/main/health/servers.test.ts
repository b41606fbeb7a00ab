import assert from 'node:assert/strict';
import { get, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Counter, Registry } from 'prom-client';
import { HealthServer, MetricsServer } from '../../../src/main/health/http.js';
import { Liveness } from '../../../src/main/health/liveness.js';
import { Readiness } from '../../../src/main/health/readiness.js';
import { MetricsAggregate } from '../../../src/main/metrics/aggregate.js';
import type { DependencyHealth, HealthCheck, HealthReport } from '../../../src/shared/health.js';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { keptLog } from '../../support/logger.js';
import { within } from '../../support/wait.js';

const { logger } = keptLog();
const well = (resource: string): HealthCheck => ({
  resource,
  check: async () => ({ resource, status: 200, message: 'fine' }),
});

async function serve(
  context: TestContext,
  readiness: () => Promise<HealthReport>,
  liveness: () => Promise<HealthReport> = readiness,
): Promise<string> {
  const server = new HealthServer(
    { logger, readiness, liveness },
    { address: parseListenAddress('127.0.0.1:0') },
  );
  await server.start();
  context.after(() => server.stop());
  return `http://127.0.0.1:${server.port}`;
}

test('all dependencies well: 200 and the body that readers of Teranode know', async (context) => {
  const readiness = new Readiness({ checks: () => [well('Kafka'), well('Chain')] });
  const url = await serve(context, () => readiness.check());
  for (const path of ['/health', '/health/readiness']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), {
      status: '200',
      dependencies: [
        { resource: 'Kafka', status: '200', error: '<nil>', message: 'fine' },
        { resource: 'Chain', status: '200', error: '<nil>', message: 'fine' },
      ],
    });
  }
});

test('one dependency down: 503, its error, the others as they are; liveness does not care', async (context) => {
  const bad: HealthCheck = {
    resource: 'Kafka',
    check: async () => ({ resource: 'Kafka', status: 503, error: 'refused', message: 'down' }),
  };
  const thrown: HealthCheck = { resource: 'Chain', check: () => Promise.reject(new Error('no route')) };
  const readiness = new Readiness({ checks: () => [bad, thrown, well('Store')] });
  const liveness = new Liveness({ signs: () => [] });
  const url = await serve(
    context,
    () => readiness.check(),
    () => liveness.check(),
  );
  const response = await fetch(`${url}/health`);
  assert.equal(response.status, 503);
  const { status, dependencies } = (await response.json()) as {
    status: string;
    dependencies: DependencyHealth[];
  };
  assert.equal(status, '503');
  assert.deepEqual(
    dependencies.map(({ resource, status, error }) => [resource, String(status), error]),
    [
      ['Kafka', '503', 'refused'],
      ['Chain', '503', 'no route'],
      ['Store', '200', '<nil>'],
    ],
  );
  assert.equal((await fetch(`${url}/health/liveness`)).status, 200);
});

test('checks run side by side, and one that never answers costs its own time alone', async () => {
  let running = 0;
  let most = 0;
  const hanging = (resource: string): HealthCheck => ({
    resource,
    check: (signal) => {
      most = Math.max(most, ++running);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const readiness = new Readiness(
    { checks: () => [hanging('a'), hanging('b'), hanging('c'), well('d')] },
    { timeoutMs: 100 },
  );
  const { dependencies } = await within(readiness.check(), 20_000, 'the look');
  assert.equal(most, 3);
  assert.deepEqual(
    dependencies.map(({ status }) => status),
    [503, 503, 503, 200],
  );
});

test('probes that come together share one look', async () => {
  let looks = 0;
  const check = async () => {
    looks++;
    return { resource: 'a', status: 200, message: '' } as const;
  };
  const readiness = new Readiness({ checks: () => [{ resource: 'a', check }] });
  await Promise.all(Array.from({ length: 50 }, () => readiness.check()));
  assert.equal(looks, 1);
  await readiness.check();
  assert.equal(looks, 2);
});

test('a stall of ten seconds fails liveness, and is forgotten after as long', async (context) => {
  let now = 0;
  const liveness = new Liveness({ signs: () => [] }, { now: () => now });
  liveness.start();
  context.after(() => liveness.stop());
  now = 9_999;
  assert.equal((await liveness.check()).status, 200);
  now += 10_001;
  const stalled = await liveness.check();
  assert.equal(stalled.status, 503);
  assert.equal(stalled.dependencies[0]?.error, 'stood still for 10.0 s');
  for (let i = 0; i < 4; i++) {
    now += 2_400;
    assert.equal((await liveness.check()).status, 503);
  }
  now += 2_400;
  assert.equal((await liveness.check()).status, 200);
});

test('a loop that really stood still says so to the probe that waited', async (context) => {
  const liveness = new Liveness({ signs: () => [] }, { stallMs: 1_500, beatMs: 20 });
  liveness.start();
  context.after(() => liveness.stop());
  const url = await serve(context, () => liveness.check());
  assert.equal((await fetch(`${url}/health/liveness`)).status, 200);
  const waiting = fetch(`${url}/health/liveness`);
  const until = performance.now() + 1_700;
  while (performance.now() < until);
  assert.equal((await waiting).status, 503);
});

test('a part past recovery fails liveness with its reason', async () => {
  let fault: string | undefined;
  const liveness = new Liveness({ signs: () => [{ resource: 'Checkers', fault: () => fault }] });
  assert.equal((await liveness.check()).status, 200);
  fault = 'cannot be started again';
  const { status, dependencies } = await liveness.check();
  assert.equal(status, 503);
  assert.equal(dependencies[1]?.error, fault);
});

test('a taken port is an error that names setting and port', async (context) => {
  const url = await serve(context, async () => ({ status: 200, dependencies: [] }));
  const port = new URL(url).port;
  const second = new MetricsServer(
    { logger, scrape: async () => ({ contentType: 'text/plain', body: '' }) },
    { address: parseListenAddress(`127.0.0.1:${port}`), path: '/metrics' },
  );
  await assert.rejects(second.start(), {
    name: 'ConfigurationError',
    message: `profilerAddr: port ${port} is in use`,
  });
  await second.stop();
});

test('metrics are at their path alone, by GET alone; a scrape that fails tells nothing', async (context) => {
  let fails = true;
  const scrape = async () => {
    if (fails) throw new Error('the secret reason');
    return { contentType: 'text/plain; version=0.0.4', body: 'a 1\n' };
  };
  const server = new MetricsServer(
    { logger, scrape },
    { address: parseListenAddress('127.0.0.1:0'), path: '/m' },
  );
  await server.start();
  context.after(() => server.stop());
  const url = `http://127.0.0.1:${server.port}`;
  const failed = await fetch(`${url}/m`);
  assert.equal(failed.status, 500);
  assert.equal(await failed.text(), 'failed\n');
  fails = false;
  assert.equal(await (await fetch(`${url}/m?x=1`)).text(), 'a 1\n');
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
  assert.equal((await fetch(`${url}/m`, { method: 'POST', body: 'x' })).status, 405);
});

test('metrics come in OpenMetrics for who rates it higher, and zipped for who takes gzip', async (context) => {
  const registry = new Registry();
  new Counter({ name: 'made_up_total', help: 'Made up.', registers: [registry] }).inc(3);
  const aggregate = new MetricsAggregate({ registry, logger });
  const server = new MetricsServer(
    { logger, scrape: (format) => aggregate.scrape(format) },
    { address: parseListenAddress('127.0.0.1:0'), path: '/metrics' },
  );
  await server.start();
  context.after(() => server.stop());
  const ask = (headers: OutgoingHttpHeaders) =>
    new Promise<{ headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
      get({ host: '127.0.0.1', port: server.port, path: '/metrics', agent: false, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.once('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      }).once('error', reject);
    });
  // As Prometheus 2.42 sends it.
  const accept =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  const open = await ask({ accept, 'accept-encoding': 'gzip' });
  assert.equal(open.headers['content-encoding'], 'gzip');
  assert.match(open.headers['content-type'] ?? '', /^application\/openmetrics-text; *version=1\.0\.0/);
  const text = gunzipSync(open.body).toString();
  assert.match(text, /^# TYPE made_up counter$/m);
  assert.match(text, /^made_up_total 3$/m);
  assert.match(text, /\n# EOF\n$/);
  for (const headers of [
    { 'user-agent': 'curl' },
    { accept: '*/*' },
    { accept: 'text/plain', 'accept-encoding': 'gzip;q=0, identity' },
    { accept: 'application/openmetrics-text;q=0.2,text/plain' },
  ]) {
    const plain = await ask(headers);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.match(plain.headers['content-type'] ?? '', /^text\/plain; *version=0\.0\.4/);
    assert.match(plain.body.toString(), /^# TYPE made_up_total counter\nmade_up_total 3$/m);
  }
});

/** First line of the answer to what is sent on a connection of its own. */
function answerTo(url: string, request: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(request));
    socket.on('error', () => {});
    socket.on('data', (data) => (text += data)).once('close', () => resolve(text.split('\r\n')[0] ?? ''));
  });
}

test('each form of request that a standard has is answered, and what is none is refused at once', async (context) => {
  const url = await serve(context, async () => ({ status: 200, dependencies: [] }));
  // RFC 9110, sections 9.1 and 15, and RFC 9112, section 3.
  for (const [request, answer] of [
    ['GET /health HTTP/1.0\r\n\r\n', '200 OK'],
    ['HEAD /health HTTP/1.0\r\n\r\n', '200 OK'],
    ['GET http://a:80/health/liveness?x HTTP/1.1\r\nHost: a\r\n\r\n', '200 OK'],
    ['GET /health HTTP/1.1\r\n\r\n', '400 Bad Request'],
    ['\0\0garbage', '400 Bad Request'],
    ['SSH-2.0-OpenSSH_9.2\r\n', '400 Bad Request'],
    ['POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', '405 Method Not Allowed'],
    ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', '405 Method Not Allowed'],
    ['BREW /health HTTP/1.1\r\nHost: a\r\n\r\n', '501 Not Implemented'],
    ['GET /health HTTP/2.0\r\nHost: a\r\n\r\n', '505 HTTP Version Not Supported'],
  ] as const)
    assert.equal(await within(answerTo(url, request), 5_000, request), `HTTP/1.1 ${answer}`, request);
  assert.equal((await fetch(`${url}/health`)).status, 200);
});

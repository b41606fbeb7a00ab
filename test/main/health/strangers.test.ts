/** The health and metrics ports, open on all interfaces, under what strangers do to them. */

import assert from 'node:assert/strict';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { Gauge, Registry } from 'prom-client';
import { HealthServer, MetricsServer } from '../../../src/main/health/http.js';
import { Liveness } from '../../../src/main/health/liveness.js';
import { MetricsAggregate } from '../../../src/main/metrics/aggregate.js';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { holdIdle } from '../../support/idle-connections.js';
import { keptLog } from '../../support/logger.js';
import { waitFor, within } from '../../support/wait.js';

const { logger } = keptLog();
const MIB = 1024 * 1024;
const REQUEST = 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n';

/** Both ports over a real registry whose text is as long as a busy server's, some 200 KB. */
async function startPorts(context: TestContext) {
  const registry = new Registry();
  let scrapes = 0;
  const gauge = new Gauge({
    name: 'made_up_gauge',
    help: 'Made up.',
    labelNames: ['which'],
    registers: [registry],
    collect: () => void scrapes++,
  });
  for (let index = 0; index < 4000; index++) gauge.set({ which: `${index}`.padStart(24, '0') }, index);
  const aggregate = new MetricsAggregate({ registry, logger });
  const liveness = new Liveness({ signs: () => [] });
  const check = () => liveness.check();
  const health = new HealthServer(
    { logger, readiness: check, liveness: check },
    { address: parseListenAddress(':0') },
  );
  const metrics = new MetricsServer(
    { logger, scrape: () => aggregate.scrape() },
    { address: parseListenAddress(':0'), path: '/metrics' },
  );
  liveness.start();
  await Promise.all([health.start(), metrics.start()]);
  context.after(async () => {
    liveness.stop();
    await Promise.all([health.stop(), metrics.stop()]);
  });
  return { health: health.port, metrics: metrics.port, scrapes: () => scrapes };
}

/** Status of one request on a connection of its own. */
function ask(port: number, path: string): Promise<number | undefined> {
  const answered = new Promise<number | undefined>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
      response.once('error', reject);
    }).once('error', reject);
  });
  return within(answered, 10_000, path);
}

function open(context: TestContext, port: number, localAddress: string): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  return socket;
}

test('requests pipelined for the metrics get one answer and the end of the connection, and stop nothing', async (context) => {
  const ports = await startPorts(context);
  const delays = monitorEventLoopDelay({ resolution: 10 });
  const memory = process.memoryUsage().rss;
  let most = memory;
  delays.enable();
  const socket = open(context, ports.metrics, '127.0.0.2');
  let answers = 0;
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk) => {
    // Counted and not kept: this side's memory is not what is measured.
    answers += chunk.toString('latin1').match(/HTTP\/1\.1 200/g)?.length ?? 0;
    most = Math.max(most, process.memoryUsage().rss);
  });
  socket.write(REQUEST.repeat(Math.ceil((256 * 1024) / REQUEST.length)));
  assert.equal(await ask(ports.health, '/health/liveness'), 200);
  await within(over, 60_000, 'the end of the connection');
  delays.disable();
  const longest = delays.max / 1e6;
  assert.ok(longest < 2_000, `the event loop stood still for ${longest} ms`);
  assert.ok(most - memory < 200 * MIB, `memory grew by ${(most - memory) / MIB} MiB`);
  assert.equal(answers, 1);
});

test('whoever scrapes while a scrape is made, or within the second after it, gets that one', async (context) => {
  const ports = await startPorts(context);
  const before = performance.now();
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(ports.metrics, '/metrics')));
    assert.deepEqual(new Set(answers), new Set([200]));
  }
  const seconds = (performance.now() - before) / 1000;
  assert.ok(ports.scrapes() <= 1 + Math.ceil(seconds), `${ports.scrapes()} scrapes in ${seconds} s`);
});

test('answers that nobody reads are not kept: they cost no memory and give way', async (context) => {
  const ports = await startPorts(context);
  assert.equal(await ask(ports.metrics, '/metrics'), 200);
  const memory = process.memoryUsage();
  const sockets: Socket[] = [];
  for (let source = 2; source < 12; source++) {
    for (let count = 0; count < 12; count++) {
      const socket = open(context, ports.metrics, `127.0.0.${source}`);
      socket.pause().write(REQUEST.repeat(200));
      sockets.push(socket);
    }
  }
  await waitFor(() => sockets.every(({ bytesWritten, connecting }) => !connecting && bytesWritten > 0));
  // Behind them all.
  assert.equal(await ask(ports.metrics, '/metrics'), 200);
  assert.equal(await ask(ports.health, '/health/liveness'), 200);
  const { arrayBuffers, heapUsed, external } = process.memoryUsage();
  const grown = arrayBuffers + heapUsed + external - memory.arrayBuffers - memory.heapUsed - memory.external;
  assert.ok(grown < 200 * MIB, `memory grew by ${grown / MIB} MiB`);
});

test('probes are answered while others, of their own source too, hold every place they can', async (context) => {
  const ports = await startPorts(context);
  for (const port of [ports.health, ports.metrics]) {
    const idle = holdIdle(context, {
      host: '127.0.0.1',
      port,
      from: ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'],
      each: 40,
    });
    await waitFor(() => idle.open + idle.closed >= 160, { what: 'connections' });
  }
  for (let round = 0; round < 10; round++) {
    assert.equal(await ask(ports.health, '/health/liveness'), 200);
    assert.equal(await ask(ports.health, '/health/readiness'), 200);
    assert.equal(await ask(ports.metrics, '/metrics'), 200);
  }
});

test('a request with an expectation that nobody knows is answered like any other, and its connection ended', async (context) => {
  const { health } = await startPorts(context);
  const socket = open(context, health, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  const over = new Promise<void>((resolve) => socket.once('end', () => resolve()));
  socket.write('GET /health/liveness HTTP/1.1\r\nHost: a\r\nExpect: the unexpected\r\n\r\n');
  // Sooner than a connection that is left open is given up.
  await within(over, 8_000, 'the end of the connection');
  assert.match(text, /^HTTP\/1\.1 200 /);
});

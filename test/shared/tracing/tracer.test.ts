/** Spans as a collector receives them, and what becomes of them where it does not. */

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { monotonic } from '../../../src/shared/clock.js';
import type { TracingConfig } from '../../../src/shared/tracing/config.js';
import type { Tracer } from '../../../src/shared/tracing/tracer.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { type Collector, startCollector } from '../../support/collector.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';
import { freePorts } from '../../support/ports.js';
import { waitFor, within } from '../../support/wait.js';

const SERVICE = { peerId: '12D3KooWtest', clientName: 'alice', version: '1.2.3' };

async function traceTo(url: string, changes: Partial<TracingConfig> = {}) {
  const registry = new Registry();
  const { logger, lines } = keptLog();
  const tracing = new Tracing(
    { logger, registry },
    {
      exporters: ['otlp'],
      protocol: 'http/json',
      url: `${url}/v1/traces`,
      parentBased: true,
      ratio: 1,
      propagates: true,
      kafkaContext: false,
      maxQueue: 100,
      maxBatch: 512,
      ...changes,
    },
  );
  assert.equal(tracing.sampled(), undefined, 'nothing is traced before it is open');
  await tracing.open(SERVICE);
  const count = async (outcome: string) =>
    sumOf(await registry.metrics(), 'teranode_p2p_trace_spans_total', { outcome });
  return { tracing, tracer: tracing.tracer as Tracer, count, lines };
}

async function traced(context: TestContext, changes: Partial<TracingConfig> = {}) {
  const collector = await startCollector(context);
  return { collector, ...(await traceTo(collector.url, changes)) };
}

const named = ({ spans }: Collector, name: string) => {
  const span = spans.find((one) => one.name === name);
  assert.ok(span !== undefined, `${name} of ${spans.map((one) => one.name)}`);
  return span;
};

test('spans of several threads are one trace, by one clock', async (context) => {
  const { collector, tracing, tracer, count } = await traced(context);
  const began = monotonic();
  const root = tracer.message('process topic', {
    kind: 'consumer',
    at: began,
    values: { size: 7, left: undefined },
  });
  // As a thread is told it.
  const parent = structuredClone(root.context);
  tracer.start('journal', { parent, at: began + 1 })?.end(began + 2.5);
  const failed = tracer.start('send blocks', { kind: 'producer', parent, at: began + 3 });
  failed?.event('send failed', { 'exception.message': 'no broker' });
  failed?.fail('unsent', 'it stays in the outbox');
  failed?.end(began + 10);
  root.set({ outcome: 'ok' });
  root.end(began + 5);
  await tracing.close(30_000);

  const [first, journal, send] = ['process topic', 'journal', 'send blocks'].map((name) =>
    named(collector, name),
  );
  assert.equal(collector.spans.length, 3);
  assert.match(first!.traceId, /^[0-9a-f]{32}$/);
  assert.deepEqual([first!.parentSpanId, first!.kind, first!.error], ['', 'consumer', undefined]);
  assert.deepEqual(first!.values, { size: 7, outcome: 'ok' });
  for (const child of [journal!, send!])
    assert.deepEqual([child.traceId, child.parentSpanId], [first!.traceId, first!.spanId]);
  assert.deepEqual([journal!.kind, send!.kind], ['internal', 'producer']);
  assert.deepEqual([send!.error, send!.values['error.type']], ['it stays in the outbox', 'unsent']);
  assert.deepEqual(
    send!.events.map(({ name, values }) => [name, values['exception.message']]),
    [['send failed', 'no broker']],
  );
  // Times are told to a fraction of a µs.
  const near = (ns: bigint, ms: number) =>
    assert.ok(Math.abs(Number(ns) / 1e6 - ms) < 0.001, `${ns} ns, not ${ms} ms`);
  near(first!.end - first!.start, 5);
  near(journal!.start - first!.start, 1);
  near(journal!.end - journal!.start, 1.5);
  near(send!.end - first!.start, 10);
  assert.ok(Math.abs(Number(first!.start / 1_000_000n) - Date.now()) < 600_000, 'the time of day');
  const { resource } = first!;
  assert.deepEqual(
    ['service.name', 'service.version', 'service.instance.id', 'telemetry.sdk.language'].map(
      (name) => resource[name],
    ),
    ['teranode-p2p', '1.2.3', '12D3KooWtest', 'nodejs'],
  );
  assert.equal(await count('exported'), 3);
});

test('a caller’s traceparent is honoured, and passed on', async (context) => {
  const { collector, tracing, tracer } = await traced(context, { ratio: 0 });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const from = (flags: string) => {
    const headers: Record<string, string> = {
      traceparent: `00-${traceId}-b7ad6b7169203331-${flags}`,
      tracestate: 'vendor=x',
    };
    return (key: string) => headers[key];
  };
  const span = tracer.incoming('p2p_api.PeerService/GetPeers', from('01'), { kind: 'server' });
  assert.ok(span !== undefined);
  assert.deepEqual(tracer.headers(span.context), {
    traceparent: `00-${traceId}-${span.context.spanId}-01`,
    tracestate: 'vendor=x',
  });
  // Also over a thread.
  const below = tracer.start('below', { parent: structuredClone(span.context) });
  assert.equal(tracer.headers(below!.context).tracestate, 'vendor=x');
  below?.end();
  span.end();
  assert.equal(tracer.incoming('unsampled', from('00'), {}), undefined);
  assert.equal(
    tracer.incoming('none', () => undefined, {}),
    undefined,
  );
  assert.equal(
    tracer.incoming('nonsense', () => '00-zz-b7ad6b7169203331-01', {}),
    undefined,
  );
  assert.equal(tracer.start('of our own', {}), undefined);
  await tracing.close(30_000);
  const { traceId: found, parentSpanId } = named(collector, 'p2p_api.PeerService/GetPeers');
  assert.deepEqual([found, parentSpanId], [traceId, 'b7ad6b7169203331']);
  assert.equal(collector.spans.length, 2);
});

/** The metadata of a call in another trace for each `n`, whose caller says that it is sampled. */
const sampledCall = (n: number) => {
  const [traceId, spanId] = [(n + 1).toString(16).padStart(32, '0'), 'b7ad6b7169203331'];
  const get = (key: string) => (key === 'traceparent' ? `00-${traceId}-${spanId}-01` : undefined);
  return { traceId, spanId, get };
};
const CALLS = 200;

test('callers who have not proven who they are have a few calls a second traced by their word, the others all', async (context) => {
  const { tracing, tracer } = await traced(context, { ratio: 0, maxQueue: 10_000 });
  const began = performance.now();
  let strangers = 0;
  for (let n = 0; n < CALLS; n++)
    if (tracer.incoming('call', sampledCall(n).get, {}) !== undefined) strangers++;
  const seconds = (performance.now() - began) / 1000;
  assert.ok(strangers >= 10 && strangers <= 11 + 10 * seconds, `${strangers} in ${seconds} s`);
  for (let n = 0; n < CALLS; n++)
    assert.ok(tracer.incoming('call', sampledCall(n).get, { known: true }) !== undefined);
  await tracing.close(30_000);
});

test('beyond these chance decides: such a call begins a trace of its own, linked to the caller’s', async (context) => {
  const { collector, tracing, tracer } = await traced(context, { maxQueue: 10_000 });
  for (let n = 0; n < CALLS; n++) tracer.incoming(`call ${n}`, sampledCall(n).get, {})?.end();
  await tracing.close(30_000);
  assert.equal(collector.spans.length, CALLS);
  let linked = 0;
  for (let n = 0; n < CALLS; n++) {
    const { traceId, spanId } = sampledCall(n);
    const span = named(collector, `call ${n}`);
    if (span.traceId === traceId) {
      assert.deepEqual([span.parentSpanId, span.links], [spanId, []]);
    } else {
      assert.deepEqual([span.parentSpanId, span.links], ['', [{ traceId, spanId }]]);
      linked++;
    }
  }
  assert.ok(linked > 0);
});

test('half of the room for spans that wait is for messages and callers who are known, whatever strangers call', async (context) => {
  const { collector, tracing, tracer, count } = await traced(context);
  const call = (known: boolean) => tracer.incoming('call', () => undefined, { known });
  for (let n = 0; n < CALLS; n++) call(false)?.end();
  assert.equal(await count('dropped'), CALLS - 50);
  for (let n = 0; n < 49; n++) tracing.sampled()?.message('message', {}).end();
  call(true)?.end();
  await tracing.close(30_000);
  assert.deepEqual(
    ['call', 'message'].map((name) => collector.spans.filter((span) => span.name === name).length),
    [51, 49],
  );
});

test('a sampler that asks no parent asks none, but what is below a message stays with it', async (context) => {
  const { collector, tracing, tracer } = await traced(context, { ratio: 0, parentBased: false });
  const sampled = () => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  assert.equal(
    tracer.incoming('call', (key) => (key === 'traceparent' ? sampled() : undefined), {}),
    undefined,
  );
  const root = tracer.message('message', {});
  tracer.start('below', { parent: root.context })?.end();
  root.end();
  await tracing.close(30_000);
  assert.deepEqual(collector.spans.map(({ name }) => name).sort(), ['below', 'message']);
});

test('without tracecontext among the propagators nothing is passed on or taken', async (context) => {
  const { tracing, tracer } = await traced(context, { propagates: false });
  const root = tracer.message('message', {});
  assert.deepEqual(tracer.headers(root.context), {});
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const span = tracer.incoming('call', () => `00-${traceId}-b7ad6b7169203331-01`, {});
  assert.notEqual(span?.context.traceId, traceId);
  await tracing.close(30_000);
});

test('where nobody collects, spans are lost and counted, once in the log, and a stop does not wait', async () => {
  const [port = 0] = await freePorts(1);
  const { tracing, tracer, count, lines } = await traceTo(`http://127.0.0.1:${port}`);
  for (let n = 0; n < 3; n++) tracer.message('message', {}).end();
  await within(tracing.close(30_000), 60_000, 'the close');
  assert.equal(await count('failed'), 3);
  assert.equal(await count('exported'), 0);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [
      'spans do not reach the collector: they are lost until it takes them',
      'the last spans did not reach the collector',
    ],
  );
  assert.match(String(lines[0]?.reason), /ECONNREFUSED/);
  assert.equal(tracing.sampled(), undefined);
});

test('of a collector that says nothing no more waits than there is room for, and a stop gives up on it', async (context) => {
  // It takes connections, and never answers.
  const silent = createServer((socket) => {
    socket.on('error', () => {});
    context.after(() => socket.destroy());
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  context.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const { tracing, tracer, count, lines } = await traceTo(`http://127.0.0.1:${port}`, { maxQueue: 20 });
  // What fills a batch goes out at once; then the next wait.
  for (let n = 0; n < 100; n++) tracer.message('message', {}).end();
  const dropped = await count('dropped');
  assert.ok(dropped >= 60 && dropped <= 80, `${dropped} of 100 dropped`);
  assert.equal(tracing.sampled(), undefined, 'another message’s spans are not made to be dropped');
  assert.equal(await count('dropped'), dropped + 1);
  await within(tracing.close(50), 10_000, 'the close');
  assert.ok(lines.some(({ msg }) => msg === 'the last spans did not reach the collector'));
});

test('a collector that comes back is told of, and what it refuses is counted', async (context) => {
  const { collector, tracing, tracer, count, lines } = await traced(context, { maxQueue: 1 });
  const take = collector.answer;
  collector.answer = (response) => {
    response.statusCode = 400;
    response.end('no');
  };
  tracer.message('refused', {}).end();
  await waitFor(async () => (await count('failed')) === 1, { what: 'the refusal' });
  collector.answer = take;
  tracer.message('taken', {}).end();
  await waitFor(async () => (await count('exported')) === 1, { what: 'the export' });
  assert.ok(lines.some(({ msg }) => msg === 'spans reach the collector again'));
  await tracing.close(30_000);
});

test('what cannot be loaded costs nothing else', async () => {
  const { logger, lines } = keptLog();
  const tracing = new Tracing({ logger, registry: new Registry() }, undefined);
  await tracing.open(SERVICE);
  assert.equal(tracing.tracer, undefined);
  assert.equal(tracing.sampled(), undefined);
  await tracing.close(0);
  assert.deepEqual(lines, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { MetricsAggregate } from '../../../src/main/metrics/aggregate.js';
import { ProcessMetrics } from '../../../src/main/metrics/process.js';
import { keptLog } from '../../support/logger.js';

/** A process as the aggregate sees it: its figures, and which instance it is. */
class Other {
  instance = 0;
  alive = true;
  registry = new Registry();
  counter!: Counter<'kind'>;
  gauge!: Gauge;
  histogram!: Histogram;

  constructor() {
    this.restart();
  }

  restart(): void {
    this.instance++;
    this.registry = new Registry();
    const registers = [this.registry];
    this.counter = new Counter({ name: 'frames_total', help: 'h', labelNames: ['kind'], registers });
    this.gauge = new Gauge({ name: 'clients', help: 'h', registers });
    this.histogram = new Histogram({ name: 'took_seconds', help: 'h', buckets: [1, 2], registers });
  }

  readonly collect = async () => {
    if (!this.alive) throw new Error('gone');
    const metrics = (await this.registry.getMetricsAsJSON()) as unknown as object[];
    return { instance: this.instance, metrics: structuredClone(metrics) };
  };
}

function scene() {
  const registry = new Registry();
  const aggregate = new MetricsAggregate({ registry, logger: keptLog().logger }, { timeoutMs: 100 });
  const [a, b] = [new Other(), new Other()];
  aggregate.addSource('server-0', a.collect);
  aggregate.addSource('server-1', b.collect);
  const figures = async () => {
    const { body } = await aggregate.scrape();
    return Object.fromEntries(
      body
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    );
  };
  return { registry, aggregate, a, b, figures };
}

test('counters, gauges and histograms of all processes are summed with main’s own', async () => {
  const { registry, a, b, figures } = scene();
  new Counter({ name: 'own_total', help: 'h', registers: [registry] }).inc(7);
  a.counter.inc({ kind: 'block' }, 2);
  b.counter.inc({ kind: 'block' }, 3);
  b.counter.inc({ kind: 'subtree' }, 1);
  a.gauge.set(10);
  b.gauge.set(5);
  a.histogram.observe(0.5);
  b.histogram.observe(1.5);
  const found = await figures();
  assert.equal(found.own_total, 7);
  assert.equal(found['frames_total{kind="block"}'], 5);
  assert.equal(found['frames_total{kind="subtree"}'], 1);
  assert.equal(found.clients, 15);
  assert.equal(found['took_seconds_bucket{le="1"}'], 1);
  assert.equal(found['took_seconds_bucket{le="2"}'], 2);
  assert.equal(found.took_seconds_count, 2);
  assert.equal(found.took_seconds_sum, 2);
});

test('a replaced process goes on counting where the old one ended, more than once; its gauges start anew', async () => {
  const { a, figures } = scene();
  a.counter.inc({ kind: 'block' }, 100);
  a.histogram.observe(0.5);
  a.gauge.set(9);
  await figures();
  a.restart();
  assert.equal((await figures())['frames_total{kind="block"}'], 100, 'also before the new one counts any');
  a.counter.inc({ kind: 'block' }, 150);
  a.histogram.observe(0.5);
  const second = await figures();
  assert.equal(second['frames_total{kind="block"}'], 250);
  assert.equal(second['took_seconds_bucket{le="1"}'], 2);
  assert.equal(second.clients, 0);
  a.restart();
  a.counter.inc({ kind: 'block' }, 1);
  assert.equal((await figures())['frames_total{kind="block"}'], 251);
});

test('a process that does not answer keeps what it had counted and loses its gauges', async () => {
  const { a, b, figures } = scene();
  a.counter.inc({ kind: 'block' }, 4);
  a.gauge.set(4);
  b.gauge.set(1);
  await figures();
  a.alive = false;
  const without = await figures();
  assert.equal(without['frames_total{kind="block"}'], 4);
  assert.equal(without.clients, 1);
});

test('a process that hangs or sends garbage does not take the scrape with it', async () => {
  const { aggregate, a, figures } = scene();
  a.counter.inc({ kind: 'block' }, 4);
  aggregate.addSource('hangs', () => new Promise(() => {}));
  aggregate.addSource('garbage', async () => ({ instance: 1, metrics: [{ nonsense: true }] }));
  assert.equal((await figures())['frames_total{kind="block"}'], 4);
});

test('the event loop’s delay is in the scrape', async (context) => {
  const registry = new Registry();
  const metrics = new ProcessMetrics({ registry });
  metrics.start();
  context.after(() => metrics.stop());
  await new Promise((resolve) => setTimeout(resolve, 150));
  const until = performance.now() + 250;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const text = await registry.metrics();
  const longest = Number(/teranode_p2p_event_loop_delay_seconds\{percentile="100"\} (\S+)/.exec(text)?.[1]);
  assert.ok(longest > 0.1 && longest < 10, String(longest));
  assert.match(text, /process_cpu_seconds_total/);
});

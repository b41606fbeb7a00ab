/** Spans of what goes to a sink: one a traced entry, from the first attempt to what came of it. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import type { JournalledEntry } from '../../../src/shared/journal/entry.js';
import { BrokerFaultError, RecordFaultError } from '../../../src/shared/sinks/kafka/types.js';
import { TracedSink, type TracedSinkOptions } from '../../../src/shared/sinks/traced.js';
import type { Sink } from '../../../src/shared/sinks/types.js';
import type { Tracer } from '../../../src/shared/tracing/tracer.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { startCollector } from '../../support/collector.js';
import { keptLog } from '../../support/logger.js';
import { recordEntry } from '../../support/open-journal.js';

async function tracedSink(context: TestContext, options: Partial<TracedSinkOptions> = {}) {
  const collector = await startCollector(context);
  const tracing = new Tracing(
    { logger: keptLog().logger, registry: new Registry() },
    {
      exporters: ['otlp'],
      protocol: 'http/json',
      url: `${collector.url}/v1/traces`,
      parentBased: true,
      ratio: 1,
      propagates: true,
      kafkaContext: true,
      maxQueue: 20_000,
      maxBatch: 512,
    },
  );
  await tracing.open({ peerId: 'a', clientName: '', version: '1' });
  const sent: (readonly JournalledEntry[])[] = [];
  const answers: (() => Promise<void>)[] = [];
  const inner: Sink = {
    name: 'kafka',
    resource: 'kafka blocks',
    bytesOf: (entry) => entry.length,
    connect: async () => {},
    send: (entries) => {
      sent.push(entries);
      return answers.shift()?.() ?? Promise.resolve();
    },
    health: async () => ({ resource: 'kafka blocks', status: 200, message: '' }),
    close: async () => {},
  };
  const sink = new TracedSink(
    { sink: inner, tracers: tracing },
    { system: 'kafka', topic: 'blocks-1', context: true, epoch: 'e0', from: 100, ...options },
  );
  const root = (tracing.tracer as Tracer).message('process topic', {});
  const collected = async () => {
    await tracing.close(30_000);
    return collector.spans.filter(({ name }) => name !== 'process topic');
  };
  return { sink, sent, answers, root, collected };
}

const entry = (position: number): JournalledEntry => ({
  position,
  seq: position,
  bytes: recordEntry(`v${position}`),
});

test('an entry has one span and one context, however often it is sent', async (context) => {
  const { sink, sent, answers, root, collected } = await tracedSink(context);
  sink.follow(101, root.context, { 'teranode.p2p.hash': 'ab' });
  const entries = [entry(100), entry(101)];
  answers.push(() => Promise.reject(new BrokerFaultError('no broker')));
  await assert.rejects(sink.send(entries), BrokerFaultError);
  await sink.send(entries);
  await sink.send(entries);
  const headers = sent.map((request) => request.map((one) => one.headers?.traceparent));
  const [span, ...others] = await collected();
  assert.deepEqual(others, []);
  assert.ok(span !== undefined);
  const context101 = `00-${span.traceId}-${span.spanId}-01`;
  assert.deepEqual(headers, [
    [undefined, context101],
    [undefined, context101],
    // It is done: whoever sends it once more does so by mistake.
    [undefined, undefined],
  ]);
  assert.deepEqual(
    [span.name, span.kind, span.traceId, span.parentSpanId, span.error],
    ['send blocks-1', 'producer', root.context.traceId, root.context.spanId, undefined],
  );
  assert.deepEqual(span.values, {
    'messaging.system': 'kafka',
    'messaging.system.name': 'kafka',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'blocks-1',
    'teranode.p2p.hash': 'ab',
  });
  assert.deepEqual(
    span.events.map(({ name, values }) => [name, values['exception.message']]),
    [['send failed', 'no broker']],
  );
});

test('an entry that is refused alone, and one that is never sent, say so', async (context) => {
  const { sink, answers, root, collected } = await tracedSink(context, { context: false });
  const refuse = () => Promise.reject(new RecordFaultError('too large'));
  for (const position of [100, 101, 102]) sink.follow(position, root.context, { position });
  answers.push(
    refuse,
    refuse,
    async () => {},
    () => Promise.reject(new BrokerFaultError('gone')),
  );
  // As the drainer does: halves, until the refused one is alone.
  await assert.rejects(sink.send([entry(100), entry(101)]), RecordFaultError);
  await assert.rejects(sink.send([entry(100)]), RecordFaultError);
  await sink.send([entry(101)]);
  await assert.rejects(sink.send([entry(102)]), BrokerFaultError);
  await sink.close();
  const ends = (await collected()).map(({ values, error }) => [values.position, values['error.type'], error]);
  assert.deepEqual(ends, [
    [100, 'RecordFaultError', 'too large'],
    [101, undefined, undefined],
    [102, 'unsent', 'it stays in the outbox'],
  ]);
});

test('what an earlier run left begins a trace of its own, found by its place in the journal', async (context) => {
  const { sink, sent, answers, collected } = await tracedSink(context);
  const entries = [entry(98), entry(99), entry(100)];
  answers.push(() => Promise.reject(new BrokerFaultError('no broker')));
  await assert.rejects(sink.send(entries));
  await sink.send(entries);
  const spans = await collected();
  assert.deepEqual(
    spans.map(({ parentSpanId, values }) => [
      parentSpanId,
      values['teranode.p2p.journal.epoch'],
      values['teranode.p2p.journal.position'],
    ]),
    [
      ['', 'e0', 98],
      ['', 'e0', 99],
    ],
  );
  assert.notEqual(spans[0]?.traceId, spans[1]?.traceId);
  assert.deepEqual(
    sent[1]?.map(({ headers }) => headers !== undefined),
    [true, true, false],
  );
});

test('before a sink that takes nothing the oldest are forgotten', async (context) => {
  const { sink, sent, root, collected } = await tracedSink(context);
  for (let position = 100; position < 10_101; position++) sink.follow(position, root.context, {});
  await sink.send([entry(100), entry(101)]);
  assert.deepEqual(
    sent[0]?.map(({ headers }) => headers !== undefined),
    [false, true],
  );
  assert.equal((await collected()).length, 1);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import {
  BrokerFaultError,
  type KafkaProducer,
  RecordFaultError,
  TopicFaultError,
} from '../../../src/shared/kafka/types.js';
import { DeadLetters } from '../../../src/shared/outbox/dead-letters.js';
import { TopicDrainer, type TopicDrainerOptions } from '../../../src/shared/outbox/drainer.js';
import { createOutboxMetrics } from '../../../src/shared/outbox/metrics.js';
import { OutboxStore } from '../../../src/shared/outbox/store.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

/** A drainer before a broker that answers each request, given as its values, as `answer` says. */
async function startDrainer(
  context: TestContext,
  answer: (values: readonly string[]) => Promise<void>,
  options: Omit<TopicDrainerOptions, 'topic'> = {},
) {
  const { logger, lines } = keptLog();
  const metrics = createOutboxMetrics(new Registry());
  const path = join(temporaryDirectory(context), 'outbox');
  const store = new OutboxStore({ logger }, { path, fsync: false, frameRing: 16 });
  await store.open();
  const deadLetters = new DeadLetters({ store, logger, metrics });
  await deadLetters.open();
  const producer: KafkaProducer = {
    topic: 'blocks',
    connect: async () => {},
    send: (records) => answer(records.map(({ value }) => Buffer.from(value).toString())),
    health: async () => ({ resource: 'kafka blocks', status: 200, message: 'the broker answers' }),
    disconnect: async () => {},
  };
  const drainer = new TopicDrainer(
    { producer, store, deadLetters, metrics, logger },
    { topic: 'blocks', ...options },
  );
  context.after(async () => {
    await drainer.stop(0);
    await store.close();
  });
  const add = async (...values: readonly string[]): Promise<void> => {
    const records = values.map((value) => ({
      receivedAt: 5,
      hash: Buffer.alloc(32, 7),
      key: Buffer.alloc(0),
      value: Buffer.from(value),
    }));
    const { chunks } = await store.append({
      frames: [],
      repeatKeys: [],
      records: new Map([['blocks', records]]),
    });
    for (const chunk of chunks) drainer.add(chunk);
  };
  const stored = async () => (await store.read('blocks', 0, 1_000_000)).flatMap(({ records }) => records);
  const health = () => drainer.health(AbortSignal.timeout(1000));
  drainer.start();
  return { drainer, deadLetters, add, stored, health, lines, metrics };
}

test('a record is in the outbox until Kafka has acknowledged it', async (context) => {
  const sent: string[] = [];
  let acknowledge = (): void => {};
  const acknowledged = new Promise<void>((resolve) => {
    acknowledge = resolve;
  });
  const { drainer, add, stored } = await startDrainer(context, (values) => {
    sent.push(...values);
    return acknowledged;
  });
  await add('a');
  await waitFor(() => sent.length === 1, { what: 'the request' });
  // A turn in which it could go too early.
  await add('b');
  assert.equal((await stored()).length, 2);
  assert.equal(drainer.waiting, 2);
  acknowledge();
  await waitFor(async () => (await stored()).length === 0, { what: 'both to leave' });
  assert.deepEqual(sent, ['a', 'b']);
});

test('of a request with records that Kafka refuses, those alone are dead letters, and the rest keeps its order', async (context) => {
  const taken: string[] = [];
  const { drainer, deadLetters, add } = await startDrainer(context, async (values) => {
    if (values.some((value) => value.startsWith('bad'))) throw new RecordFaultError('too large');
    taken.push(...values);
  });
  await add('1', '2', 'bad 3', '4', '5', 'bad 6', '7');
  await waitFor(() => drainer.waiting <= 0, { what: 'the outbox to drain' });
  assert.deepEqual(taken, ['1', '2', '4', '5', '7']);
  const letters = await deadLetters.list(10);
  assert.deepEqual(
    letters.map(({ topic, reason }) => [topic, reason]),
    [
      ['blocks', 'too large'],
      ['blocks', 'too large'],
    ],
  );
});

test('a topic that takes nothing is told in readiness although the broker is well, until it takes again', async (context) => {
  let refused = true;
  const { drainer, add, health } = await startDrainer(context, async () => {
    if (refused) throw new TopicFaultError('not authorised');
  });
  assert.equal((await health()).status, 200);
  await add('a');
  const sick = await waitFor(async () => {
    const answer = await health();
    return answer.status === 503 ? answer : undefined;
  });
  assert.equal(sick.error, 'not authorised');
  assert.equal(drainer.status().state, 'topic_fault');
  assert.equal(drainer.waiting, 1, 'it waits');
  refused = false;
  await waitFor(() => drainer.waiting === 0, { what: 'the record to leave' });
  assert.equal((await health()).status, 200);
});

test('a backlog’s way out is told: its beginning, how far it is, its end', async (context) => {
  let away = true;
  const { drainer, add, lines, metrics } = await startDrainer(
    context,
    async () => {
      if (away) throw new BrokerFaultError('away');
    },
    { progressMs: 0 },
  );
  const values = Array.from({ length: 12_000 }, (_, n) => String(n));
  await add(...values);
  await waitFor(() => drainer.status().state === 'broker_down', { what: 'the outage' });
  away = false;
  await waitFor(() => drainer.waiting === 0, { what: 'the backlog to leave' });
  const told = lines.filter(({ msg }) => /outbox/.test(String(msg)) && /drain/.test(String(msg)));
  assert.deepEqual(
    told.map(({ msg, topic, waiting, sent }) => [msg, topic, waiting, sent]),
    [
      ['the outbox drains', 'blocks', 12_000, undefined],
      ['the outbox is draining', 'blocks', 7_000, 5_000],
      ['the outbox is draining', 'blocks', 2_000, 10_000],
      ['the outbox has drained', 'blocks', 0, 12_000],
    ],
  );
  assert.ok(told.slice(1).every(({ perSecond }) => Number(perSecond) > 0));
  assert.equal((await metrics.drainRate.get()).values[0]?.value, 0);
  // What comes and goes at once is no backlog.
  await add('one');
  await waitFor(() => drainer.waiting === 0, { what: 'one more to leave' });
  assert.equal(lines.filter(({ msg }) => msg === 'the outbox drains').length, 1);
});

test('an acknowledgement that does not come fails readiness until it does', async (context) => {
  let acknowledge = (): void => {};
  const acknowledged = new Promise<void>((resolve) => {
    acknowledge = resolve;
  });
  const { add, health } = await startDrainer(context, () => acknowledged, { unansweredMs: 50 });
  await add('a');
  const failing = await waitFor(
    async () => {
      const { status, error } = await health();
      return status === 503 ? error : undefined;
    },
    { what: 'readiness 503' },
  );
  assert.match(String(failing), /^no acknowledgement for \d+\.\d s$/);
  acknowledge();
  await waitFor(async () => (await health()).status === 200, { what: 'readiness 200' });
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { Cursor } from '../../../src/shared/journal/cursor.js';
import { decodeEntry } from '../../../src/shared/journal/entry.js';
import { blocks } from '../../../src/shared/messages/topics.js';
import { DeadLetters } from '../../../src/shared/sinks/dead-letters.js';
import { Drainer, type DrainerOptions, type SinkCursor } from '../../../src/shared/sinks/drainer.js';
import { isRecordOf } from '../../../src/shared/sinks/kafka/sink.js';
import {
  BrokerFaultError,
  RecordFaultError,
  TopicFaultError,
} from '../../../src/shared/sinks/kafka/types.js';
import { createOutboxMetrics, outboxMeters } from '../../../src/shared/sinks/metrics.js';
import type { Sink } from '../../../src/shared/sinks/types.js';
import { keptLog } from '../../support/logger.js';
import { frameEntry, openJournal, recordEntry } from '../../support/open-journal.js';
import { waitFor } from '../../support/wait.js';

/** A drainer before a sink that answers each request, given as its values, as `answer` says. */
async function startDrainer(
  context: TestContext,
  answer: (values: readonly string[]) => Promise<void>,
  options: Partial<DrainerOptions> & { name?: string; opened?: ReturnType<typeof openJournal> } = {},
) {
  const { name = 'kafka', opened = openJournal(context), ...given } = options;
  const { logger, lines } = keptLog();
  const metrics = createOutboxMetrics(new Registry());
  const { journal, source, append } = opened;
  const directory = join(opened.directory, 'cursors');
  const deadLetters = new DeadLetters(
    { logger, metrics },
    { directory: join(opened.directory, 'dead-letters'), fsync: false },
  );
  deadLetters.open();
  const sink: Sink = {
    name,
    resource: 'kafka blocks',
    bytesOf: (entry) => entry.length,
    connect: async () => {},
    send: (entries) =>
      answer(entries.map(({ bytes }) => Buffer.from(decodeEntry(bytes).record?.value ?? []).toString())),
    health: async () => ({ resource: 'kafka blocks', status: 200, message: 'the broker answers' }),
    close: async () => {},
  };
  const cursor = cursorIn(directory, `${name}.blocks`, journal.epoch);
  const drainer = new Drainer(
    {
      sink,
      source,
      cursor,
      logger,
      meters: outboxMeters(metrics, 'blocks'),
      refused: ({ position, bytes }, reason) =>
        deadLetters.add({ sink: name, topic: 'blocks', epoch: journal.epoch, position }, bytes, reason),
    },
    { topic: 'blocks', takes: isRecordOf(blocks.id), ...given },
  );
  context.after(() => drainer.stop(0));
  const add = (...values: readonly string[]): void => {
    for (const entry of append(...values.map((value) => recordEntry(value)))) drainer.add(entry);
  };
  const stored = () => positionIn(directory, `${name}.blocks`);
  const health = () => drainer.health(AbortSignal.timeout(1000));
  drainer.start(0);
  return { drainer, deadLetters, add, stored, health, lines, metrics, journal };
}

function cursorIn(directory: string, name: string, epoch: string): SinkCursor {
  const cursor = Cursor.open({ directory, name });
  cursor.reset({ epoch, position: 0 });
  return {
    position: 0,
    move(this: { position: number }, to: number) {
      cursor.move({ epoch, position: to });
      this.position = to;
    },
  };
}

/** As the disk has it. */
function positionIn(directory: string, name: string): number {
  const cursor = Cursor.open({ directory, name });
  cursor.close();
  return typeof cursor.found === 'string' ? -1 : cursor.found.position;
}

test('a sink’s cursor stays before a record until the sink has acknowledged it', async (context) => {
  const sent: string[] = [];
  let acknowledge = (): void => {};
  const acknowledged = new Promise<void>((resolve) => {
    acknowledge = resolve;
  });
  const { drainer, add, stored } = await startDrainer(context, (values) => {
    sent.push(...values);
    return acknowledged;
  });
  add('a');
  await waitFor(() => sent.length === 1, { what: 'the request' });
  // A turn in which it could go too early.
  add('b');
  assert.equal(stored(), 0);
  assert.equal(drainer.waiting, 2);
  acknowledge();
  await waitFor(() => stored() === 2, { what: 'both to leave' });
  assert.deepEqual(sent, ['a', 'b']);
});

test('of a request with records that Kafka refuses, those alone are dead letters, and the rest keeps its order', async (context) => {
  const taken: string[] = [];
  const { drainer, deadLetters, add } = await startDrainer(context, async (values) => {
    if (values.some((value) => value.startsWith('bad'))) throw new RecordFaultError('too large');
    taken.push(...values);
  });
  add('1', '2', 'bad 3', '4', '5', 'bad 6', '7');
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
  add('a');
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
  add(...values);
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
  add('one');
  await waitFor(() => drainer.waiting === 0, { what: 'one more to leave' });
  assert.equal(lines.filter(({ msg }) => msg === 'the outbox drains').length, 1);
});

test('an acknowledgement that does not come fails readiness until it does', async (context) => {
  let acknowledge = (): void => {};
  const acknowledged = new Promise<void>((resolve) => {
    acknowledge = resolve;
  });
  const { add, health } = await startDrainer(context, () => acknowledged, { unansweredMs: 50 });
  add('a');
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

test('two sinks of one topic each get every record in order, and one that is down holds up the other in nothing', async (context) => {
  const opened = openJournal(context);
  const [taken, late]: [string[], string[]] = [[], []];
  let down = true;
  const first = await startDrainer(context, async (values) => void taken.push(...values), { opened });
  const second = await startDrainer(
    context,
    async (values) => {
      if (down) throw new BrokerFaultError('away');
      late.push(...values);
    },
    { opened, name: 'second' },
  );
  const names = Array.from({ length: 50 }, (_, n) => `record ${n}`);
  for (const name of names) {
    const [entry] = opened.append(recordEntry(name));
    assert.ok(entry);
    for (const { drainer } of [first, second]) drainer.add(entry);
  }
  await waitFor(() => first.drainer.waiting === 0, { what: 'the first sink' });
  assert.deepEqual([taken, first.stored()], [names, 50]);
  assert.deepEqual([second.drainer.waiting, second.stored()], [50, 0]);
  down = false;
  await waitFor(() => second.drainer.waiting === 0, { what: 'the second sink' });
  assert.deepEqual(late, names);
});

test('what is acknowledged is not sent again although it could not be written down', async (context) => {
  const opened = openJournal(context);
  const { logger, lines } = keptLog();
  let full = true;
  let position = 0;
  const sent: string[] = [];
  const drainer = new Drainer(
    {
      sink: {
        name: 'kafka',
        resource: 'kafka blocks',
        bytesOf: (entry) => entry.length,
        connect: async () => {},
        send: async (entries) =>
          void sent.push(...entries.map(({ bytes }) => String(decodeEntry(bytes).record?.value))),
        health: async () => ({ resource: 'kafka blocks', status: 200, message: '' }),
        close: async () => {},
      },
      source: opened.source,
      cursor: {
        get position() {
          return position;
        },
        move(to) {
          if (full) throw new Error('ENOSPC');
          position = to;
        },
      },
      logger,
      meters: outboxMeters(createOutboxMetrics(new Registry()), 'blocks'),
      refused: () => {},
    },
    { topic: 'blocks', takes: isRecordOf(blocks.id) },
  );
  drainer.start(0);
  for (const text of ['a', 'b']) for (const entry of opened.append(recordEntry(text))) drainer.add(entry);
  await waitFor(() => drainer.waiting === 0, { what: 'both to leave' });
  assert.equal(position, 0);
  assert.ok(lines.some(({ msg }) => /cannot be written down/.test(String(msg))));
  full = false;
  await drainer.stop(0);
  assert.equal(position, 2);
  assert.equal(sent.length, 2);
});

test('no cursor passes what is being appended when the journal asks what may go', async (context) => {
  const MINUTE = 60_000;
  let now = 1_700_000_000_000;
  const clocks = { wall: () => now, monotonic: () => now };
  const bounds = { segmentMs: 60 * MINUTE, retentionMs: 30 * MINUTE, repeats: { windowMs: 0, max: 0 } };
  const opened = openJournal(context, undefined, { clocks, ...bounds });
  const { drainer, add, stored, journal } = await startDrainer(context, () => new Promise(() => {}), {
    opened,
  });
  let asked = 0;
  journal.pins = () => {
    asked++;
    drainer.settle();
    return drainer.position;
  };
  // Frames are nothing to the topic: its cursor may pass them.
  for (const minutes of [1, 60, 29]) {
    now += minutes * MINUTE;
    opened.append(frameEntry({ minutes }));
  }
  now += 2 * MINUTE;
  add('block 1');
  assert.ok(asked > 0);
  const owed = journal.end - 1;
  assert.ok(stored() <= owed, `the cursor is at ${stored()}, and ${owed} is yet to be sent`);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { DeadLetters } from '../../../src/shared/outbox/dead-letters.js';
import { DEAD_LETTERS } from '../../../src/shared/outbox/keys.js';
import { createOutboxMetrics } from '../../../src/shared/outbox/metrics.js';
import type { OutboxRecord } from '../../../src/shared/outbox/records.js';
import { type Chunk, OutboxStore } from '../../../src/shared/outbox/store.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';

const record = (byte: number): OutboxRecord => ({
  receivedAt: 5,
  hash: Buffer.alloc(32, byte),
  key: Buffer.alloc(0),
  value: Buffer.from(`value ${byte}`),
});
const hashOf = (byte: number): string => Buffer.alloc(32, byte).toString('hex');

async function letters(
  context: TestContext,
  options: { max?: number } = {},
): Promise<{ deadLetters: DeadLetters; store: OutboxStore; count: () => Promise<number> }> {
  const { logger } = keptLog();
  const path = join(temporaryDirectory(context), 'outbox');
  const store = new OutboxStore({ logger }, { path, fsync: false, frameRing: 10 });
  await store.open();
  context.after(() => store.close());
  const metrics = createOutboxMetrics(new Registry());
  const deadLetters = new DeadLetters({ store, logger, metrics }, options);
  await deadLetters.open();
  return {
    deadLetters,
    store,
    count: async () => (await metrics.deadLetters.get()).values[0]?.value ?? 0,
  };
}

test('a letter that is damaged on the disk is set aside, and keeps none of the others', async (context) => {
  const { deadLetters, store, count } = await letters(context);
  for (const byte of [1, 2, 3]) await deadLetters.add('blocks', record(byte), 'too large');
  const damaged = async () =>
    (await store.entries({ gte: 'damaged/', lt: 'damaged0' })).map(([, kept]) => kept);
  const [, [key, value]] = (await store.entries(DEAD_LETTERS)) as [unknown, [string, Buffer]];
  value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
  await store.write([{ type: 'put', key, value }]);
  assert.deepEqual(
    (await deadLetters.list(10)).map(({ hash }) => hash),
    [1, 3].map(hashOf),
  );
  const back: string[] = [];
  const replayed = await deadLetters.replay(
    () => 100,
    ({ records }) => back.push(...records.map((each) => each.value.toString())),
  );
  assert.equal(replayed, 2);
  assert.deepEqual(back, ['value 1', 'value 3']);
  assert.deepEqual(await damaged(), [value]);
  assert.equal(await count(), 0);
  assert.deepEqual(await deadLetters.list(10), []);
});

test('letters of several topics at the same moment are all kept', async (context) => {
  const { deadLetters, count } = await letters(context);
  await Promise.all(
    [1, 2, 3, 4, 5, 6].map((byte) =>
      deadLetters.add(byte % 2 ? 'blocks' : 'subtrees', record(byte), 'too large'),
    ),
  );
  const kept = await deadLetters.list(10);
  assert.deepEqual(kept.map(({ hash }) => hash).sort(), [1, 2, 3, 4, 5, 6].map(hashOf));
  assert.equal(await count(), 6);
});

test('the bound holds, and the count with it, also for letters at the same moment', async (context) => {
  const { deadLetters, count } = await letters(context, { max: 3 });
  await Promise.all([1, 2, 3, 4, 5, 6].map((byte) => deadLetters.add('blocks', record(byte), 'too large')));
  assert.deepEqual(
    (await deadLetters.list(10)).map(({ hash }) => hash),
    [4, 5, 6].map(hashOf),
  );
  assert.equal(await count(), 3);
});

test('letters that come while others are put back are neither lost nor put back twice', async (context) => {
  const { deadLetters, store, count } = await letters(context, { max: 4 });
  for (const byte of [1, 2, 3, 4]) await deadLetters.add('blocks', record(byte), 'too large');
  const stored: Chunk[] = [];
  const [replayed] = await Promise.all([
    deadLetters.replay(
      () => 100,
      (chunk) => stored.push(chunk),
    ),
    deadLetters.add('subtrees', record(5), 'too large'),
    deadLetters.add('subtrees', record(6), 'too large'),
  ]);
  const back = stored.flatMap(({ records }) => records.map(({ hash }) => Buffer.from(hash).toString('hex')));
  const left = (await deadLetters.list(10)).map(({ hash }) => hash);
  assert.equal(replayed, back.length);
  assert.deepEqual([...back, ...left].sort(), [1, 2, 3, 4, 5, 6].map(hashOf));
  assert.equal(await count(), left.length);
  assert.equal((await store.read('blocks', 0, 1_000_000)).length, stored.length);
});

test('letters of a topic that is full stay, and hold up no other topic’s', async (context) => {
  const { deadLetters, store, count } = await letters(context);
  for (const byte of [1, 2, 3]) await deadLetters.add('subtrees', record(byte), 'too large');
  for (const byte of [4, 5]) await deadLetters.add('blocks', record(byte), 'too large');
  const rooms = new Map([
    ['subtrees', 1],
    ['blocks', 100],
  ]);
  const back = (topic: string) => rooms.get(topic) ?? 0;
  const replayed = await deadLetters.replay(back, ({ topic, records }) => {
    rooms.set(topic, back(topic) - records.length);
  });
  assert.equal(replayed, 3);
  assert.deepEqual(
    (await deadLetters.list(10)).map(({ hash }) => hash),
    [2, 3].map(hashOf),
  );
  assert.equal(await count(), 2);
  assert.equal((await store.read('blocks', 0, 1_000_000)).flatMap(({ records }) => records).length, 2);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { Backlog } from '../../../src/shared/outbox/backlog.js';
import { DeadLetters } from '../../../src/shared/outbox/dead-letters.js';
import { createOutboxMetrics } from '../../../src/shared/outbox/metrics.js';
import type { OutboxRecord } from '../../../src/shared/outbox/records.js';
import { OutboxStore } from '../../../src/shared/outbox/store.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const record = (text: string): OutboxRecord => ({
  receivedAt: 5,
  hash: Buffer.alloc(32, 7),
  key: Buffer.alloc(0),
  value: Buffer.from(text),
});

async function openStore(context: TestContext): Promise<OutboxStore> {
  const path = join(temporaryDirectory(context), 'outbox');
  const store = new OutboxStore({ logger: keptLog().logger }, { path, fsync: false, frameRing: 16 });
  await store.open();
  context.after(() => store.close());
  return store;
}

test('what does not fit into memory is read back in order, while more comes', async (context) => {
  const store = await openStore(context);
  const backlog = new Backlog('blocks', store, { records: 10, bytes: 1000 });
  let added = 0;
  const add = async (count: number): Promise<void> => {
    const records = Array.from({ length: count }, () => record(String(added++)));
    const { chunks } = await store.append({
      frames: [],
      repeatKeys: [],
      records: new Map([['blocks', records]]),
    });
    for (const chunk of chunks) backlog.add(chunk);
  };
  for (let i = 0; i < 40; i++) await add(7);
  assert.equal(backlog.waiting, 280);
  const seen: string[] = [];
  while (!backlog.empty) {
    // Appends race with reading back.
    const adding = added < 400 ? add(3) : Promise.resolve();
    const taken = await backlog.take(5, 1_000_000);
    assert.ok(taken.length <= 5);
    seen.push(...taken.map(({ value }) => value.toString()));
    backlog.complete(taken.length);
    await adding;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: added }, (_, i) => String(i)),
  );
  assert.ok(added > 390);
  await waitFor(async () => (await store.read('blocks', 0, 1000)).length === 0, { what: 'the removals' });
});

test('a request has at most so many bytes, and at least one record', async (context) => {
  const store = await openStore(context);
  const backlog = new Backlog('blocks', store);
  const records = [record('x'.repeat(500)), record('y'.repeat(500)), record('z')];
  const { chunks } = await store.append({
    frames: [],
    repeatKeys: [],
    records: new Map([['blocks', records]]),
  });
  for (const chunk of chunks) backlog.add(chunk);
  assert.equal((await backlog.take(10, 100)).length, 1);
  assert.equal((await backlog.take(10, 1100)).length, 2);
  assert.equal((await backlog.take(10, 10_000)).length, 3);
});

test('dead letters are bounded: the oldest goes, loudly', async (context) => {
  const store = await openStore(context);
  const log = keptLog();
  const metrics = createOutboxMetrics(new Registry());
  const letters = new DeadLetters({ store, logger: log.logger, metrics }, { max: 3 });
  await letters.open();
  for (const text of ['a', 'b', 'c', 'd', 'e']) await letters.add('blocks', record(text), `reason ${text}`);
  assert.deepEqual(
    (await letters.list(10)).map(({ reason }) => reason),
    ['reason c', 'reason d', 'reason e'],
  );
  assert.equal(log.lines.filter(({ msg }) => /oldest is lost/.test(String(msg))).length, 2);
  const reopened = new DeadLetters({ store, logger: log.logger, metrics }, { max: 3 });
  await reopened.open();
  const replayed: string[] = [];
  const count = await reopened.replay(2, ({ records }) => {
    replayed.push(...records.map(({ value }) => value.toString()));
  });
  assert.equal(count, 2);
  assert.deepEqual(replayed, ['c', 'd']);
  assert.equal((await reopened.list(10)).length, 1);
});

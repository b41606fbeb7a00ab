import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { Backlog } from '../../../src/shared/outbox/backlog.js';
import { type KeyRange, LevelDatabase, type OpenDatabase } from '../../../src/shared/outbox/database.js';
import { DeadLetters } from '../../../src/shared/outbox/dead-letters.js';
import { entryKey } from '../../../src/shared/outbox/keys.js';
import { createOutboxMetrics } from '../../../src/shared/outbox/metrics.js';
import type { OutboxRecord } from '../../../src/shared/outbox/records.js';
import { type Chunk, OutboxStore } from '../../../src/shared/outbox/store.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const record = (text: string): OutboxRecord => ({
  receivedAt: 5,
  hash: Buffer.alloc(32, 7),
  key: Buffer.alloc(0),
  value: Buffer.from(text),
});

async function openStore(
  context: TestContext,
  openDatabase: OpenDatabase = (path) => new LevelDatabase(path),
): Promise<OutboxStore> {
  const path = join(temporaryDirectory(context), 'outbox');
  const options = { path, fsync: false, frameRing: 16, openDatabase };
  const store = new OutboxStore({ logger: keptLog().logger }, options);
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

/** Stores chunks of `records` as they come to be read back: in the database alone. */
async function storeChunks(store: OutboxStore, ...chunks: readonly (readonly string[])[]): Promise<Chunk[]> {
  const stored: Chunk[] = [];
  for (const names of chunks) {
    const records = new Map([['blocks', names.map(record)]]);
    stored.push(...(await store.append({ frames: [], repeatKeys: [], records })).chunks);
  }
  return stored;
}

async function takeAll(backlog: Backlog): Promise<string[]> {
  const seen: string[] = [];
  while (!backlog.empty) {
    const taken = await backlog.take(5, 1_000_000);
    seen.push(...taken.map(({ value }) => value.toString()));
    backlog.complete(taken.length);
  }
  return seen;
}

test('the next records are read while what was taken is on its way', async (context) => {
  let reads = 0;
  class WatchedDatabase extends LevelDatabase {
    override entries(range: KeyRange): AsyncIterable<readonly [string, Buffer]> {
      reads++;
      return super.entries(range);
    }
  }
  const store = await openStore(context, (path) => new WatchedDatabase(path));
  const backlog = new Backlog('blocks', store, { records: 1000, bytes: 1000 });
  const names = Array.from({ length: 60 }, (_, n) => `record ${n}`);
  for (const { topic, id, records } of await storeChunks(store, ...names.map((name) => [name])))
    backlog.addStored({ topic, id, count: records.length });
  reads = 0;
  const first = await backlog.take(5, 1_000_000);
  assert.equal(first.length, 5);
  assert.equal(reads, 2, 'one that gave them, and one that nobody waits for');
  backlog.complete(5);
  assert.deepEqual(await takeAll(backlog), names.slice(5));
});

test('a chunk that the database shows before it was handed on is taken once', async (context) => {
  const store = await openStore(context);
  const backlog = new Backlog('blocks', store);
  const [first, second] = await storeChunks(store, ['one'], ['two']);
  assert.ok(first && second);
  backlog.addStored({ topic: 'blocks', id: first.id, count: 1 });
  assert.equal((await backlog.take(5, 1000)).length, 1);
  backlog.add(second);
  assert.deepEqual(await takeAll(backlog), ['one', 'two']);
});

test('what cannot be read back is told, and holds up nothing', async (context) => {
  const store = await openStore(context);
  const backlog = new Backlog('blocks', store);
  let damaged = 0;
  backlog.onDamaged = (count) => {
    damaged += count;
  };
  const chunks = await storeChunks(store, ['one'], ['two', 'three'], ['four'], ['five']);
  for (const { topic, id, records } of chunks) backlog.addStored({ topic, id, count: records.length });
  await store.write([
    { type: 'put', key: entryKey('blocks', chunks[1]?.id ?? 0, 2), value: Buffer.from('no records') },
    { type: 'del', key: entryKey('blocks', chunks[3]?.id ?? 0, 1) },
  ]);
  assert.deepEqual(await takeAll(backlog), ['one', 'four']);
  assert.deepEqual([damaged, backlog.waiting], [3, 0]);
  const [next] = await storeChunks(store, ['six']);
  assert.ok(next);
  backlog.add(next);
  assert.deepEqual(await takeAll(backlog), ['six']);
});

test('a chunk that is missing among others is told, and not waited for', async (context) => {
  const store = await openStore(context);
  const backlog = new Backlog('blocks', store);
  let damaged = 0;
  backlog.onDamaged = (count) => {
    damaged += count;
  };
  const chunks = await storeChunks(store, ['one'], ['two', 'three'], ['four']);
  for (const { topic, id, records } of chunks) backlog.addStored({ topic, id, count: records.length });
  await store.write([{ type: 'del', key: entryKey('blocks', chunks[1]?.id ?? 0, 2) }]);
  const taken = await backlog.take(10, 10_000);
  assert.deepEqual(
    taken.map(({ value }) => value.toString()),
    ['one', 'four'],
  );
  backlog.complete(taken.length);
  assert.deepEqual([damaged, backlog.waiting], [2, 0]);
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
  const count = await reopened.replay(
    () => 2 - replayed.length,
    ({ records }) => replayed.push(...records.map(({ value }) => value.toString())),
  );
  assert.equal(count, 2);
  assert.deepEqual(replayed, ['c', 'd']);
  assert.equal((await reopened.list(10)).length, 1);
});

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { REPEATS } from '../../../src/shared/outbox/keys.js';
import type { OutboxRecord } from '../../../src/shared/outbox/records.js';
import { OutboxStore } from '../../../src/shared/outbox/store.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';

const record = (text: string): OutboxRecord => ({
  receivedAt: 5,
  hash: Buffer.alloc(32, 7),
  key: Buffer.from(`key of ${text}`),
  value: Buffer.from(text),
});
const frame = (text: string) => ({ receivedAt: 9, kind: 1, own: false, json: Buffer.from(text) });
const repeat = (text: string): string => text.padEnd(16, '.');
const storeAt = (path: string, frameRing = 100): OutboxStore =>
  new OutboxStore({ logger: keptLog().logger }, { path, fsync: false, frameRing, lockPatienceMs: 300 });

test('epoch, sequence, records, frames and repeats survive', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const first = storeAt(path);
  assert.deepEqual(await first.open(), { frames: [], repeats: [], chunks: [] });
  const { frames, chunks } = await first.append({
    frames: [frame('{"a":1}'), frame('{"b":2}')],
    repeatKeys: [repeat('a')],
    records: new Map([['blocks', [record('one'), record('two')]]]),
  });
  assert.deepEqual(
    frames.map(({ seq }) => seq),
    [0, 1],
  );
  await first.append({ frames: [], repeatKeys: [], records: new Map([['subtrees', [record('three')]]]) });
  await first.close();
  const second = storeAt(path);
  const found = await second.open();
  context.after(() => second.close());
  assert.equal(second.epoch, first.epoch);
  assert.match(second.epoch, /^[0-9a-f]{16}$/);
  assert.equal(second.nextSeq, 2);
  assert.deepEqual(
    found.frames.map(({ seq, json }) => [seq, json.toString()]),
    [
      [0, '{"a":1}'],
      [1, '{"b":2}'],
    ],
  );
  assert.deepEqual(
    found.repeats.map(({ key }) => key),
    [repeat('a')],
  );
  assert.deepEqual(
    found.chunks.map(({ topic, count }) => [topic, count]),
    [
      ['blocks', 2],
      ['subtrees', 1],
    ],
  );
  const [read] = await second.read('blocks', 0, 1000);
  assert.deepEqual(
    read?.records.map(({ value }) => value.toString()),
    ['one', 'two'],
  );
  assert.equal(read?.id, chunks[0]?.id);
});

test('frames beyond the ring go, and what Kafka has goes', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const store = storeAt(path, 10);
  await store.open();
  for (let i = 0; i < 20; i++) {
    const { chunks } = await store.append({
      frames: [frame(`{"i":${i}}`), frame(`{"j":${i}}`), frame(`{"k":${i}}`)],
      repeatKeys: [],
      records: new Map([['blocks', [record(String(i))]]]),
    });
    if (i < 15) store.remove(chunks);
  }
  assert.deepEqual(
    (await store.readFrames(55, 3)).map(({ seq }) => seq),
    [55, 56, 57, 58, 59],
  );
  await store.close();
  const again = storeAt(path, 10);
  const { frames, chunks } = await again.open();
  context.after(() => again.close());
  assert.equal(frames.length, 12, 'whole batches, at least the ring');
  assert.equal(frames.at(-1)?.seq, 59);
  assert.equal(chunks.length, 5);
});

test('announcements are remembered for their time however far the ring has moved on, and within a bound', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const repeats = { windowMs: 600_000, max: 100 };
  const openStore = async (options = repeats) => {
    const store = new OutboxStore(
      { logger: keptLog().logger },
      { path, fsync: false, frameRing: 2, lockPatienceMs: 300, repeats: options },
    );
    return { store, found: (await store.open()).repeats.map(({ key }) => key.replaceAll('.', '')) };
  };
  const add = (store: OutboxStore, ...names: string[]) =>
    store.append({
      frames: names.map((name) => frame(`{"n":"${name}"}`)),
      repeatKeys: names.map(repeat),
      records: new Map(),
    });
  const names = Array.from({ length: 40 }, (_, n) => `n${n}`);
  const first = await openStore();
  for (const name of names) await add(first.store, name);
  // Without a frame too.
  await first.store.append({ frames: [], repeatKeys: [repeat('bare')], records: new Map() });
  await first.store.close();

  const second = await openStore();
  assert.deepEqual(second.found, [...names, 'bare']);
  for (let n = 0; n < 4; n++) await add(second.store, ...names.map((name) => `${n}${name}`));
  await second.store.close();
  const third = await openStore({ ...repeats, windowMs: 0 });
  assert.deepEqual(
    third.found,
    [2, 3].flatMap((n) => names.map((name) => `${n}${name}`)),
    'the newest within the bound',
  );
  // All of them are older than no time at all.
  await add(third.store, 'last');
  await third.store.close();
  const { store, found } = await openStore();
  assert.deepEqual(found, ['last']);
  await store.close();
});

test('remembered announcements that are damaged are forgotten, and keep nothing else from being there', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const first = storeAt(path);
  await first.open();
  for (const name of ['a', 'b']) {
    await first.append({ frames: [frame('{}')], repeatKeys: [repeat(name)], records: new Map() });
  }
  const [[key, value]] = (await first.entries(REPEATS)) as [[string, Buffer]];
  value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
  await first.write([{ type: 'put', key, value }]);
  await first.close();
  const log = keptLog();
  const second = new OutboxStore({ logger: log.logger }, { path, fsync: false, frameRing: 10 });
  const found = await second.open();
  context.after(() => second.close());
  assert.deepEqual(
    found.repeats.map((each) => each.key),
    [repeat('b')],
  );
  assert.equal(found.frames.length, 2);
  assert.equal(log.lines.filter(({ msg }) => String(msg).includes('announcements are damaged')).length, 1);
});

test('a corrupt database is not opened: the error names it and says what to do', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const store = storeAt(path);
  await store.open();
  await store.append({
    frames: [frame('{}')],
    repeatKeys: [],
    records: new Map([['blocks', [record('a')]]]),
  });
  await store.close();
  const manifest = readdirSync(path).find((name) => name.startsWith('MANIFEST')) as string;
  writeFileSync(join(path, manifest), 'this is no manifest at all, not even nearly');
  const broken = storeAt(path);
  await assert.rejects(broken.open(), (error: Error) => {
    assert.equal(error.name, 'OutboxUnusableError');
    assert.ok(error.message.includes(path));
    assert.match(error.message, /corrupt.*move it away/s);
    return true;
  });
});

test('a hole in what LevelDB’s log still gives is found', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const store = storeAt(path);
  await store.open();
  // Three blocks of the log (32 KiB each): a damaged one is skipped without a word.
  for (let i = 0; i < 30; i++) {
    await store.append({
      frames: [frame(`{"i":"${'x'.repeat(4000)}"}`)],
      repeatKeys: [],
      records: new Map(),
    });
  }
  await store.close();
  const log = readdirSync(path).find((name) => name.endsWith('.log')) as string;
  const bytes = readFileSync(join(path, log));
  assert.ok(bytes.length > 100_000, `the log has ${bytes.length} bytes`);
  bytes.fill(0xff, 40_000, 40_100);
  writeFileSync(join(path, log), bytes);
  await assert.rejects(storeAt(path).open(), /corrupt.*frames \d+ to \d+ are missing/s);
});

test('a newer format, none at all, and another owner, are told apart', async (context) => {
  const directory = temporaryDirectory(context);
  const store = storeAt(join(directory, 'used'));
  await store.open();
  await assert.rejects(storeAt(join(directory, 'used')).open(), /in use by another process/);
  await store.close();
  for (const [format, said] of [
    ['3', /has format 3, of a newer version: this one reads up to 2\. Start the version that wrote it/],
    ['?', /has format \?: this version reads 1 to 2/],
  ] as const) {
    const path = join(directory, format === '3' ? 'newer' : 'strange');
    const level = new ClassicLevel<string, string>(path);
    await level.batch([
      { type: 'put', key: 'format', value: format },
      { type: 'put', key: 'epoch', value: 'e' },
    ]);
    await level.close();
    await assert.rejects(storeAt(path).open(), said);
  }
});

const batchOf = (name: string) => ({
  frames: [frame(`{"name":"${name}"}`)],
  repeatKeys: [],
  records: new Map([['blocks', [record(name)]]]),
});

/** What a machine's disk has after the power went while the database was open: here, all of it. */
async function asIfPowerWent(path: string, boot: string, fsync: boolean): Promise<OutboxStore> {
  const { logger } = keptLog();
  const store = new OutboxStore({ logger }, { path, fsync, frameRing: 100, boot });
  await store.open();
  await store.append(batchOf('one'));
  const copy = `${path}-copy`;
  cpSync(path, copy, { recursive: true });
  await store.close();
  return store;
}

test('after the machine went down without fsync the sequence goes on in a new epoch, and with it in the same', async (context) => {
  for (const [fsync, boot, same] of [
    [false, 'second', false],
    [false, 'first', true],
    [true, 'second', true],
  ] as const) {
    const path = join(temporaryDirectory(context), 'outbox');
    const before = await asIfPowerWent(path, 'first', fsync);
    const log = keptLog();
    const options = { fsync, frameRing: 100, boot };
    const after = new OutboxStore({ logger: log.logger }, { ...options, path: `${path}-copy` });
    const { chunks } = await after.open();
    assert.equal(after.epoch === before.epoch, same, `fsync ${fsync}, boot ${boot}`);
    assert.equal(log.lines.filter(({ msg }) => /a new epoch begins/.test(String(msg))).length, same ? 0 : 1);
    assert.deepEqual([after.nextSeq, chunks.length], [1, 1]);
    await after.close();
    const closed = new OutboxStore({ logger: log.logger }, { ...options, path, boot: 'third' });
    await closed.open();
    assert.equal(closed.epoch, before.epoch, 'closed in order, it goes on as it was');
    await closed.close();
  }
});

test('a chunk that is damaged on the disk is set aside in it, and the others are read', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const store = storeAt(path);
  await store.open();
  for (const name of ['one', 'two', 'three']) await store.append(batchOf(name));
  await store.close();
  const level = new ClassicLevel<string, Buffer>(path, { valueEncoding: 'buffer' });
  const [, key = ''] = await level.keys({ gte: 'entries/', lt: 'entries0' }).all();
  const value = Buffer.from((await level.get(key)) ?? []);
  // In the text of the record, where any bytes would do.
  value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
  await level.put(key, value);
  await level.close();
  const again = storeAt(path);
  await again.open();
  const chunks = await again.read('blocks', 0, 10_000);
  assert.deepEqual(
    chunks.map(({ records, damaged }) => [records.map((each) => each.value.toString()), damaged]),
    [
      [['one'], undefined],
      [[], 1],
      [['three'], undefined],
    ],
  );
  assert.equal((await again.read('blocks', 0, 10_000)).length, 2, 'it is out of the way');
  const aside = await again.entries({ gte: 'damaged/', lt: 'damaged0' });
  assert.deepEqual(
    aside.map(([, kept]) => kept),
    [value],
  );
  await again.close();
});

test('frames that are damaged while the server runs are left out, and the others are read', async (context) => {
  const store = storeAt(join(temporaryDirectory(context), 'outbox'));
  await store.open();
  context.after(() => store.close());
  for (const name of ['a', 'b', 'c']) {
    await store.append({ frames: [frame(`{"${name}":1}`)], repeatKeys: [], records: new Map() });
  }
  const [, [key, value]] = (await store.entries({ gte: 'frames/', lt: 'frames0' })) as [
    unknown,
    [string, Buffer],
  ];
  value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
  await store.write([{ type: 'put', key, value }]);
  const seqs = async (from: number) => (await store.readFrames(from, 10)).map(({ seq }) => seq);
  assert.deepEqual(await seqs(0), [0], 'without a gap');
  assert.deepEqual(await seqs(1), [2]);
});

test('a key or a position that is damaged is a corrupt outbox', async (context) => {
  const directory = temporaryDirectory(context);
  const position = Buffer.alloc(16);
  position.writeDoubleLE(1, 0);
  position.writeDoubleLE(1, 8);
  for (const [key, value] of [
    ['entries/blocks/000000000000000x/1', Buffer.alloc(9)],
    ['position', position],
  ] as const) {
    const path = join(directory, key.slice(0, 4));
    const store = storeAt(path);
    await store.open();
    await store.append(batchOf('one'));
    await store.close();
    const level = new ClassicLevel<string, Buffer>(path, { valueEncoding: 'buffer' });
    await level.put(key, value);
    await level.close();
    await assert.rejects(storeAt(path).open(), { name: 'OutboxUnusableError', message: /is corrupt/ });
  }
});

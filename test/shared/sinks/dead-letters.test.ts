import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { decodeEntry } from '../../../src/shared/journal/entry.js';
import { DeadLetters, type ReturnedLetter } from '../../../src/shared/sinks/dead-letters.js';
import { createOutboxMetrics } from '../../../src/shared/sinks/metrics.js';
import { keptLog } from '../../support/logger.js';
import { entryWith } from '../../support/open-journal.js';
import { temporaryDirectory } from '../../support/temporary.js';

const record = (byte: number): Buffer =>
  entryWith({
    record: {
      topic: 1,
      hash: Buffer.alloc(32, byte),
      key: Buffer.alloc(0),
      value: Buffer.from(`value ${byte}`),
    },
  });
const hashOf = (byte: number): string => Buffer.alloc(32, byte).toString('hex');
const textOf = ({ entry }: ReturnedLetter): string =>
  Buffer.from(decodeEntry(entry).record?.value ?? []).toString();

function letters(context: TestContext, options: { max?: number; directory?: string } = {}) {
  const { directory = join(temporaryDirectory(context), 'dead-letters'), max } = options;
  const { logger, lines } = keptLog();
  const metrics = createOutboxMetrics(new Registry());
  const deadLetters = new DeadLetters(
    { logger, metrics },
    { directory, fsync: false, ...(max === undefined ? {} : { max }) },
  );
  deadLetters.open();
  return {
    deadLetters,
    directory,
    lines,
    files: () => readdirSync(directory).filter((name) => name.endsWith('.letter')),
    add: (byte: number, topic = 'blocks', reason = 'too large') =>
      deadLetters.add({ sink: 'kafka', topic, epoch: 'e', position: byte }, record(byte), reason),
    count: async () => (await metrics.deadLetters.get()).values[0]?.value ?? 0,
    hashes: async () => (await deadLetters.list(10)).map(({ hash }) => hash),
  };
}

test('a letter that is damaged on the disk is set aside, and keeps none of the others', async (context) => {
  const { deadLetters, directory, add, files, count, hashes } = letters(context);
  for (const byte of [1, 2, 3]) add(byte);
  const name = files()[1] ?? '';
  const bytes = readFileSync(join(directory, name));
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(join(directory, name), bytes);
  assert.deepEqual(await hashes(), [1, 3].map(hashOf));
  const back: string[] = [];
  const replayed = await deadLetters.replay(
    () => 100,
    (some) => back.push(...some.map(textOf)),
  );
  assert.equal(replayed, 2);
  assert.deepEqual(back, ['value 1', 'value 3']);
  assert.deepEqual(readFileSync(join(directory, 'damaged', name)), bytes);
  assert.equal(await count(), 0);
  assert.deepEqual(await hashes(), []);
});

test('letters are there after a restart, and one that was kept before its cursor moved is no second', async (context) => {
  const first = letters(context);
  for (const byte of [1, 2, 3]) first.add(byte);
  writeFileSync(join(first.directory, 'half.letter.partial'), 'half a lett');
  const second = letters(context, { directory: first.directory });
  second.add(3);
  second.add(4);
  assert.deepEqual(await second.hashes(), [1, 2, 3, 4].map(hashOf));
  assert.equal(await second.count(), 4);
  assert.deepEqual(
    (await second.deadLetters.list(10)).map(({ id, topic, reason }) => [id, topic, reason]),
    ['1', '2', '3', '4'].map((id) => [id, 'blocks', 'too large']),
  );
  assert.equal(
    readdirSync(first.directory).some((name) => name.endsWith('.partial')),
    false,
  );
});

test('dead letters are bounded: the oldest goes, loudly', async (context) => {
  const { add, lines, hashes, count, files } = letters(context, { max: 3 });
  for (const byte of [1, 2, 3, 4, 5]) add(byte);
  assert.deepEqual(await hashes(), [3, 4, 5].map(hashOf));
  assert.equal(lines.filter(({ msg }) => /oldest is lost/.test(String(msg))).length, 2);
  assert.deepEqual([await count(), files().length], [3, 3]);
});

test('letters that come while others are put back are neither lost nor put back twice', async (context) => {
  const { deadLetters, add, count, hashes } = letters(context, { max: 4 });
  for (const byte of [1, 2, 3, 4]) add(byte);
  const back: string[] = [];
  const replaying = deadLetters.replay(
    () => 100,
    (some) =>
      back.push(
        ...some.map(({ entry }) => Buffer.from(decodeEntry(entry).record?.hash ?? []).toString('hex')),
      ),
  );
  add(5, 'subtrees');
  add(6, 'subtrees');
  assert.equal(await replaying, back.length);
  const left = await hashes();
  assert.deepEqual([...back, ...left].sort(), [1, 2, 3, 4, 5, 6].map(hashOf));
  assert.equal(await count(), left.length);
});

test('letters stay when they cannot be put back', async (context) => {
  const { deadLetters, add, hashes } = letters(context);
  for (const byte of [1, 2]) add(byte);
  const refuse = deadLetters.replay(
    () => 100,
    () => {
      throw new Error('the disk is full');
    },
  );
  await assert.rejects(refuse, /full/);
  assert.deepEqual(await hashes(), [1, 2].map(hashOf));
});

test('letters of a topic that is full stay, and hold up no other topic’s', async (context) => {
  const { deadLetters, add, hashes, count } = letters(context);
  for (const byte of [1, 2, 3]) add(byte, 'subtrees');
  for (const byte of [4, 5]) add(byte);
  const rooms = new Map([
    ['subtrees', 1],
    ['blocks', 100],
  ]);
  const back: string[] = [];
  const replayed = await deadLetters.replay(
    (topic) => rooms.get(topic) ?? 0,
    (some) => {
      for (const { topic } of some) rooms.set(topic, (rooms.get(topic) ?? 0) - 1);
      back.push(...some.map(textOf));
    },
  );
  assert.equal(replayed, 3);
  assert.deepEqual(await hashes(), [2, 3].map(hashOf));
  assert.equal(await count(), 2);
  assert.deepEqual(back, ['value 1', 'value 4', 'value 5']);
});

test('large letters are put back in batches that the journal takes', async (context) => {
  const { deadLetters } = letters(context);
  const value = Buffer.alloc(900_000);
  const sizes: number[] = [];
  for (let position = 0; position < 20; position++) {
    const hash = Buffer.alloc(32, position);
    const entry = entryWith({ record: { topic: 1, hash, key: Buffer.alloc(0), value } });
    deadLetters.add({ sink: 'kafka', topic: 'blocks', epoch: 'e', position }, entry, 'too large');
  }
  const replayed = await deadLetters.replay(
    () => 100,
    (some) => sizes.push(some.reduce((sum, { entry }) => sum + entry.length, 0)),
  );
  assert.equal(replayed, 20);
  assert.ok(Math.max(...sizes) < 32 * 1_048_576 && sizes.length > 1, sizes.join(' '));
});

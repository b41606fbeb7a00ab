import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnfinishedBatch } from '../../../../src/shared/sinks/kafka/kafkajs/unfinished.js';
import type { KafkaRecord } from '../../../../src/shared/sinks/kafka/types.js';

/** Made anew each time, as when they are read back from the outbox. */
const records = (...texts: string[]): KafkaRecord[] =>
  texts.map((text) => ({ key: Buffer.from(text), value: Buffer.from(`value of ${text}`) }));

/** A batch of four that failed: the first acknowledged, the second and third in doubt. */
function failed(): UnfinishedBatch {
  const unfinished = new UnfinishedBatch();
  const { entries } = unfinished.resume(records('a', 'b', 'c', 'd'));
  const [first, second, third] = entries;
  assert.ok(first && second && third);
  first.acknowledged = true;
  unfinished.keep(entries, [], [{ partition: 0, entries: [second, third] }]);
  return unfinished;
}
const acknowledged = (unfinished: UnfinishedBatch, ...texts: string[]): boolean[] =>
  unfinished.resume(records(...texts)).entries.map((entry) => entry.acknowledged);

test('a batch that comes again, and more behind it, is known by its bytes', () => {
  const unfinished = failed();
  const { entries, rest, sameShipments } = unfinished.resume(records('a', 'b', 'c', 'd', 'e'));
  assert.ok(sameShipments);
  assert.deepEqual(
    entries.map((entry) => entry.acknowledged),
    [true, false, false, false, false],
  );
  assert.deepEqual(rest, []);
  assert.deepEqual(unfinished.inDoubt[0]?.entries, [entries[1], entries[2]]);
});

test('a piece that leaves out a part of what is in doubt is not the same shipment', () => {
  assert.ok(!failed().resume(records('a', 'b')).sameShipments);
  assert.ok(!failed().resume(records('b', 'c')).sameShipments);
  assert.ok(!failed().resume(records('a', 'b', 'x')).sameShipments);
  assert.ok(failed().resume(records('a', 'b', 'c')).sameShipments);
});

test('a piece from the front leaves what is known of the rest', () => {
  const unfinished = new UnfinishedBatch();
  const { entries } = unfinished.resume(records('a', 'b', 'c'));
  for (const entry of entries.slice(1)) entry.acknowledged = true;
  unfinished.keep(entries, [], []);
  const { rest } = unfinished.resume(records('a'));
  assert.equal(rest.length, 2);
  unfinished.finish(rest);
  assert.deepEqual(acknowledged(unfinished, 'b', 'c', 'd'), [true, true, false]);
});

test('other records are never taken for acknowledged ones', () => {
  assert.deepEqual(acknowledged(failed(), 'x', 'a'), [false, false]);
  const same = new UnfinishedBatch();
  const value = Buffer.from('same');
  const { entries } = same.resume([{ key: Buffer.from('a'), value }]);
  for (const entry of entries) entry.acknowledged = true;
  same.keep(entries, [], []);
  assert.equal(same.resume([{ key: Buffer.from('b'), value }]).entries[0]?.acknowledged, false);
  assert.equal(same.resume([{ value }]).entries[0]?.acknowledged, false);
});

test('nothing is remembered after success', () => {
  const unfinished = failed();
  unfinished.finish([]);
  assert.deepEqual(unfinished.inDoubt, []);
  assert.deepEqual(acknowledged(unfinished, 'a'), [false]);
});

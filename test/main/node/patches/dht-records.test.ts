import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoredRecords } from '../../../../src/main/node/patches/dht-records.js';

const record = (name: string, peer: string) => ({ name, peer, written: 1, remove: () => Promise.resolve() });

test('records of others are bounded by peer, by name and in all; the least recently told goes', () => {
  const records = new StoredRecords({ maxRecords: 6, maxOfPeer: 2, maxOfName: 3 });
  const told = (name: string, peer: string) =>
    records.told(`${name}/${peer}`, record(name, peer)).map((gone) => `${gone.name}/${gone.peer}`);
  assert.deepEqual(told('a', 'one'), []);
  assert.deepEqual(told('b', 'one'), []);
  // Told again it is the newest.
  assert.deepEqual(told('a', 'one'), []);
  assert.deepEqual(told('c', 'one'), ['b/one']);
  assert.deepEqual(told('a', 'two'), []);
  assert.deepEqual(told('a', 'three'), []);
  assert.deepEqual(told('a', 'four'), ['a/one']);
  assert.equal(records.size, 4);
  assert.equal(records.written('a/one'), 0);
  assert.equal(records.written('a/two'), 1);
  assert.deepEqual(told('d', 'five'), []);
  assert.deepEqual(told('d', 'six'), []);
  assert.deepEqual(told('d', 'seven'), ['c/one']);
  assert.equal(records.size, 6);
});

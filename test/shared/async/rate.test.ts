import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedRate } from '../../../src/shared/async/keyed-rate.js';
import { TokenBucket } from '../../../src/shared/async/token-bucket.js';

test('a bucket gives what it holds at once, and then so many a second', () => {
  let now = 0;
  const bucket = new TokenBucket({ perSecond: 2, burst: 3, now: () => now });
  const taken = (tries: number): number =>
    Array.from({ length: tries }, () => bucket.take()).filter(Boolean).length;
  assert.equal(taken(10), 3);
  now = 499;
  assert.equal(taken(10), 0);
  now = 1_500;
  assert.equal(taken(10), 3);
  now = 1_000_000;
  assert.equal(taken(10), 3, 'no more than a burst gathers');
});

test('each key has a bucket, and the one used longest ago is forgotten', () => {
  let now = 0;
  const rate = new KeyedRate({ perSecond: 1, burst: 1, maxKeys: 2, now: () => now });
  assert.deepEqual([rate.take('a'), rate.take('a'), rate.take('b')], [true, false, true]);
  assert.equal(rate.take('a'), false);
  assert.equal(rate.take('c'), true);
  assert.equal(rate.take('b'), true, 'b was forgotten for c');
  now = 1_000;
  assert.equal(rate.take('c'), true);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, backoffMs } from '../../../src/shared/async/backoff.js';

const waits = (policy: Parameters<typeof backoffMs>[0], count: number): number[] =>
  Array.from({ length: count }, (_, index) => backoffMs(policy, index + 1));

test('waits double from the first to the bound', () => {
  assert.deepEqual(waits({ firstMs: 100, maxMs: 5_000 }, 8), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.deepEqual(waits({ firstMs: 10, maxMs: 100, factor: 3 }, 4), [10, 30, 90, 100]);
  assert.equal(backoffMs({ firstMs: 100, maxMs: 5_000 }, 1_000_000), 5_000);
});

test('chance makes a wait shorter or longer by its part', () => {
  const policy = { firstMs: 1_000, maxMs: 1_000, jitter: 0.25 };
  const drawn = waits(policy, 2_000);
  assert.ok(drawn.every((wait) => wait >= 750 && wait <= 1250));
  assert.ok(Math.min(...drawn) < 850 && Math.max(...drawn) > 1150);
});

test('failures are counted until a success', () => {
  const backoff = new Backoff({ firstMs: 1, maxMs: 4 });
  assert.deepEqual([backoff.next(), backoff.next(), backoff.next(), backoff.next()], [1, 2, 4, 4]);
  assert.equal(backoff.failures, 4);
  backoff.reset();
  assert.deepEqual([backoff.failures, backoff.next()], [0, 1]);
});

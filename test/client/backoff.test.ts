import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '#feed/backoff';

const LONGEST_MS = 30_000;
const times = (count: number, backoff: Backoff, workedMs = 0) =>
  Array.from({ length: count }, () => backoff.failed(workedMs));

test('pauses double from half a second to the bound, and are cut by up to a half, by chance', () => {
  const longest = new Backoff(1, LONGEST_MS, () => 1);
  assert.deepEqual(times(9, longest), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  const shortest = new Backoff(1, LONGEST_MS, () => 0);
  assert.deepEqual(times(3, shortest), [250, 500, 1000]);
});

test('of several servers the next has its turn at once, and the pause comes when all have had it', () => {
  const backoff = new Backoff(3, LONGEST_MS, () => 1);
  assert.equal(backoff.server, 0);
  assert.deepEqual(times(6, backoff), [100, 100, 500, 100, 100, 1000]);
  assert.equal(backoff.server, 0);
  backoff.failed(0);
  assert.equal(backoff.server, 1);
});

test('after a connection that worked for five seconds it begins anew, and not after one that was lost at once', () => {
  const backoff = new Backoff(1, LONGEST_MS, () => 1);
  times(5, backoff);
  assert.equal(backoff.failed(4999), 16_000);
  assert.equal(backoff.failed(5000), 500);
  assert.equal(backoff.attempts, 1);
});

test('who is asked to wait waits as long, five minutes at the most; another server is tried meanwhile', () => {
  const backoff = new Backoff(1, LONGEST_MS, () => 1);
  assert.equal(backoff.failed(0, 7000), 7000);
  assert.equal(backoff.failed(0, 3_600_000), 300_000);
  const two = new Backoff(2, LONGEST_MS, () => 1);
  assert.equal(two.failed(0, 7000), 100);
  assert.equal(two.failed(0, 7000), 7000);
});

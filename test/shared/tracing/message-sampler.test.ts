/** How many messages are traced, whatever chance does. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageSampler } from '../../../src/shared/tracing/message-sampler.js';

/** Which of `count` messages are taken. */
function taken(ratio: number, count: number, random?: () => number): number[] {
  const sampler = new MessageSampler(ratio, random);
  return Array.from({ length: count }, (_, index) => index).filter(() => sampler.take());
}

test('as many messages are traced as the ratio says, give or take one, of any number of them', () => {
  for (const ratio of [1, 0.999, 0.8, 0.5, 0.3, 0.07, 0.01, 0.001]) {
    for (const count of [1, 2, 3, 10, 99, 100, 101, 12_345]) {
      const { length } = taken(ratio, count);
      assert.ok(
        Math.abs(length - ratio * count) <= 1,
        `${length} of ${count} at a ratio of ${ratio}, where ${ratio * count} were due`,
      );
    }
  }
  assert.equal(taken(1, 1000).length, 1000);
  assert.equal(taken(0, 100_000).length, 0);
  assert.equal(taken(1e-300, 100_000).length, 0);
});

test('each message of a stretch can be the one that is traced, and no other of it is', () => {
  const edges = [0, 0.999_999];
  const first = taken(0.01, 1000, () => edges[0] as number);
  const last = taken(0.01, 1000, () => edges[1] as number);
  assert.deepEqual(first, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  assert.deepEqual(last, [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]);
});

test('what comes in turn is not always, or never, what is traced', () => {
  // One block in a hundred messages, always at the same place.
  const blocks = taken(0.01, 1_000_000).filter((index) => index % 100 === 7).length;
  // 100 are due; the chance of fewer than 20 or more than 250 is below 10^-20.
  assert.ok(blocks > 20 && blocks < 250, `${blocks} of 10,000 blocks`);
});

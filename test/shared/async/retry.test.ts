import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retry } from '../../../src/shared/async/retry.js';

const BACKOFF = { firstMs: 1, maxMs: 4 };

/** Fails so many times, and then answers. */
function failing(times: number, error: unknown = new TypeError('not yet')) {
  let attempts = 0;
  const work = async (attempt: number): Promise<string> => {
    attempts = attempt;
    if (attempt <= times) throw error;
    return `answered at ${attempt}`;
  };
  return { work, attempts: () => attempts };
}

test('what fails is tried again until it answers, and each failure is told with the wait after it', async () => {
  const told: [string, number, number][] = [];
  const answer = await retry(failing(4).work, {
    backoff: BACKOFF,
    onRetry: ({ error, attempt, waitMs }) => told.push([(error as Error).message, attempt, waitMs]),
  });
  assert.equal(answer, 'answered at 5');
  assert.deepEqual(told, [
    ['not yet', 1, 1],
    ['not yet', 2, 2],
    ['not yet', 3, 4],
    ['not yet', 4, 4],
  ]);
});

test('the last attempt’s failure is thrown as it is, and so is one that no other attempt follows', async () => {
  const error = new RangeError('never');
  const three = failing(10, error);
  await assert.rejects(retry(three.work, { backoff: 1, attempts: 3 }), error);
  assert.equal(three.attempts(), 3);
  const two = failing(10, error);
  await assert.rejects(retry(two.work, { backoff: 1, retryable: ({ attempt }) => attempt < 2 }), error);
  assert.equal(two.attempts(), 2);
});

test('the signal ends the wait, and no attempt begins after it', async () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const { work, attempts } = failing(10);
  const waiting = retry(work, { backoff: 3_600_000, signal, onRetry: () => stopping.abort() });
  await assert.rejects(waiting, ({ name, cause }: Error) => {
    assert.deepEqual([name, (cause as Error).message], ['AbortedError', 'not yet']);
    return true;
  });
  assert.equal(attempts(), 1);
  await assert.rejects(retry(work, { backoff: 1, signal }), { name: 'AbortedError' });
  assert.equal(attempts(), 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deadlineSignal } from '../../../src/shared/async/deadline.js';
import { waitFor } from '../../support/wait.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a deadline comes although nobody holds its signal while garbage is collected', async () => {
  const stopping = new AbortController();
  const reasons: unknown[] = [];
  const wait = () => {
    const signal = deadlineSignal(200, stopping.signal, undefined);
    signal.addEventListener('abort', () => reasons.push(signal.reason), { once: true });
  };
  for (let n = 0; n < 20; n++) wait();
  collect();
  await waitFor(
    () => {
      collect();
      return reasons.length === 20;
    },
    { what: 'every deadline', timeoutMs: 5_000 },
  );
  for (const reason of reasons) assert.equal((reason as Error).name, 'TimeoutError');
});

test('any of the other signals ends the wait at once', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const signal = deadlineSignal(60_000, one.signal, other.signal);
  assert.equal(signal.aborted, false);
  other.abort('enough');
  assert.deepEqual([signal.aborted, signal.reason], [true, 'enough']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { ConnectionBudgets } from '../../../../src/main/node/gossip/budgets.js';
import { createNodeMetrics } from '../../../../src/main/node/metrics/node-metrics.js';
import { asPeer } from '../../../support/branded.js';
import { shiftDate } from '../../../support/shifted-clock.js';
import { waitFor } from '../../../support/wait.js';

function createBudgets(messagesPerSecond: number, bytesPerSecond: number) {
  const clock = { now: 1_000_000 };
  const excess: string[] = [];
  const metrics = createNodeMetrics(new Registry());
  const budgets = new ConnectionBudgets(
    { metrics },
    { messagesPerSecond, bytesPerSecond, onExcess: (id) => excess.push(id), now: () => clock.now },
  );
  const send = (id: string, count: number, bytes = 1) =>
    Array.from({ length: count }, () => budgets.admit(asPeer(id), bytes)).filter(Boolean).length;
  return { budgets, clock, excess, metrics, send };
}

test('a second of messages and bytes is admitted, the rest of it dropped and counted, the next is new', async () => {
  const { clock, metrics, send } = createBudgets(10, 1000);
  assert.equal(send('a', 15), 10);
  assert.equal(send('b', 3, 400), 2);
  assert.equal((await metrics.budgetDropped.get()).values[0]?.value, 6);
  clock.now += 999;
  assert.equal(send('a', 1), 0);
  clock.now += 1;
  assert.equal(send('a', 1), 1);
  assert.equal(send('c', 1, 5000), 1, 'a first message passes whatever its size');
});

test('excess in five seconds is reported once, less is forgiven', () => {
  const { clock, excess, send, budgets } = createBudgets(10, 1000);
  for (let second = 0; second < 12; second++) {
    send('a', 20);
    send('b', second % 2 === 0 ? 20 : 5);
    clock.now += 1000;
  }
  assert.deepEqual(excess, ['a', 'a']);
  budgets.forget(asPeer('a'));
  assert.equal(send('a', 1), 1);
});

for (const [how, ms] of [
  ['back', -3_600_000],
  ['forward', 3_600_000],
] as const) {
  test(`a clock that is set ${how} an hour costs a peer whose second is used up no more than that second`, async (context) => {
    let shift = 0;
    context.after(shiftDate(() => shift));
    const metrics = createNodeMetrics(new Registry());
    const budgets = new ConnectionBudgets(
      { metrics },
      { messagesPerSecond: 2, bytesPerSecond: 1000, onExcess: () => {} },
    );
    const began = performance.now();
    budgets.admit(asPeer('a'), 1);
    budgets.admit(asPeer('a'), 1);
    shift = ms;
    const atOnce = budgets.admit(asPeer('a'), 1);
    assert.ok(!atOnce || performance.now() - began >= 1000, 'nor is it a second that passes');
    await waitFor(() => budgets.admit(asPeer('a'), 1), { what: 'the next second', timeoutMs: 10_000 });
  });
}

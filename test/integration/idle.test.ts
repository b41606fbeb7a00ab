import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { launchServer } from '../support/server-process.js';
import { waitFor } from '../support/wait.js';

/** How often the kernel has woken each thread of these processes, by process and thread. */
function wakeUps(pids: readonly number[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
      counts.set(`${pid}/${thread}`, Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]));
    }
  }
  return counts;
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Of one look. */
const WINDOW_S = 5;

test('no thread of a server with nothing to do is woken more than 40 times a second', async (context) => {
  // What is counted is Linux's.
  if (process.platform !== 'linux') return;
  const run = launchServer(context, {
    env: { NODE_V8_COVERAGE: '' },
    set: { p2p_heartbeat_interval: '1s', p2p_notification_servers: '1' },
  });
  await run.ready();
  const pid = run.child.pid ?? assert.fail();
  const pids = [pid, ...childrenOf(pid)];
  assert.equal(pids.length, 2);
  const rates = async (): Promise<number[]> => {
    const before = wakeUps(pids);
    await delay(WINDOW_S * 1000);
    return [...wakeUps(pids)].map(([thread, count]) => (count - (before.get(thread) ?? count)) / WINDOW_S);
  };
  // The compiling and collecting of the start go on for a while.
  const calm = await waitFor(
    async () => {
      const each = await rates();
      return each.every((rate) => rate <= 40) ? each : undefined;
    },
    { what: 'threads that are left alone', timeoutMs: 60_000 },
  );
  context.diagnostic(`${calm.reduce((sum, rate) => sum + rate, 0).toFixed(0)} a second in all`);
});

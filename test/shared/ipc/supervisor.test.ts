import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  type SupervisedEnd,
  Supervisor,
  type SupervisorOptions,
} from '../../../src/shared/ipc/supervisor.js';
import { waitFor } from '../../support/wait.js';

const BACKOFF = { firstMs: 1, maxMs: 4 };

/** Supervised threads that say `serves`, and end when they are told to with that exit code. */
function threads(context: TestContext, options: Partial<SupervisorOptions> = {}, { serves = true } = {}) {
  const ends: SupervisedEnd[] = [];
  const begun: Worker[] = [];
  const events: string[] = [];
  let served = 0;
  const begin = (): void => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', (code) => process.exit(code));
       parentPort.postMessage('serves');`,
      { eval: true },
    );
    begun.push(worker);
    events.push('begun');
    worker.once('message', () => {
      served++;
      if (serves) supervisor.serves();
    });
    worker.once('exit', (code) => supervisor.ended(`exit code ${code}`));
  };
  const supervisor: Supervisor = new Supervisor(
    {
      begin,
      end: async () => {
        await begun.at(-1)?.terminate();
        events.push('gone');
      },
      onEnd: (end) => ends.push(end),
      onReplaced: () => events.push(supervisor.replacing === undefined ? 'replaced' : 'too early'),
    },
    { backoff: BACKOFF, ...options },
  );
  context.after(async () => {
    await supervisor.stop();
    await Promise.all(begun.map((worker) => worker.terminate()));
  });
  const tell = (code: number): void => begun.at(-1)?.postMessage(code);
  return { supervisor, begin, begun, ends, events, tell, served: () => served };
}

test('another thread takes the place of one that ended, and not before that is gone', async (context) => {
  const { supervisor, begin, begun, ends, events, tell } = threads(context);
  begin();
  tell(7);
  await waitFor(() => begun.length === 2 && supervisor.replacing === undefined, { what: 'another thread' });
  assert.deepEqual(ends, [{ why: 'exit code 7', failures: 1, retryInMs: 1 }]);
  assert.deepEqual(events, ['begun', 'gone', 'begun', 'replaced']);
});

test('the pause grows while none serves, until it is said to have failed, and it is tried on', async (context) => {
  const { supervisor, begin, ends, tell } = threads(context, { failedAfter: 3 }, { serves: false });
  begin();
  for (let n = 1; n <= 4; n++) {
    tell(n);
    await waitFor(() => ends.length === n && supervisor.replacing === undefined, { what: `end ${n}` });
    assert.equal(supervisor.failed, n < 3 ? undefined : `exit code ${n}`);
  }
  assert.deepEqual(
    ends.map(({ failures, retryInMs }) => [failures, retryInMs]),
    [
      [1, 1],
      [2, 2],
      [3, 4],
      [4, 4],
    ],
  );
  supervisor.serves();
  assert.equal(supervisor.failed, undefined);
  tell(5);
  await waitFor(() => ends.length === 5, { what: 'the end of one that served' });
  assert.equal(ends[4]?.failures, 1);
});

test('one that did not serve for long is another failure', async (context) => {
  const { supervisor, begin, served, ends, tell } = threads(context, { steadyMs: 3_600_000 });
  begin();
  for (let n = 1; n <= 2; n++) {
    await waitFor(() => served() === n, { what: `thread ${n} to serve` });
    tell(n);
    await waitFor(() => ends.length === n && supervisor.replacing === undefined, { what: `end ${n}` });
  }
  assert.deepEqual(
    ends.map(({ failures }) => failures),
    [1, 2],
  );
});

test('a beginning that fails is an end as well', async () => {
  const ends: string[] = [];
  let begun = 0;
  const supervisor = new Supervisor(
    {
      begin: async () => {
        begun++;
        if (begun < 3) throw new Error(`beginning ${begun}`);
      },
      onEnd: ({ why }) => ends.push(why),
    },
    { backoff: BACKOFF },
  );
  supervisor.ended('of old age');
  supervisor.ended('told while another is on its way');
  await supervisor.replacing;
  assert.deepEqual(ends, ['of old age', 'beginning 1', 'beginning 2']);
  await supervisor.stop();
});

test('a stop ends the pause, and no process begins after it', async (context) => {
  const begun: ChildProcess[] = [];
  const begin = (): void => {
    const child = spawn(process.execPath, ['--eval', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    begun.push(child);
    child.once('exit', (_, signal) => supervisor.ended(`${signal}`));
  };
  const ends: SupervisedEnd[] = [];
  const supervisor: Supervisor = new Supervisor(
    { begin, onEnd: (end) => ends.push(end) },
    { backoff: { firstMs: 3_600_000, maxMs: 3_600_000 } },
  );
  context.after(() => {
    for (const child of begun) child.kill('SIGKILL');
  });
  begin();
  begun[0]?.kill('SIGKILL');
  await waitFor(() => ends.length === 1, { what: 'its end' });
  assert.equal(ends[0]?.why, 'SIGKILL');
  await supervisor.stop();
  assert.equal(supervisor.replacing, undefined);
  supervisor.ended('told after the stop');
  assert.deepEqual([begun.length, supervisor.replacing], [1, undefined]);
});

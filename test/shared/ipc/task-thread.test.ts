import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { TaskThread } from '../../../src/shared/ipc/task-thread.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Does what it is told: `wait` until a later `go`, `fail`, `die`, or say it back. */
const PROGRAM = `
  import { answerTasks } from ${here('../../../src/shared/ipc/task-answers.js')};
  let go;
  const going = new Promise((resolve) => { go = resolve; });
  answerTasks((task) => {
    if (task === 'wait') return going.then(() => 'waited');
    if (task === 'go') go();
    if (task === 'fail') throw new RangeError('told to');
    if (task === 'die') process.exit(1);
    return task === 'uncloned' ? () => {} : task;
  });`;

function threadOf(context: TestContext) {
  const file = join(temporaryDirectory(context), 'thread.mjs');
  writeFileSync(file, PROGRAM);
  const deaths: string[] = [];
  const options = { name: 'publisher', file: pathToFileURL(file), workerData: {}, maxOldSpaceMb: 64 };
  const thread = new TaskThread({ ...options, onDeath: (reason) => deaths.push(reason) }, keptLog().logger);
  context.after(() => thread.destroy());
  return { thread, deaths, file };
}

test('tasks are answered each when it is done, and those that fail with what they throw', async (context) => {
  const { thread, deaths } = threadOf(context);
  const answered: unknown[] = [];
  const waited = thread.run('wait').then((answer) => answered.push(answer));
  answered.push(await thread.run({ some: 'data' }));
  await assert.rejects(thread.run('fail'), { message: 'told to' });
  await assert.rejects(thread.run('uncloned'), /could not be cloned/);
  await thread.run('go');
  await waited;
  assert.deepEqual(answered, [{ some: 'data' }, 'waited']);
  assert.deepEqual(deaths, []);
});

test('a thread that ends rejects all that it had, tells of its death once, and takes no more', async (context) => {
  const { thread, deaths } = threadOf(context);
  const outcomes = Promise.allSettled([thread.run('wait'), thread.run('die'), thread.run('later')]);
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  await waitFor(() => deaths.length > 0, { what: 'its death' });
  await assert.rejects(thread.run('more'), /its thread ended/);
  await thread.destroy();
  assert.equal(deaths.length, 1);
});

test('a thread that is destroyed rejects all that it had, and is no death', async (context) => {
  const { thread, deaths } = threadOf(context);
  const waiting = assert.rejects(thread.run('wait'), { name: 'AbortedError' });
  await thread.destroy();
  await waiting;
  await assert.rejects(thread.run('more'), { name: 'AbortedError' });
  assert.deepEqual(deaths, []);
});

test('a thread keeps the process alive while it has a task, and not beyond', (context) => {
  const { file } = threadOf(context);
  const program = `
    import { TaskThread } from ${here('../../../src/shared/ipc/task-thread.js')};
    const options = { name: 'publisher', file: new URL(${JSON.stringify(pathToFileURL(file).href)}), workerData: {}, maxOldSpaceMb: 64 };
    const thread = new TaskThread({ ...options, onDeath: () => console.log('died') }, console);
    thread.run('answered').then(console.log);`;
  const main = join(dirname(file), 'main.mjs');
  writeFileSync(main, program);
  const { stdout, status } = spawnSync(process.execPath, [main], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(stdout, 'answered\n');
  assert.equal(status, 0);
});

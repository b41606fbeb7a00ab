/** How the suite is run: what is waited for, what is cut, and what is said of the rest. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;
const RUN = resolve('dist/test/run.js');

/** A folder with one compiled test file for each of `texts`; they are started in their order. */
function suiteOf(context: TestContext, texts: readonly string[]): string {
  const cwd = temporaryDirectory(context);
  mkdirSync(join(cwd, 'dist/test'), { recursive: true });
  mkdirSync(join(cwd, 'test'));
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
  const imports = `import { test } from 'node:test';\nimport { setTimeout as delay } from 'node:timers/promises';\n`;
  for (const [index, text] of texts.entries()) {
    writeFileSync(join(cwd, `test/one-${index}.test.ts`), '');
    // The largest is started first.
    const padding = `//${'-'.repeat(1000 * (texts.length - index))}\n`;
    writeFileSync(join(cwd, `dist/test/one-${index}.test.js`), imports + padding + text);
  }
  return cwd;
}

const runIn = (cwd: string, args: readonly string[]) =>
  spawnSync(process.execPath, [RUN, 'one', ...args], { cwd, env: ENV, encoding: 'utf8' });

/** Of `npm test`, in seconds: how long a file may say nothing. */
const QUIET_S = 240;
const patienceFor = (seconds: number): readonly string[] => ['--patience', String(seconds / QUIET_S)];

test('a file is given time for as long as its tests come to an end, however long that takes', (context) => {
  const text = 'for (const n of [1, 2, 3, 4, 5, 6]) test(`slow ${n}`, () => delay(2000));';
  const { status, stdout } = runIn(suiteOf(context, [text]), patienceFor(8));
  assert.equal(status, 0, stdout);
  assert.match(stdout, /6 passed, 0 failed, 0 skipped/);
});

test('a file that stands still is cut and has failed, and what comes after it is run', (context) => {
  const cwd = suiteOf(context, [
    "test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));",
    "test('hangs as well', () => delay(1_000_000));",
    "test('good', () => {});",
  ]);
  const { status, stdout } = runIn(cwd, patienceFor(8));
  assert.equal(status, 1, stdout);
  assert.match(stdout, /one-0\.test\.js was cut: no test began or ended for 8 s; --patience/);
  assert.match(stdout, /one-1\.test\.js was cut/);
  assert.match(stdout, /1 passed, 2 failed, 0 skipped/);
});

test('a run that is interrupted says what it has not run, and calls none of that failed', async (context) => {
  // Four files run at a time: when the good one has ended, four that do not end are under way.
  const slow = (n: number) =>
    `import { writeFileSync } from 'node:fs'; writeFileSync('begun-${n}', ''); test('slow', () => delay(1_000_000));`;
  const cwd = suiteOf(context, [
    "test('good', () => {});",
    slow(1),
    slow(2),
    slow(3),
    slow(4),
    "test('never', () => {});",
  ]);
  const child = spawn(process.execPath, [RUN, 'one'], {
    cwd,
    env: ENV,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  const exit = once(child, 'close');
  const begun = () => [1, 2, 3, 4].every((n) => existsSync(join(cwd, `begun-${n}`)));
  await waitFor(() => stdout.includes('✔ good') && begun(), { what: 'four files to be under way' });
  child.kill('SIGINT');
  const [code] = await within(exit, 30_000, 'the end of the run');
  assert.equal(code, 1);
  assert.match(stdout, /1 passed, 0 failed, 0 skipped\ninterrupted: 4 files cut, 1 files not run/);
});

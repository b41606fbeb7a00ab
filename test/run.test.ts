import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compareVersions } from './interop/build.js';
import { temporaryDirectory } from './support/temporary.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;

/** Runs the suite on one file with `text`. */
function runOn(context: TestContext, text: string): { status: number | null; stdout: string } {
  const cwd = temporaryDirectory(context);
  mkdirSync(join(cwd, 'dist/test'), { recursive: true });
  mkdirSync(join(cwd, 'test'));
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
  writeFileSync(join(cwd, 'test/one.test.ts'), '');
  const imports = "import { describe, test } from 'node:test';\n";
  writeFileSync(join(cwd, 'dist/test/one.test.js'), imports + text);
  return spawnSync(process.execPath, [resolve('dist/test/run.js'), 'one'], {
    cwd,
    env: ENV,
    encoding: 'utf8',
  });
}

test('a suite that passes ends with exit code 0', (context) => {
  const { status, stdout } = runOn(context, "test('good', () => {});");
  assert.equal(status, 0, stdout);
  assert.match(stdout, /1 passed, 0 failed, 0 skipped/);
});

for (const [what, text] of [
  ['a failing test', "test('bad', () => { throw new Error('bad'); });"],
  ['a skipped test', "test('good', () => {}); test.skip('left out', () => {});"],
  ['a test that skips itself', "test('good', () => {}); test('left out', (t) => t.skip('why'));"],
  ['a skipped suite', "test('good', () => {}); describe.skip('left out', () => { test('x', () => {}); });"],
  ['a todo test', "test('good', () => {}); test.todo('left out');"],
  ['a file that ends by itself', "test('good', () => {}); process.exit(3);"],
  ['a file that throws', "test('good', () => {}); throw new Error('bad');"],
] as const) {
  test(`${what} fails the run`, (context) => {
    const { status, stdout } = runOn(context, text);
    assert.equal(status, 1, stdout);
  });
}

test('the tests’ own waits are as patient', async () => {
  const program = `
    const { waitFor } = await import(${JSON.stringify(import.meta.resolve('./support/wait.js'))});
    const began = performance.now();
    await waitFor(() => false, { timeoutMs: 500 }).catch(() => {});
    console.log(performance.now() - began);
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...ENV, TEST_PATIENCE: '4' },
    encoding: 'utf8',
  });
  assert.ok(Number(stdout) >= 2_000, stdout);
});

test('no test at all fails the run', (context) => {
  const cwd = temporaryDirectory(context);
  const { status } = spawnSync(process.execPath, [resolve('dist/test/run.js'), 'one'], { cwd, env: ENV });
  assert.equal(status, 1);
});

test('without Go the interop suite says in one message what to install, and runs nothing', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [resolve('dist/test/run.js'), '--suite', 'interop'],
    { env: { ...ENV, PATH: '' }, encoding: 'utf8' },
  );
  assert.equal(status, 1);
  assert.match(stderr.trim(), /^Go is not on the path: install Go \d+\.\d+\.\d+ or later [^\n]+$/);
  assert.equal(stdout, '');
});

test('versions of Go are compared by their numbers', () => {
  assert.ok(compareVersions('1.9.7', '1.25.7') < 0);
  assert.ok(compareVersions('1.25.6', '1.25.7') < 0);
  assert.equal(compareVersions('1.25.7', '1.25.7'), 0);
  assert.ok(compareVersions('1.26', '1.25.7') > 0);
  assert.ok(compareVersions('1.26rc1', '1.25.7') > 0);
});

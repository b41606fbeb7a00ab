/**
 * Breaks the code one line at a time and shows that the suite notices: in a copy of the tree, for each mutant (see patches.ts),
 * it applies the patch, builds, and runs the tests that must go red.
 *
 * Usage: `npm run mutants [-- <name> …]`; with `--check` it only looks whether each patch applies to one place and names tests that are there. Exits with 1 when a patch does not apply, does not compile, survives, or is noticed
 * by nothing better than a crash or the time bound.
 *
 * `--tests <file>`, as often as there are files (below `test/`, without `.test.ts`, of whichever suite), runs these instead of the mutants' own: what is to notice them in the end, such as
 * `--tests integration/feed-readers cursor-skips-a-frame`. They have half an hour, or `--minutes <n>`; variables such as `SEED` and `FEED_SEEDS` reach them.
 */

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { applyMutant, mutantNames, mutantProblems, readMutant } from './patches.mjs';

/** For the tests of one mutant, which may wait in vain for what is broken; for others, which may be long. */
const TESTS_MS = 120_000;
const OTHER_TESTS_MINUTES = 30;
const COPIED = ['client', 'src', 'test', 'bench', 'bin', 'proto', 'docs', 'package.json', 'tsconfig.json'];

/** The mutants of these names, or all; with the tests that are to notice them, in place of their own where there are any. */
function chosenMutants(names, tests) {
  const all = mutantNames();
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new Error(`no such mutant: ${unknown.join(', ')}; there are ${all.join(', ')}`);
  const missing = tests.filter((test) => !existsSync(`test/${test}.test.ts`));
  if (missing.length > 0) throw new Error(`there is no test ${missing.join(', ')}`);
  const mutants = (names.length === 0 ? all : names).map(readMutant);
  return tests.length === 0 ? mutants : mutants.map((mutant) => ({ ...mutant, tests }));
}

/** A copy of the tree to break, with this one's packages. */
function copyTree() {
  const tree = mkdtempSync(join(tmpdir(), 'mutants-'));
  // What tests leave behind that are ended in the middle. A short path, for there are sockets in it.
  mkdirSync(join(tree, 't'));
  for (const name of COPIED) cpSync(name, join(tree, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
  return tree;
}

/** Builds what changed. Throws with the compiler's words. */
function build(tree) {
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  try {
    for (const project of ['client', '.'])
      execFileSync(process.execPath, [tsc, '-p', project], { cwd: tree, encoding: 'utf8' });
    execFileSync(process.execPath, [join('bin', 'bundle.mjs')], { cwd: tree, encoding: 'utf8' });
  } catch (error) {
    throw new Error(`does not compile: ${String(error.stdout).trim()}`);
  }
}

/** The process group of the tests that run now, so that nothing of them is left behind. */
let group;

function endGroup() {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  group = undefined;
}

/** Runs tests until one fails. `red`: only by a test that failed. */
async function runTests(tree, tests, withinMs) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const files = tests.map((test) => join('dist', 'test', `${test}.test.js`));
  const child = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=tap', ...files], {
    cwd: tree,
    env: { ...env, TMPDIR: join(tree, 't') },
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  group = child.pid;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup();
  }, withinMs);
  let output = '';
  let by;
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk;
    by ??= firstFailure(output);
    if (by !== undefined) endGroup();
  });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  endGroup();
  if (by !== undefined) return { state: 'red', by };
  if (code === 0) return { state: 'green' };
  if (late) return { state: 'late' };
  return { state: 'crashed', how: /^ *error: (.*)$/m.exec(output)?.[1] ?? output.slice(-1000) };
}

/** Name and message of the first test that failed, the innermost; a file that failed as a whole is none. */
function firstFailure(tap) {
  for (const failure of tap.matchAll(/^ *not ok \d+ - ([^\n]*)\n(.*?)^ *\.\.\.$/gms)) {
    const [, name = '', details = ''] = failure;
    if (/\.test\.js$/.test(name)) continue;
    const [, block, line] = /^ *error: (?:\|-\n\s*(.*)|(.*))$/m.exec(details) ?? [];
    return `"${name}" (${(block ?? line ?? '').trim()})`;
  }
  return undefined;
}

/** Tells what noticed the mutant. Throws with the reason when nothing did as it should. */
async function kill(tree, mutant, testsMs) {
  applyMutant(mutant, tree);
  try {
    build(tree);
    const run = await runTests(tree, mutant.tests, testsMs);
    switch (run.state) {
      case 'red':
        return run.by;
      case 'green':
        throw new Error(`SURVIVED ${mutant.tests.join(' ')}`);
      case 'crashed':
        throw new Error(`a test file crashed, but no test failed: ${run.how}`);
      case 'late':
        throw new Error(`no test failed in ${testsMs / 1000} s`);
    }
  } finally {
    applyMutant(mutant, tree, '-R');
  }
}

async function tryAll(tree, mutants, testsMs) {
  const started = performance.now();
  const since = (start) => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  build(tree);
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
  const unbroken = await runTests(tree, tests, testsMs + tests.length * 10_000);
  if (unbroken.state !== 'green') {
    throw new Error(`the suite is not green before anything is broken: ${JSON.stringify(unbroken)}`);
  }
  console.log(`${tests.length} test files are green while nothing is broken, ${since(started)}`);
  let killed = 0;
  for (const [index, mutant] of mutants.entries()) {
    const start = performance.now();
    const tell = (what, why) =>
      console.log(
        `${`[${index + 1}/${mutants.length}]`.padEnd(8)} ${what} ${mutant.name}, ${since(start)}: ${mutant.breaks}\n${' '.repeat(9)}${why}`,
      );
    try {
      tell('killed', `by ${await kill(tree, mutant, testsMs)}`);
      killed++;
    } catch (error) {
      tell('FAILED', error.message);
    }
  }
  console.log(`${killed} killed, ${mutants.length - killed} not, ${since(started)}`);
  return killed === mutants.length;
}

async function main() {
  const { values, positionals } = parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      tests: { type: 'string', multiple: true, default: [] },
      minutes: { type: 'string', default: String(OTHER_TESTS_MINUTES) },
    },
    allowPositionals: true,
  });
  if (values.check) {
    const problems = mutantProblems();
    for (const problem of problems) console.error(problem);
    if (problems.length > 0) process.exitCode = 1;
    return;
  }
  const mutants = chosenMutants(positionals, values.tests);
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error('--minutes wants a number such as 30');
  const testsMs = values.tests.length === 0 ? TESTS_MS : minutes * 60_000;
  const tree = copyTree();
  const clean = () => {
    endGroup();
    // The tests' processes may still be on their way out.
    rmSync(tree, { recursive: true, force: true, maxRetries: 10 });
  };
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      clean();
      process.exit(130);
    });
  }
  try {
    if (!(await tryAll(tree, mutants, testsMs))) process.exitCode = 1;
  } finally {
    clean();
  }
}

await main();

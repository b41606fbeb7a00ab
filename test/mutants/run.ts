/**
 * Breaks the code one line at a time and shows that the suite notices. Each `test/mutants/<name>.patch` begins with a line
 * that says what it breaks and a `Tests:` line naming the test files that must go red; then a diff of one line.
 *
 * Usage: `npm run mutants [-- <name> …]`. Exits with 1 when a patch does not apply, does not compile, or survives.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Mutant {
  readonly name: string;
  readonly breaks: string;
  readonly tests: readonly string[];
  readonly patch: string;
}

/** Longer than any test file takes; a mutant that hangs its tests is noticed too. */
const TEST_TIMEOUT_MS = 180_000;
const PATCHES = 'test/mutants';
const COPIED = ['src', 'test', 'bench', 'bin', 'proto', 'docs', 'package.json', 'tsconfig.json', 'README.md'];

function readMutants(names: readonly string[]): Mutant[] {
  const all = readdirSync(PATCHES)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => file.slice(0, -'.patch'.length))
    .sort();
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new Error(`no such mutant: ${unknown.join(', ')}; there are ${all.join(', ')}`);
  return all.filter((name) => names.length === 0 || names.includes(name)).map(readMutant);
}

function readMutant(name: string): Mutant {
  const patch = resolve(PATCHES, `${name}.patch`);
  const lines = readFileSync(patch, 'utf8').split('\n');
  const tests =
    lines
      .find((line) => line.startsWith('Tests: '))
      ?.slice('Tests: '.length)
      .split(' ') ?? [];
  const changed = (sign: string) =>
    lines.filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3)));
  if (tests.length === 0) throw new Error(`${name}: names no tests`);
  if (changed('+').length > 1 || changed('-').length !== 1)
    throw new Error(`${name}: is not a change of one line`);
  return { name, breaks: lines[0] ?? '', tests, patch };
}

/** A copy of the tree to break, with this one's packages. */
function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'teranode-p2p-mutants-'));
  for (const name of COPIED) cpSync(name, join(tree, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
  return tree;
}

function build(tree: string): void {
  execFileSync(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], {
    cwd: tree,
  });
}

interface TestRun {
  readonly red: boolean;
  /** Name of the first test that failed. */
  readonly first: string;
}

function runTests(tree: string, tests: readonly string[]): TestRun {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const files = tests.map((test) => join('dist', 'test', `${test}.test.js`));
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], {
    cwd: tree,
    env,
    encoding: 'utf8',
    timeout: TEST_TIMEOUT_MS,
    maxBuffer: 256 * 1024 * 1024,
  });
  // The innermost failure is told first.
  const first =
    /^\s*not ok \d+ - (.*)$/m.exec(stdout ?? '')?.[1] ?? (status === null ? 'the time bound' : 'the run');
  return { red: status !== 0, first };
}

function tryMutant(tree: string, mutant: Mutant): string | undefined {
  try {
    execFileSync('git', ['apply', mutant.patch], { cwd: tree, stdio: 'pipe' });
  } catch (error) {
    return `does not apply: ${String((error as { stderr?: Buffer }).stderr)}`;
  }
  try {
    try {
      build(tree);
    } catch (error) {
      return `does not compile: ${String((error as { stdout?: Buffer }).stdout)}`;
    }
    const { red, first } = runTests(tree, mutant.tests);
    if (!red) return `SURVIVED ${mutant.tests.join(' ')}`;
    console.log(`killed    ${mutant.name}: ${mutant.breaks}\n          by "${first}"`);
    return undefined;
  } finally {
    execFileSync('git', ['apply', '-R', mutant.patch], { cwd: tree });
  }
}

function main(): void {
  const mutants = readMutants(process.argv.slice(2));
  const tree = copyTree();
  try {
    build(tree);
    const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
    console.log(`unbroken: ${tests.length} files of tests`);
    const baseline = runTests(tree, tests);
    if (baseline.red) throw new Error(`the suite is red before anything is broken: ${baseline.first}`);
    const failures = mutants.flatMap((mutant) => {
      const failure = tryMutant(tree, mutant);
      if (failure === undefined) return [];
      console.log(`FAILED    ${mutant.name}: ${mutant.breaks}\n          ${failure}`);
      return [mutant.name];
    });
    console.log(`${mutants.length - failures.length} killed, ${failures.length} not`);
    process.exitCode = failures.length > 0 ? 1 : 0;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

main();

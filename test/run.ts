/**
 * Runs the suite on the compiled files and says plainly how it went: every `dist/test/**` file except those that need more
 * than npm packages. A skipped or todo test is a failure, and so is a run past its time bound.
 *
 * Usage: `npm test [-- <part of a path> …]`; `--suite browser`, `kafka`, `interop`, `endurance` or `nightly` runs one of the others instead.
 *
 * The endurance suite needs npm packages alone too: whole processes are started, stopped, killed, misused and flooded, as often
 * as it takes. That would make `npm test` longer than the fifteen minutes that it promises on a slow machine. It goes one file at a time, for
 * a flood shares the machine with nobody; so does the kafka suite, as each file has brokers of its own.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BuildError, buildNeighbour } from './interop/build.js';

interface Bounds {
  /** The whole run. */
  readonly runMs: number;
  readonly fileMs: number;
  /** Files at once. */
  readonly concurrency: number;
}

/** `npm test` promises fifteen minutes, building and reporting included; a suite that nothing is said of has as long. */
const BOUNDS: Bounds = { runMs: 840_000, fileMs: 240_000, concurrency: 2 };
const SUITE_BOUNDS: Readonly<Record<string, Bounds>> = {
  kafka: { runMs: 1_200_000, fileMs: 480_000, concurrency: 1 },
  endurance: { runMs: 1_500_000, fileMs: 480_000, concurrency: 1 },
  nightly: { runMs: 7_200_000, fileMs: 3_600_000, concurrency: 1 },
};
/** Suites that are a folder: what needs a browser, a broker, other programs, addresses, fixed ports or a long time. */
const FOLDERS = ['browser', 'kafka', 'interop', 'namespaces', 'nightly', 'proxies', 'smoke'];
const ENDURANCE =
  /^(bench|bin|main\/(cli|devnet))\/|^workers\/notification-server(-crowds|\/pings)\.|^integration\/(clock|costly-messages|dead-peers|deaths|first-frame|flood|hanging-broker|hostile-clients|lifecycle|log|open-files|process|refused-starts|rotated-certificates|taken-directory)\./;
const COVERAGE = 'coverage';
/** Where files that share a process are named, and which folders' do. */
const GROUPS = join('dist', 'test', 'groups');
const SHARING = /^(shared|workers|main)\b/;
/** Compiled size of the files of one process: some ten files. */
const GROUP_BYTES = 60_000;

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** The suite of a path below `dist/test`; undefined for what `npm test` runs. */
function suiteOf(path: string): string | undefined {
  const [folder = ''] = path.split('/', 1);
  if (FOLDERS.includes(folder)) return folder;
  return ENDURANCE.test(path) ? 'endurance' : undefined;
}

/**
 * The longest first: a long file that comes last runs alone while the other places stand empty. A file's size tells near enough
 * how long it takes, and needs no list that grows old; by name the last ones would be as good as any.
 */
function testFiles(suite: string | undefined, parts: readonly string[]): string[] {
  const root = join('dist', 'test');
  if (!existsSync(root)) return [];
  // Who names a part means it, whichever of the two suites that need nothing else it is in.
  const suites = suite === undefined && parts.length > 0 ? [undefined, 'endurance'] : [suite];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js') && suites.includes(suiteOf(path.replaceAll('\\', '/'))))
    .map((path) => join(root, path))
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
    .filter((path) => existsSync(path.replace(/^dist./, '').replace(/\.js$/, '.ts')))
    .map((path) => ({ path, bytes: statSync(path).size }))
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ path }) => path);
}

/**
 * The same tests in fewer processes: small files of one folder share one. Loading the libraries costs each process up to 1.7 s of CPU time,
 * which was a quarter of the suite's. Whole servers have their files to themselves.
 */
function grouped(files: readonly string[]): string[] {
  rmSync(GROUPS, { recursive: true, force: true });
  mkdirSync(GROUPS);
  const alone: string[] = [];
  const groups = new Map<string, { folder: string; files: string[]; bytes: number }[]>();
  for (const file of files) {
    const folder = dirname(relative(join('dist', 'test'), file));
    const { size } = statSync(file);
    if (!SHARING.test(folder) || size > GROUP_BYTES / 2) {
      alone.push(file);
      continue;
    }
    const ofFolder = groups.get(folder) ?? [];
    groups.set(folder, ofFolder);
    const open = ofFolder.find(({ bytes }) => bytes + size <= GROUP_BYTES);
    if (open === undefined) ofFolder.push({ folder, files: [file], bytes: size });
    else {
      open.files.push(file);
      open.bytes += size;
    }
  }
  const made = [...groups.values()].flatMap((ofFolder) =>
    ofFolder.map(({ folder, files: members }, index) => {
      const path = join(GROUPS, `${folder.replaceAll(/[\\/]/g, '-')}-${index + 1}.js`);
      const lines = members.map((member) => `await import(${JSON.stringify(pathToFileURL(member).href)});`);
      writeFileSync(path, `${lines.join('\n')}\n`);
      return path;
    }),
  );
  // First, for they take longest.
  return [...made, ...alone];
}

async function runFiles(
  files: string[],
  signal: AbortSignal,
  { fileMs: timeout, concurrency }: Bounds,
): Promise<Totals> {
  const totals = new Map<string, number>();
  const stream = run({ files, concurrency, timeout, signal });
  stream.on('test:diagnostic', ({ message, nesting }) => {
    const counted = /^(tests|pass|fail|cancelled) (\d+)$/.exec(message);
    if (nesting === 0 && counted) totals.set(counted[1] ?? '', Number(counted[2]));
  });
  let broken = 0;
  // Counted one by one: the totals leave out suites, and a skipped suite hides every test in it.
  let skipped = 0;
  stream.on('test:pass', (event) => {
    if (isLeftOut(event)) skipped++;
  });
  stream.on('test:fail', (event) => {
    broken++;
    if (isLeftOut(event)) skipped++;
  });
  const report = stream.compose(new spec());
  for await (const chunk of report) process.stdout.write(chunk as string);
  const count = (name: string) => totals.get(name) ?? 0;
  return {
    passed: count('pass'),
    failed: Math.max(count('fail') + count('cancelled'), Math.min(broken, 1)),
    skipped,
  };
}

/** Skipped or todo, with a reason or without. */
function isLeftOut({ skip, todo }: { skip?: string | boolean; todo?: string | boolean }): boolean {
  return (skip ?? false) !== false || (todo ?? false) !== false;
}

function reportCoverage(): void {
  const { status } = spawnSync(
    process.execPath,
    [
      join('node_modules', 'c8', 'bin', 'c8.js'),
      'report',
      `--temp-directory=${join(COVERAGE, 'tmp')}`,
      `--reports-dir=${COVERAGE}`,
      '--reporter=text-summary',
      '--reporter=lcovonly',
      '--exclude-after-remap',
      '--include=src/**',
      '--exclude=src/shared/generated/**',
    ],
    { stdio: 'inherit' },
  );
  if (status !== 0) console.log('coverage could not be reported');
}

function boundsOf(suite: string | undefined): Bounds {
  if (suite === undefined) return BOUNDS;
  return SUITE_BOUNDS[suite] ?? { ...BOUNDS, fileMs: BOUNDS.runMs };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { suite: { type: 'string' } },
    allowPositionals: true,
  });
  const files = testFiles(values.suite, positionals);
  if (files.length === 0) {
    console.log('no test files');
    process.exitCode = 1;
    return;
  }
  if (values.suite === 'interop') await buildNeighbour();
  const covered = values.suite === undefined && positionals.length === 0;
  if (covered) {
    rmSync(COVERAGE, { recursive: true, force: true });
    process.env.NODE_V8_COVERAGE = join(process.cwd(), COVERAGE, 'tmp');
  }
  const bounds = boundsOf(values.suite);
  const began = performance.now();
  const bound = AbortSignal.timeout(bounds.runMs);
  let { passed, failed, skipped } = await runFiles(covered ? grouped(files) : files, bound, bounds);
  delete process.env.NODE_V8_COVERAGE;
  const seconds = Math.round((performance.now() - began) / 1000);
  if (covered) reportCoverage();
  if (bound.aborted) {
    console.log(`the run was cut after ${bounds.runMs / 1000} s`);
    failed = Math.max(failed, 1);
  }
  if (skipped > 0) console.log('skipped and todo tests count as failures');
  console.log(`\nthe run took ${seconds} s of ${bounds.runMs / 1000} s`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed > 0 || skipped > 0 || passed === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}

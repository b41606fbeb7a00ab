/**
 * Runs the suite on the compiled files and says plainly how it went: every `dist/test/**` file except those that need more
 * than npm packages. A skipped or todo test is a failure, and so is a file that says nothing for its bound; a run that is interrupted
 * says what it has not run.
 *
 * Usage: `npm test [-- <part of a path> …]`; `--suite browser`, `documents`, `kafka`, `interop`, `endurance` or `nightly` runs one of the others instead.
 * `--bundle` takes servers and nodes that run within the tests' own processes from `dist/app`, as they are shipped; whole processes are from there anyway.
 * `--patience 3` makes every bound three times as long, those of the tests' own waits too: for a machine that has much else to do.
 *
 * The endurance suite needs npm packages alone too: whole servers and processes are started, stopped, killed, misused and flooded, as often
 * as it takes. That would make `npm test` longer than is good for something that is run all the time. It goes one file at a time, for
 * a flood shares the machine with nobody; so does the kafka suite, as each file has brokers of its own.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BuildError, buildNeighbour } from './interop/build.js';

interface Bounds {
  /** A file in which no test begins or ends for so long is cut. */
  readonly quietMs: number;
  /** Files at once. */
  readonly concurrency: number;
}

/** Twice as many files as two cores take: most tests wait for a time or a peer longer than they work. */
const BOUNDS: Bounds = { quietMs: 240_000, concurrency: 4 };
/** What a suite has unless it is among those below. */
const SUITE: Bounds = { ...BOUNDS, concurrency: 3 };
const SUITE_BOUNDS: Readonly<Record<string, Bounds>> = {
  kafka: { quietMs: 480_000, concurrency: 1 },
  endurance: { quietMs: 480_000, concurrency: 1 },
  interop: { quietMs: 480_000, concurrency: 2 },
  operators: { quietMs: 480_000, concurrency: 2 },
  nightly: { quietMs: 3_600_000, concurrency: 1 },
};
/** Suites that are a folder: what needs a browser, a broker, other programs, addresses, fixed ports or a long time. */
const FOLDERS = [
  'browser',
  'documents',
  'image',
  'kafka',
  'interop',
  'namespaces',
  'nightly',
  'operators',
  'package',
  'place',
  'proxies',
  'smoke',
];
const ENDURANCE =
  /^(bench|bin|integration|main\/(cli|devnet))\/|^workers\/(checker\.|event-streams-crowds\.|websocket-server(-crowds|\/(pings|stalled-streams))\.)/;
const COVERAGE = 'coverage';
/** Where files that share a process are named, and which folders' do. */
const GROUPS = join('dist', 'test', 'groups');
const SHARING = /^(shared|workers|main)\b/;
/** Compiled size of the files of one process: some ten files. */
const GROUP_BYTES = 60_000;

/** Of a run: tests, and the files that were begun and not ended, or not begun. */
interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  cut: number;
  notRun: number;
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

/** `shared`, `workers`, or a folder of `main`. */
function partOf(path: string): string {
  const [top = '', room = ''] = dirname(path).split(sep);
  return top === 'main' ? join(top, room) : top;
}

/**
 * The same tests in fewer processes: small files of one part of the tree share one. Loading the libraries costs each process up to 1.7 s of CPU time,
 * which was a quarter of the suite's. Whole servers have their files to themselves.
 */
function grouped(files: readonly string[]): string[] {
  rmSync(GROUPS, { recursive: true, force: true });
  mkdirSync(GROUPS);
  const alone: string[] = [];
  const groups = new Map<string, { folder: string; files: string[]; bytes: number }[]>();
  for (const file of files) {
    const folder = partOf(relative(join('dist', 'test'), file));
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

/** What `run` tells. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly nesting: number;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
  };
}

interface FileEnd {
  passed: number;
  failed: number;
  skipped: number;
  /** Ended by `stop`, so that what it says of itself means nothing. */
  stopped: boolean;
}

/** Runs one file in a process of its own. It is cut, and has failed, when it says nothing for `quietMs`; `stop` cuts it too. */
async function runFile(
  file: string,
  { quietMs, stop, tell }: { quietMs: number; stop: AbortSignal; tell: (event: TestEvent) => void },
): Promise<FileEnd> {
  const end: FileEnd = { passed: 0, failed: 0, skipped: 0, stopped: false };
  const quiet = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => quiet.abort(), quietMs);
  };
  heard();
  const signal = AbortSignal.any([quiet.signal, stop]);
  // No bound but ours: a slow machine is not a hanging test.
  const stream = run({ files: [file], concurrency: 1, timeout: Number.POSITIVE_INFINITY, signal });
  let broken = 0;
  for await (const event of stream as AsyncIterable<TestEvent>) {
    heard();
    const { type, data } = event;
    const counted = type === 'test:diagnostic' && data.nesting === 0 ? COUNT.exec(data.message ?? '') : null;
    if (counted !== null) {
      if (counted[1] === 'pass') end.passed += Number(counted[2]);
      if (counted[1] === 'fail' || counted[1] === 'cancelled') end.failed += Number(counted[2]);
      continue;
    }
    if (type === 'test:summary') continue;
    // Counted one by one: the totals leave out suites, and a skipped suite hides every test in it.
    if ((type === 'test:pass' || type === 'test:fail') && isLeftOut(data)) end.skipped++;
    if (type === 'test:fail') broken++;
    if (!stop.aborted) tell(event);
  }
  clearTimeout(timer);
  end.stopped = stop.aborted;
  end.failed = Math.max(end.failed, Math.min(broken, 1));
  if (quiet.signal.aborted) {
    end.failed = Math.max(end.failed, 1);
    const message = `${file} was cut: no test began or ended for ${quietMs / 1000} s; --patience 3 waits three times as long`;
    tell({ type: 'test:diagnostic', data: { nesting: 0, message } });
  }
  return end;
}

/** Lines of `run` that count tests; the rest of its closing lines goes with them, for they are of one file. */
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

/**
 * Runs `files`, some at once, and shows them one after the other: one as it goes, the others when it is done. `stop` ends the run; what has not begun by
 * then is not run.
 */
async function runFiles(files: readonly string[], stop: AbortSignal, bounds: Bounds): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, cut: 0, notRun: 0 };
  const events = new PassThrough({ objectMode: true });
  const shown = (async () => {
    for await (const chunk of events.compose(new spec())) process.stdout.write(chunk as string);
  })();
  /** Begun and not all shown, the first of which is shown as it goes. */
  const begun: { held: TestEvent[]; ended: boolean }[] = [];
  const show = (): void => {
    for (let [first] = begun; first !== undefined; [first] = begun) {
      for (const event of first.held.splice(0)) events.write(event);
      if (!first.ended) return;
      begun.shift();
    }
  };
  const waiting = [...files];
  const runOnes = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if (stop.aborted) {
        totals.notRun++;
        continue;
      }
      const one = { held: [] as TestEvent[], ended: false };
      begun.push(one);
      const tell = (event: TestEvent): void => {
        one.held.push(event);
        show();
      };
      const { passed, failed, skipped, stopped } = await runFile(file, {
        quietMs: bounds.quietMs,
        stop,
        tell,
      });
      one.ended = true;
      show();
      totals.passed += passed;
      totals.skipped += skipped;
      if (stopped) totals.cut++;
      else totals.failed += failed;
    }
  };
  await Promise.all(Array.from({ length: bounds.concurrency }, runOnes));
  events.end();
  await shown;
  return totals;
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

function boundsOf(suite: string | undefined, patience: number): Bounds {
  const { quietMs, concurrency } = suite === undefined ? BOUNDS : (SUITE_BOUNDS[suite] ?? SUITE);
  return { quietMs: quietMs * patience, concurrency };
}

/** Aborted by Ctrl-C, or by who has had enough of the run; a second time ends it at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      suite: { type: 'string' },
      patience: { type: 'string', default: '1' },
      bundle: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const patience = Number(values.patience);
  if (!(patience > 0)) throw new BuildError('--patience wants a number such as 3');
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
  // Go nodes meet what is shipped.
  if (values.bundle || values.suite === 'interop') process.env.TEST_BUNDLE = '1';
  // For the waits in the tests.
  process.env.TEST_PATIENCE = String(patience);
  const began = performance.now();
  const stop = stopSignal();
  const { passed, failed, skipped, cut, notRun } = await runFiles(
    covered ? grouped(files) : files,
    stop,
    boundsOf(values.suite, patience),
  );
  delete process.env.NODE_V8_COVERAGE;
  const seconds = Math.round((performance.now() - began) / 1000);
  if (covered && !stop.aborted) reportCoverage();
  if (skipped > 0) console.log('skipped and todo tests count as failures');
  console.log(`\nthe run took ${seconds} s`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (cut + notRun > 0) console.log(`interrupted: ${cut} files cut, ${notRun} files not run`);
  process.exitCode = failed + skipped + cut + notRun > 0 || passed === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}

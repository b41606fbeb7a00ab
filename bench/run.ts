/**
 * `npm run bench`: every benchmark, or those named, one after the other; a table, and a file with the machine's
 * description. Exit code 1 when one failed or dropped anything, 2 when it was called wrongly. Missing an aim is no failure.
 */

import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.js';
import { machineLine, resultLines, summaryLines } from './report.js';
import type { Benchmark, BenchmarkOptions, BenchmarkResult } from './result.js';
import { markdownOf } from './tables.js';

interface Entry {
  readonly what: string;
  load(): Promise<Benchmark>;
}

const BENCHMARKS: ReadonlyMap<string, Entry> = new Map([
  ['P0', { what: 'the whole server beside the Go reference', load: () => import('./whole-server.js') }],
  ['P1', { what: 'gossip to outbox, Kafka and WebSocket', load: () => import('./gossip.js') }],
  ['P2', { what: 'WebSocket fan-out', load: () => import('./websocket-fanout.js') }],
  [
    'P3',
    { what: 'what one message costs, apart from an idle server', load: () => import('./one-message.js') },
  ],
  ['P4', { what: 'ban check against a million bans', load: () => import('./ban-check.js') }],
  ['P5', { what: 'a stalled WebSocket client', load: () => import('./stalled-client.js') }],
  ['P6', { what: 'memory, idle, with many, and under lasting load', load: () => import('./memory.js') }],
  ['P7', { what: 'how late the main thread is', load: () => import('./event-loop.js') }],
  ['P8', { what: 'P1 with more checkers, and on more cores', load: () => import('./checkers.js') }],
  [
    'P10',
    { what: 'records into Kafka beside Kafka’s own producer', load: () => import('./kafka-producing.js') },
  ],
  ['P9', { what: 'start to ready', load: () => import('./start.js') }],
  ['P11', { what: 'replay from the journal', load: () => import('./replay.js') }],
  ['P12', { what: 'filters', load: () => import('./filters.js') }],
  ['P13', { what: 'bytes and CPU of each rendering', load: () => import('./renderings.js') }],
  ['P14', { what: 'server-sent events beside a WebSocket', load: () => import('./events.js') }],
  ['P15', { what: 'gateways on one broker', load: () => import('./gateways.js') }],
  ['J', { what: 'the journal alone', load: () => import('./journal.js') }],
]);

/** A first impression. */
const QUICK = { runs: 3, seconds: 8 };

const USAGE = `Usage: npm run bench -- [ID …] [options]

${[...BENCHMARKS].map(([id, { what }]) => `  ${id}  ${what}`).join('\n')}

Options:
  --seconds N    length of each run, where a benchmark runs by time (P0: 60, P1: 30, P3: 10, P7: 20, P8: 10, P10: 4,
                 P13, P14: 5, P15: 10),
                 and of P6's lasting load (600)
  --runs N       runs of each contestant (5); the table shows the median and the spread
  --quick        ${QUICK.runs} runs of ${QUICK.seconds} s, unless the two before say otherwise
  --rates N,N    messages a second (P0: 100,1000,4000,8000, P3: 100,1000; P6 and P7 take the first: half of P1's)
  --against DIR  P0: the built checkout in DIR as well, in turns with this one
  --beside FILE  P0: a program with the flags of bench/reference as well, in turns with this server
  --name NAME    the results' file: bench/results/NAME.json (default: the ids, then .local)
  --output DIR   another folder for it
  --table FILE   measures nothing: prints the tables of docs/performance.md from such a file
  --help

Examples:
  npm run bench                                all of it: about two hours and a half
  npm run bench -- P0 --quick                  the whole server, a first impression: about ten minutes
  npm run bench -- P0 --quick --rates 1000 --against ../before
  npm run bench -- --table bench/results/2-cores-quiet.json
`;

class UsageError extends Error {}

interface Order {
  readonly ids: readonly string[];
  readonly options: Omit<BenchmarkOptions, 'progress'>;
  readonly file: { readonly folder: string; readonly name: string };
}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 3600) {
    throw new UsageError(`--${name} takes a whole number from 1 to 3600, not ${JSON.stringify(text)}`);
  }
  return value;
}

function ratesOf(text: string | undefined): number[] | undefined {
  return text?.split(',').map((each) => {
    const rate = Number(each);
    if (!Number.isInteger(rate) || rate < 1 || rate > 100_000) {
      throw new UsageError(`--rates takes whole numbers from 1 to 100000, not ${JSON.stringify(each)}`);
    }
    return rate;
  });
}

/** The path, made absolute. */
function programAt(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    accessSync(path, constants.X_OK);
    if (statSync(path).isFile()) return resolve(path);
  } catch {
    // Said below.
  }
  throw new UsageError(`--beside takes a program that can be run, not ${path}`);
}

/** The folder, made absolute. */
function buildIn(folder: string | undefined): string | undefined {
  if (folder === undefined) return undefined;
  if (!existsSync(join(folder, 'dist', 'src', 'main', 'cli', 'index.js'))) {
    throw new UsageError(`--against takes a checkout that is built: there is no dist/ in ${folder}`);
  }
  return resolve(folder);
}

function orderOf(args: string[]): Order | { readonly table: string } | undefined {
  const text = { type: 'string' } as const;
  const parsed = (() => {
    try {
      return parseArgs({
        args,
        allowPositionals: true,
        options: {
          ...{ help: { type: 'boolean' }, quick: { type: 'boolean' } },
          ...{ seconds: text, runs: text, rates: text, against: text, beside: text },
          ...{ name: text, output: text, table: text },
        },
      });
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  })();
  const { values, positionals } = parsed;
  if (values.help === true) return undefined;
  if (values.table !== undefined) return { table: values.table };
  const ids = positionals.map((id) => id.toUpperCase());
  const unknown = ids.find((id) => !BENCHMARKS.has(id));
  if (unknown !== undefined) {
    throw new UsageError(`there is no benchmark ${unknown}; there are ${[...BENCHMARKS.keys()].join(', ')}`);
  }
  if (values.name !== undefined && !/^[\w.-]+$/.test(values.name)) {
    throw new UsageError('--name takes letters, digits, dots, dashes and underscores');
  }
  const quick = values.quick === true ? QUICK : undefined;
  const given = {
    runs: count('runs', values.runs) ?? quick?.runs,
    seconds: count('seconds', values.seconds) ?? quick?.seconds,
    rates: ratesOf(values.rates),
    against: buildIn(values.against),
    beside: programAt(values.beside),
  };
  return {
    ids: ids.length > 0 ? [...new Set(ids)] : [...BENCHMARKS.keys()],
    options: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    file: {
      folder: values.output ?? join('bench', 'results'),
      name: values.name ?? `${ids.length > 0 ? [...new Set(ids)].join('-') : 'all'}.local`,
    },
  };
}

function resultsIn(path: string): BenchmarkResult[] {
  try {
    const { results } = JSON.parse(readFileSync(path, 'utf8')) as { results?: BenchmarkResult[] };
    if (Array.isArray(results)) return results;
  } catch {
    // Said below.
  }
  throw new UsageError(`--table takes a file that a benchmark has written, not ${path}`);
}

/** On a terminal one line that is written over, elsewhere a line each. */
function progressOf(id: string): { tell(text: string): void; clear(): void } {
  const { stderr } = process;
  return {
    tell: (text) => stderr.write(stderr.isTTY ? `\r\x1b[K${id}  ${text} …` : `${id}  ${text} …\n`),
    clear: () => {
      if (stderr.isTTY) stderr.write('\r\x1b[K');
    },
  };
}

async function runAll({ ids, options, file }: Order): Promise<number> {
  const machine = describeMachine();
  console.log(`${machineLine(machine)}\n`);
  const results: BenchmarkResult[] = [];
  const failed: string[] = [];
  mkdirSync(file.folder, { recursive: true });
  const path = join(file.folder, `${file.name}.json`);
  for (const id of ids) {
    const progress = progressOf(id);
    progress.tell('starting');
    try {
      const benchmark = await BENCHMARKS.get(id)?.load();
      const result = await benchmark?.run({ ...options, progress: progress.tell });
      progress.clear();
      if (result === undefined) continue;
      results.push(result);
      if (result.dropped > 0) failed.push(id);
      console.log(`${resultLines(result).join('\n')}\n`);
      // After each, so that what was measured survives an interruption.
      const { against, beside, ...shown } = options;
      const told = {
        ...shown,
        ...(against === undefined ? {} : { against: true }),
        ...(beside === undefined ? {} : { beside: true }),
      };
      writeFileSync(path, `${JSON.stringify({ machine, options: told, results }, null, 2)}\n`);
    } catch (error) {
      progress.clear();
      failed.push(id);
      console.error(`${id}  failed:`, error);
    }
  }
  if (results.length > 0) console.log(`${summaryLines(results).join('\n')}\n\nwritten to ${path}`);
  const notRun = results.flatMap(({ notRun: parts = [] }) => parts).length;
  if (notRun > 0) console.log(`not run for what this machine lacks: ${notRun}`);
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}

try {
  const order = orderOf(process.argv.slice(2));
  if (order === undefined) console.log(USAGE);
  else if ('table' in order) console.log(markdownOf(resultsIn(order.table)).join('\n'));
  else process.exitCode = await runAll(order);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}

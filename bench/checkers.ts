/** P8: P1 from one publisher with 1, 2 and 3 checkers, on cores of their own where there are enough, and what 4 to 16 cores would take by a model. */

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { Senders, type Target } from './gossip/arena.js';
import { type FlatOut, flatOut, SIGNED_A_SECOND, WARM_UP_MS } from './gossip/flat-out.js';
import { treeOf } from './processes.js';
import { gossipTopic } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 10;
const CHECKERS = [1, 2, 3];
const MODELLED_CORES = [4, 6, 8, 12, 16];
/** The main thread, what else the server runs, and the sender. */
const CORES_BESIDE = 3;
/** A thread that is on a core for this part of the time can do no more. */
const SATURATED = 0.9;
/** In threads of its own only for the load of a benchmark; where it is real, it is another machine's. */
const BROKER = 'embedded broker';
const OWN = 'Node’s own threads';

/** µs a message of each stage. Those of the checkers are shared by all of them; Node's own threads run anywhere. */
export type Stages = Readonly<Record<string, number>>;

export interface Modelled {
  /** Messages a second. */
  readonly rate: number;
  /** The stage that is at its end, or `cores`. */
  readonly limit: string;
}

/** What the stages could take on so many cores: no thread more than one core, all together no more than there are. */
export function modelOf(stages: Stages, { cores, checkers }: { cores: number; checkers: number }): Modelled {
  const total = Object.values(stages).reduce((sum, cost) => sum + cost, 0);
  const bounds: Modelled[] = Object.entries(stages)
    .filter(([stage]) => stage !== OWN)
    .map(([stage, cost]) => ({
      limit: stage,
      rate: (1e6 * (stage === 'checkers' ? Math.min(checkers, cores) : 1)) / cost,
    }));
  return bounds.reduce((least, bound) => (bound.rate < least.rate ? bound : least), {
    limit: 'cores',
    rate: (1e6 * cores) / total,
  });
}

/** Puts a thread of the system's, or with `all` every thread of a process, on some cores alone. False where that cannot be done. */
export function pin(id: number, cores: readonly number[], all = false): boolean {
  const args = [all ? '-apc' : '-pc', cores.join(','), String(id)];
  return spawnSync('taskset', args, { stdio: 'ignore' }).status === 0;
}

/** Main on the first core, a checker on each of the next, the sender on the last, and all else of the server between. */
function place(target: Target, senders: Senders, checkers: number): boolean {
  const last = availableParallelism() - 1;
  const rest = Array.from({ length: last - checkers - 1 }, (_, index) => checkers + 1 + index);
  const threads = target.threads('checkers');
  return [
    threads.length === checkers,
    ...treeOf(target.pid).map((pid) => pin(pid, rest, true)),
    ...threads.map((thread, index) => pin(thread, [1 + index])),
    pin(target.pid, [0]),
    ...senders.pids.map((pid) => pin(pid, [last], true)),
  ].every(Boolean);
}

const median = (samples: readonly number[]): number => figureOf('', '', samples).median;

function stagesOf(samples: readonly FlatOut[], sender: boolean): Stages {
  const roles = [...new Set(samples.flatMap(({ cpu }) => Object.keys(cpu)))];
  const entries = roles.map((role) => [role, median(samples.map(({ cpu }) => cpu[role] ?? 0))] as const);
  return {
    ...Object.fromEntries(entries.filter(([role]) => sender || role !== BROKER)),
    ...(sender ? { sender: median(samples.map(({ senderCpu }) => senderCpu)) } : {}),
  };
}

function limitOf(samples: readonly FlatOut[], checkers: number): string {
  const middle = [...samples].sort((a, b) => a.rate - b.rate)[samples.length >> 1];
  const busy = Object.entries(middle?.busy ?? {})
    .filter(([role]) => role !== OWN)
    .map(([role, part]) => [role, role === 'checkers' ? part / checkers : part] as const)
    .sort(([, one], [, other]) => other - one);
  const shares = busy.map(([role, part]) => `${role} ${Math.round(part * 100)} %`).join(', ');
  const [first] = busy;
  return first !== undefined && first[1] >= SATURATED
    ? `${first[0]} is saturated (of a core each: ${shares})`
    : `no thread is saturated: the cores are shared out (of a core each: ${shares})`;
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, progress } = options;
  const cores = availableParallelism();
  const messages = SIGNED_A_SECOND.publisher * (seconds + WARM_UP_MS / 1000);
  progress(`signing ${messages.toLocaleString('en-US')} messages`);
  const senders = await Senders.prepare(gossipTopic('subtree'), { messages });
  const measured = new Map<number, FlatOut[]>(CHECKERS.map((checkers) => [checkers, []]));
  const pinned = new Set<number>();
  try {
    for (let count = 1; count <= runs; count++) {
      for (const checkers of CHECKERS) {
        progress(`run ${count} of ${runs}, ${checkers} checkers, ${seconds} s`);
        const enough = cores >= checkers + CORES_BESIDE;
        const prepare = (target: Target, load: Senders) => {
          if (enough && place(target, load, checkers)) pinned.add(checkers);
        };
        const sample = await flatOut('server', senders, {
          seconds,
          changes: { p2p_checkers: checkers },
          prepare,
        });
        measured.get(checkers)?.push(sample);
      }
    }
  } finally {
    senders.close();
  }
  const of = (checkers: number): FlatOut[] => measured.get(checkers) ?? [];
  const rates = CHECKERS.map((checkers) => median(of(checkers).map(({ rate }) => rate)));
  const alone = of(1);
  const here = stagesOf(alone, true);
  const elsewhere = stagesOf(alone, false);
  const modelled = MODELLED_CORES.map((number) => ({
    number,
    ...modelOf(elsewhere, { cores: number, checkers: Math.max(2, number - 1) }),
  }));
  const named = (checkers: number) => `${checkers} checker${checkers === 1 ? '' : 's'}`;
  const modelFigure = (name: string, value: number): Figure => figureOf(name, 'messages/s', [value]);
  return {
    id: 'P8',
    title: 'P1 from one publisher with more checkers, and on more cores',
    figures: [
      ...CHECKERS.map((checkers) =>
        figureOf(
          named(checkers),
          'messages/s',
          of(checkers).map(({ rate }) => rate),
        ),
      ),
      ...Object.keys(here).map((stage) =>
        figureOf(
          `1 checker: ${stage}`,
          'CPU µs/message',
          alone.map(({ cpu, senderCpu }) => (stage === 'sender' ? senderCpu : (cpu[stage] ?? 0))),
        ),
      ),
      ...CHECKERS.map((checkers) =>
        modelFigure(
          `model of ${cores} cores and the sender on them, ${named(checkers)}`,
          modelOf(here, { cores, checkers }).rate,
        ),
      ),
      ...modelled.map(({ number, rate }) =>
        modelFigure(`model of ${number} cores, the sender elsewhere`, rate),
      ),
    ],
    ratios: [
      ...CHECKERS.slice(1).map((checkers, index) => ({
        name: `messages/s with ${named(checkers)} to 1`,
        value: (rates[index + 1] ?? Number.NaN) / (rates[0] ?? Number.NaN),
      })),
      ...CHECKERS.map((checkers, index) => ({
        name: `measured to the model, ${named(checkers)}`,
        value: (rates[index] ?? Number.NaN) / modelOf(here, { cores, checkers }).rate,
      })),
    ],
    dropped: [...measured.values()].flat().reduce((total, { dropped }) => total + dropped, 0),
    notes: [
      ...CHECKERS.map(
        (checkers) =>
          `${named(checkers)}, ${pinned.has(checkers) ? 'each on a core of its own' : `not on cores of their own, for which ${checkers + CORES_BESIDE} cores and taskset are needed`}: ${limitOf(of(checkers), checkers)}`,
      ),
      ...modelled.map(({ number, limit }) => `model of ${number} cores: what ends first is ${limit}`),
      'the model: CPU µs a message of each thread with one checker; no thread has more than one core, all together no more than there are, and checkers are one less than cores; without the sender and the embedded broker on more cores than here; it knows nothing of shared caches, of batches that grow, or of clocks that fall when all cores work',
    ],
  };
}

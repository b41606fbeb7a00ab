/** A Piscina of fixed size. */

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { MAX_YOUNG_MB } from '../../shared/process/heap.js';

export interface WorkerPoolOptions {
  /** Label in logs and metrics. */
  readonly name: string;
  readonly file: URL;
  readonly threads: number;
  /** Plain data for the worker's birth. */
  readonly workerData: unknown;
  readonly concurrentTasks: number;
  /** MB of old space a thread; a thread past it dies alone. */
  readonly maxOldSpaceMb: number;
  readonly onDeath: () => void;
}

/**
 * Piscina asks `require` before `import`. A thread that is terminated while `require` instantiates an ES module aborts the whole
 * process (Node 20.20: "Module::IsGraphAsync must be used on an instantiated module"), about once in a hundred pools destroyed
 * while they start; with `import` the thread alone ends. Node before 20.17 has neither the fault nor the switch. A list takes the
 * place of the process's own options here; those in NODE_OPTIONS still hold.
 */
const EXEC_ARGV = process.allowedNodeEnvironmentFlags.has('--experimental-require-module')
  ? ['--no-experimental-require-module']
  : undefined;

/** A new pool. Its event loop is not blocked between tasks, or timers and sockets in it would stand still. */
export function createPool(options: WorkerPoolOptions, logger: Logger): Piscina {
  const pool = new Piscina({
    filename: fileURLToPath(options.file),
    minThreads: options.threads,
    maxThreads: options.threads,
    concurrentTasksPerWorker: options.concurrentTasks,
    atomics: 'disabled',
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    closeTimeout: 5000,
    ...(EXEC_ARGV && { execArgv: EXEC_ARGV }),
    resourceLimits: { maxOldGenerationSizeMb: options.maxOldSpaceMb, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
    workerData: options.workerData,
  });
  pool.on('workerCreate', () => lastLoaded.set(pool, monotonic()));
  const threads = new Set<Promise<unknown>>();
  ending.set(pool, threads);
  pool.on('workerDestroy', ({ id }: { readonly id: number }) => {
    // The id of a thread that has ended is -1.
    const thread = pool.threads.find(({ threadId }) => threadId === id && id !== -1);
    if (thread !== undefined) {
      const end: Promise<unknown> = thread.terminate().finally(() => threads.delete(end));
      threads.add(end);
    }
    options.onDeath();
  });
  pool.on('error', (error: unknown) => logger.error({ err: error, pool: options.name }, 'worker failed'));
  return pool;
}

/** Of each pool the threads that it was told to end, or saw die, and that may still run. */
const ending = new WeakMap<Piscina, Set<Promise<unknown>>>();

/**
 * Ends `pool`. Resolves when none of its threads runs any more, those included that Piscina has put aside; from the call on none begins. Piscina's own
 * `destroy` does not wait for a thread that an abort ended, and when that is gone at last it begins another, which nobody ends.
 */
export async function endPool(pool: Piscina): Promise<void> {
  pool.options.minThreads = 0;
  pool.options.maxThreads = 0;
  await pool.destroy();
  await Promise.all(ending.get(pool) ?? []);
}

/** When the last thread that took another's place had loaded (monotonic). */
const lastLoaded = new WeakMap<Piscina, number>();
/** Pools of which a thread has answered: Piscina takes those that it begins with for ready before they have loaded. */
const loaded = new WeakSet<Piscina>();

/** When a thread of `pool` had last loaded (monotonic); undefined while none has. */
export function readyAt(pool: Piscina): number | undefined {
  return loaded.has(pool) && pool.threads.length > 0 ? (lastLoaded.get(pool) ?? 0) : undefined;
}

/** A thread of `pool` has answered. */
export function hasAnswered(pool: Piscina): void {
  loaded.add(pool);
}

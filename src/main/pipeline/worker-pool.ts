/** What checker and publisher pools share: a Piscina of fixed size that is built anew when it cannot respawn. */

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Logger } from '../../shared/logging.js';

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
    resourceLimits: { maxOldGenerationSizeMb: options.maxOldSpaceMb },
    workerData: options.workerData,
  });
  pool.on('workerDestroy', options.onDeath);
  pool.on('error', (error: unknown) => logger.error({ err: error, pool: options.name }, 'worker failed'));
  return pool;
}

/** Backoff before attempt `failures` + 1, in ms: 100, 200, … 5,000. */
export function backoffMs(failures: number): number {
  return Math.min(5000, 100 * 2 ** Math.min(failures, 10));
}

/** Failures in a row, without an answer between, after which a pool counts as unable to respawn. */
export const FAILURES_UNTIL_FAILED = 5;

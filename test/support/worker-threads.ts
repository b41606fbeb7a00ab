/** The threads that this process starts, as they come, so that a test can end them without a word. */

import type { TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';

export interface WorkerThreads {
  /** Threads that live and may take as much old space, in MB: how checkers and publisher are told apart. */
  withOldSpace(megabytes: number): readonly Worker[];
}

export const CHECKER_MB = 256;
export const PUBLISHER_MB = 1024;

/** Call it before the server starts. */
export function watchWorkerThreads(context: Pick<TestContext, 'after'>): WorkerThreads {
  const alive = new Map<Worker, number>();
  const seen = (worker: Worker): void => {
    alive.set(worker, worker.resourceLimits?.maxOldGenerationSizeMb ?? 0);
    worker.once('exit', () => alive.delete(worker));
  };
  process.on('worker', seen);
  context.after(() => {
    process.off('worker', seen);
  });
  return {
    withOldSpace: (megabytes) =>
      [...alive].flatMap(([worker, limit]) => (limit === megabytes ? [worker] : [])),
  };
}

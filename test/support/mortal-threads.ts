/**
 * Loaded into a server's process (`NODE_OPTIONS=--import=<this file>`): with SIGUSR2 its publisher's thread is ended without a word, with SIGWINCH one of its
 * checkers'.
 */

import { isMainThread, type Worker } from 'node:worker_threads';
import { CHECKER_MB, PUBLISHER_MB } from './worker-threads.js';

if (isMainThread) {
  const alive = new Map<Worker, number>();
  process.on('worker', (worker) => {
    alive.set(worker, worker.resourceLimits?.maxOldGenerationSizeMb ?? 0);
    worker.once('exit', () => alive.delete(worker));
  });
  const end = (megabytes: number) => () => {
    const [victim] = [...alive].find(([, limit]) => limit === megabytes) ?? [];
    victim?.terminate().catch(() => {});
  };
  process.on('SIGUSR2', end(PUBLISHER_MB));
  process.on('SIGWINCH', end(CHECKER_MB));
}

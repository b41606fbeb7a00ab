/** The thread of the embedded broker, watched over by main. */

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { BrokerConfig, BrokerOrder, BrokerReport } from '../../shared/pipeline/worker-config.js';
import { MAX_YOUNG_MB } from '../../shared/process/heap.js';

const THREAD = new URL('../../workers/broker.js', import.meta.url);
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
const STOP_MS = 2000;

/**
 * A thread that dies is replaced with a growing pause in between. Its records are gone with it, as `memory://` says;
 * producers make their topics again and consumers join anew.
 */
export class EmbeddedBrokerThread {
  readonly #logger: Logger;
  #config: BrokerConfig;
  readonly #stopping = new AbortController();
  #worker: Worker | undefined;
  #running: Promise<void> | undefined;
  #failure = 'not started';

  constructor({ logger }: { logger: Logger }, config: BrokerConfig) {
    this.#logger = logger;
    this.#config = config;
  }

  /** Resolves when the broker serves. Rejects when it cannot at once, such as with an unusable socket path. */
  async start(): Promise<void> {
    const ended = await this.#spawn();
    this.#running = this.#watch(ended.exit);
  }

  /** Resolves when the thread serves, with a promise of its end. */
  async #spawn(): Promise<{ exit: Promise<string> }> {
    const { heapMb } = this.#config;
    const worker = new Worker(THREAD, {
      workerData: this.#config,
      name: 'broker',
      resourceLimits: {
        maxYoungGenerationSizeMb: MAX_YOUNG_MB,
        ...(heapMb === undefined ? {} : { maxOldGenerationSizeMb: heapMb }),
      },
    });
    this.#worker = worker;
    let reason = '';
    worker.on('error', (error) => {
      reason = error.message;
    });
    const exit = new Promise<string>((resolve) => {
      worker.once('exit', (code) => resolve(reason || `exit code ${code}`));
    });
    const report = await Promise.race([
      new Promise<BrokerReport>((resolve) => worker.once('message', resolve)),
      exit.then((error): BrokerReport => ({ error })),
    ]);
    if ('error' in report) {
      await worker.terminate();
      this.#failure = report.error;
      throw new Error(`the embedded broker cannot start: ${report.error}`);
    }
    this.#failure = '';
    return { exit };
  }

  async #watch(first: Promise<string>): Promise<void> {
    const { signal } = this.#stopping;
    let exit = first;
    let backoff = FIRST_BACKOFF_MS;
    for (;;) {
      const startedAt = performance.now();
      this.#failure = await exit;
      if (signal.aborted) return;
      if (performance.now() - startedAt > 60_000) backoff = FIRST_BACKOFF_MS;
      this.#logger.error(
        { reason: this.#failure, retryInMs: backoff },
        'the embedded broker died: its records are lost, a new one starts',
      );
      await delay(backoff, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
      ({ exit } = await this.#spawn().catch((error: Error) => ({
        exit: Promise.resolve(error.message),
      })));
    }
  }

  /** Of the thread that runs now and of those that replace it. */
  setLevel(logLevel: string): void {
    this.#config = { ...this.#config, logLevel };
    this.#worker?.postMessage({ level: logLevel } satisfies BrokerOrder);
  }

  async health(): Promise<DependencyHealth> {
    const resource = 'embedded broker';
    return this.#failure === ''
      ? { resource, status: 200, message: 'serves' }
      : { resource, status: 503, error: this.#failure, message: 'starts again' };
  }

  /** Ends the thread, by force after 2 s. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const worker = this.#worker;
    if (worker === undefined) return;
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    if (worker.threadId === -1) return;
    worker.postMessage('stop' satisfies BrokerOrder);
    const patience = new AbortController();
    await Promise.race([gone, delay(STOP_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    await worker.terminate();
    await this.#running;
  }
}

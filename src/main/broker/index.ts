/** The thread of the embedded broker, watched over by main. */

import { Worker } from 'node:worker_threads';
import type { DependencyHealth } from '../../shared/health.js';
import { goneWithin } from '../../shared/ipc/ending.js';
import { Supervisor, type SupervisorOptions } from '../../shared/ipc/supervisor.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { BrokerConfig, BrokerOrder, BrokerReport } from '../../shared/pipeline/worker-config.js';
import { MAX_YOUNG_MB } from '../../shared/process/heap.js';

const THREAD = new URL('../../workers/broker.js', import.meta.url);
const RESTART: SupervisorOptions = { backoff: { firstMs: 100, maxMs: 5_000 }, steadyMs: 60_000 };
const STOP_MS = 2000;

/**
 * A thread that dies is replaced with a growing pause in between. Its records are gone with it, as `memory://` says;
 * producers make their topics again and consumers join anew.
 */
export class EmbeddedBrokerThread {
  #config: BrokerConfig;
  readonly #supervisor: Supervisor;
  #worker: Worker | undefined;
  /** Of the thread that was begun last. */
  #exit: Promise<string> | undefined;
  #failure = 'not started';

  constructor({ logger }: { logger: Logger }, config: BrokerConfig) {
    this.#config = config;
    this.#supervisor = new Supervisor(
      {
        begin: () => this.#begin(),
        onEnd: ({ why, retryInMs }) => {
          this.#failure = why;
          logger.error(
            { reason: why, retryInMs },
            'the embedded broker died: its records are lost, a new one starts',
          );
        },
      },
      RESTART,
    );
  }

  /** Resolves when the broker serves. Rejects when it cannot at once, such as with an unusable socket path. */
  async start(): Promise<void> {
    await this.#begin();
  }

  /** Resolves when the thread serves. */
  async #begin(): Promise<void> {
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
    this.#exit = exit;
    // It reports that it serves or that it cannot, or ends without a word.
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
    this.#supervisor.serves();
    void exit.then((why) => {
      this.#failure = why;
      this.#supervisor.ended(why);
    });
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
    const stopped = this.#supervisor.stop();
    const worker = this.#worker;
    if (worker !== undefined && this.#exit !== undefined) {
      worker.postMessage('stop' satisfies BrokerOrder);
      await goneWithin(this.#exit, STOP_MS, () => worker.terminate());
    }
    await stopped;
  }
}

/** A thread that is given tasks, many at a time: what of a pool is left where there is one thread, at a third less CPU time for a task and its answer. */

import { Worker } from 'node:worker_threads';
import { monotonic } from '../clock.js';
import { AbortedError } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import { MAX_YOUNG_MB } from '../process/heap.js';
import { Correlator } from './correlator.js';
import type { TaskAnswer, TaskQuestion } from './task-answers.js';

export interface TaskThreadOptions {
  /** In logs. */
  readonly name: string;
  /** Calls `answerTasks`. */
  readonly file: URL;
  /** Plain data for its birth. */
  readonly workerData: unknown;
  /** MB of old space; past it the thread dies alone. */
  readonly maxOldSpaceMb: number;
  /** It ended, and not by `destroy`. Told after its tasks. */
  readonly onDeath: (reason: string) => void;
}

/** It is not replaced when it ends: that is for whoever made it. While it has no task it does not keep the process alive. */
export class TaskThread {
  readonly #worker: Worker;
  readonly #tasks = new Correlator<unknown>();
  #readyAt: number | undefined;
  /** Why it takes no more tasks. */
  #over: Error | undefined;

  constructor({ name, file, workerData, maxOldSpaceMb, onDeath }: TaskThreadOptions, logger: Logger) {
    this.#worker = new Worker(file, {
      name,
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: maxOldSpaceMb, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
    });
    this.#worker.unref();
    let reason = 'its thread ended';
    this.#worker.on('message', (answer: TaskAnswer) => this.#answered(answer));
    this.#worker.on('error', (error) => {
      logger.error({ err: error, pool: name }, 'worker failed');
      reason = `its thread ended: ${error.message}`;
    });
    this.#worker.on('exit', () => {
      const destroyed = this.#over !== undefined;
      this.#end(new Error(reason));
      if (!destroyed) onDeath(reason);
    });
  }

  /** When it first answered (monotonic): before, it may still load. */
  get readyAt(): number | undefined {
    return this.#readyAt;
  }

  /** Rejects with what the task throws, and when the thread ends before its answer. */
  run(task: unknown): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return this.#tasks.ask((id) => {
      this.#worker.postMessage({ id, task } satisfies TaskQuestion);
      if (this.#tasks.size === 1) this.#worker.ref();
    });
  }

  /** Ends it in the midst of whatever it does. Resolves when it is gone, which a call to the system in it can put off. */
  async destroy(): Promise<void> {
    this.#end(new AbortedError('the thread was ended'));
    await this.#worker.terminate();
  }

  #answered(answer: TaskAnswer): void {
    this.#readyAt ??= monotonic();
    if ('error' in answer) this.#tasks.refuse(answer.id, answer.error);
    else this.#tasks.answer(answer.id, answer.result);
    if (this.#tasks.size === 0) this.#worker.unref();
  }

  #end(why: Error): void {
    this.#over ??= why;
    this.#tasks.refuseAll(this.#over);
  }
}

/** A thread that is given tasks, many at a time: what of a pool is left where there is one thread, at a third less CPU time for a task and its answer. */

import { Worker } from 'node:worker_threads';
import { monotonic } from '../../shared/clock.js';
import { AbortedError } from '../../shared/errors.js';
import type { TaskAnswer, TaskQuestion } from '../../shared/ipc/task-answers.js';
import type { Logger } from '../../shared/logging/logger.js';
import { MAX_YOUNG_MB } from '../../shared/process/heap.js';

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

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** It is not replaced when it ends: that is for whoever made it. While it has no task it does not keep the process alive. */
export class TaskThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
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
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      const question: TaskQuestion = { id: this.#next++, task };
      this.#worker.postMessage(question);
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(question.id, { resolve, reject });
    });
  }

  /** Ends it in the midst of whatever it does. Resolves when it is gone, which a call to the system in it can put off. */
  async destroy(): Promise<void> {
    this.#end(new AbortedError('the thread was ended'));
    await this.#worker.terminate();
  }

  #answered(answer: TaskAnswer): void {
    this.#readyAt ??= monotonic();
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('error' in answer) waiting.reject(answer.error);
    else waiting.resolve(answer.result);
  }

  #end(why: Error): void {
    this.#over ??= why;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(this.#over);
  }
}

/** A thread's side of `TaskThread` (task-thread.ts). */

import { parentPort } from 'node:worker_threads';
import { errorMessage } from '../errors.js';

export interface TaskQuestion {
  readonly id: number;
  readonly task: unknown;
}

export type TaskAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: unknown };

/** Of any error what every error can be cloned with: a DOMException, as of a deadline, would come as an empty object. */
function plain(error: unknown): Error {
  const { stack } = error instanceof Error ? error : {};
  return Object.assign(new Error(errorMessage(error)), stack === undefined ? {} : { stack });
}

/** Answers every task that this thread is given, each when it is done: with what `run` returns, cloned, or the text and stack of what it throws. */
export function answerTasks<T>(run: (task: T) => unknown): void {
  const answer = async ({ id, task }: TaskQuestion): Promise<void> => {
    try {
      parentPort?.postMessage({ id, result: await run(task as T) } satisfies TaskAnswer);
    } catch (error) {
      parentPort?.postMessage({ id, error: plain(error) } satisfies TaskAnswer);
    }
  };
  parentPort?.on('message', (question: TaskQuestion) => void answer(question));
}

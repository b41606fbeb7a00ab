/** When a thread that was given a task counts as hung. */

import { monotonic } from '../clock.js';

/** Some 0.5 s on an idle machine. */
const BIRTH_MS = 60_000;

export interface TaskTimes {
  /** Milliseconds until the answer must be there. */
  readonly taskMs: number;
  /**
   * Milliseconds until a thread must have loaded.
   * @default 60_000
   */
  readonly birthMs?: number | undefined;
}

/**
 * Calls `late` once when what was given to a thread now is not answered in time, with the reason. Before a thread has loaded (`readyAt`, monotonic) nothing is
 * answered, and on a busy machine that takes a while: this time does not count, up to `birthMs`. Returns how to end the watch.
 */
export function watchTask(
  readyAt: () => number | undefined,
  { taskMs, birthMs = BIRTH_MS }: TaskTimes,
  late: (why: string) => void,
): () => void {
  const given = monotonic();
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const ready = readyAt();
    const until = ready === undefined ? given + birthMs : Math.max(given, ready) + taskMs;
    // Others that die and come back meanwhile do not keep one that hangs.
    const left = Math.min(until, given + birthMs + taskMs) - monotonic();
    if (left > 0) timer = setTimeout(look, Math.min(left, taskMs));
    else if (ready === undefined) late(`no thread loaded within ${birthMs / 1000} s`);
    else late(`no answer within ${taskMs / 1000} s`);
  };
  timer = setTimeout(look, Math.min(taskMs, birthMs));
  return () => clearTimeout(timer);
}

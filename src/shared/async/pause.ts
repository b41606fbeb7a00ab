/** Waiting for time to pass. */

import { setTimeout as delay } from 'node:timers/promises';

export interface PauseOptions {
  /** Ends the pause. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the pause keeps the process alive.
   * @default true
   */
  readonly ref?: boolean;
}

/** Resolves after `ms` milliseconds with true, or with false as soon as the signal is aborted. Never rejects. */
export function pause(ms: number, options: PauseOptions = {}): Promise<boolean> {
  return delay(ms, true, options).catch(() => false);
}

/** Trying again what failed. */

import { AbortedError } from '../errors.js';
import { type BackoffPolicy, backoffMs } from './backoff.js';
import { pause } from './pause.js';

/** An attempt that failed and is followed by another. */
interface FailedAttempt {
  readonly error: unknown;
  /** Counted from 1. */
  readonly attempt: number;
  /** Milliseconds until the next. */
  readonly waitMs: number;
}

export interface RetryOptions {
  /** The waits between attempts; a number: always so many milliseconds. */
  readonly backoff: BackoffPolicy | number;
  /**
   * Attempts at the most.
   * @default Number.POSITIVE_INFINITY
   */
  readonly attempts?: number;
  /** Ends the waits, and with them the attempts. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether to try again after this failure.
   * @default always
   */
  readonly retryable?: (failed: FailedAttempt) => boolean;
  /** Told of each failure that is followed by another attempt, before the wait. */
  readonly onRetry?: (failed: FailedAttempt) => void;
}

/**
 * What `work` resolves with, tried again for as long as it rejects. Rejects with what the last attempt rejected with, where no other follows, and with AbortedError
 * once the signal is aborted.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { backoff, attempts = Number.POSITIVE_INFINITY, signal, retryable, onRetry } = options;
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw new AbortedError('given up before it was tried');
    try {
      return await work(attempt);
    } catch (error) {
      const waitMs = typeof backoff === 'number' ? backoff : backoffMs(backoff, attempt);
      const failed: FailedAttempt = { error, attempt, waitMs };
      if (attempt >= attempts || retryable?.(failed) === false) throw error;
      if (!signal?.aborted) onRetry?.(failed);
      if (!(await pause(waitMs, { signal }))) throw new AbortedError('given up', { cause: error });
    }
  }
}

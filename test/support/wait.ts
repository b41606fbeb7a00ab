/** Waiting for what is to happen, with a deadline instead of a sleep. */

import { setTimeout as delay } from 'node:timers/promises';

/** How many times as long as they say these waits wait: `npm test -- --patience 3`. */
export const PATIENCE = Number(process.env.TEST_PATIENCE ?? 1);

export interface WaitOptions {
  /** Milliseconds until the wait fails; 30,000 unless told: a bound for what never comes, not for a busy machine. */
  readonly timeoutMs?: number;
  /** What is waited for, for the error. */
  readonly what?: string;
  /** Milliseconds between two looks; 10 unless told. */
  readonly everyMs?: number;
}

/** Resolves with the first truthy value that `look` gives; rejects at the deadline. */
export async function waitFor<T>(
  look: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<NonNullable<T>> {
  const { what = 'condition', everyMs = 10 } = options;
  const timeoutMs = (options.timeoutMs ?? 30_000) * PATIENCE;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value) return value as NonNullable<T>;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await delay(everyMs);
  }
}

/** `promise`, or a rejection after `boundMs`. */
export async function within<T>(promise: Promise<T>, boundMs: number, what: string): Promise<T> {
  const timeoutMs = boundMs * PATIENCE;
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} took longer than ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

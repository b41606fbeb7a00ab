/** Waiting for what is to happen, with a deadline instead of a sleep. */

import { setTimeout as delay } from 'node:timers/promises';

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
  const { timeoutMs = 30_000, what = 'condition', everyMs = 10 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value) return value as NonNullable<T>;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await delay(everyMs);
  }
}

/** `promise`, or a rejection after `timeoutMs`. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
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

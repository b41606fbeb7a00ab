/** Signals that end a wait. */

const hold = (): void => {};

/**
 * Aborts after `ms` milliseconds, with a TimeoutError, or with the first of `others`. `AbortSignal.any` of a bare `AbortSignal.timeout` does
 * not do: in Node 20 nothing holds that one, so it is collected as garbage, and the wait never ends. A listener holds it.
 */
export function deadlineSignal(ms: number, ...others: readonly (AbortSignal | undefined)[]): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  timeout.addEventListener('abort', hold, { once: true });
  return AbortSignal.any([timeout, ...others.filter((signal) => signal !== undefined)]);
}

/** SIGINT and SIGTERM stop once, a second one ends at once. */

/**
 * A Ctrl-C reaches every process of the terminal's group, and a parent such as npm passes it on besides: what comes within
 * this many milliseconds is the same wish.
 */
const SAME_WISH_MS = 1000;

/** Calls `stop` with the first signal, exits with 128 + its number at a second. Returns how to let go of them. */
export function onStopSignals(stop: (signal: NodeJS.Signals) => void): () => void {
  let first = 0;
  const handle = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (first === 0) {
      first = now;
      stop(signal);
    } else if (now - first > SAME_WISH_MS) {
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}

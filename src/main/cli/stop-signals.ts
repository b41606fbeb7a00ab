/** SIGINT, SIGTERM and SIGHUP stop once, a second one ends at once. */

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

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
      process.exit(128 + constants.signals[signal]);
    }
  };
  const signals: NodeJS.Signals[] = hangUpsIgnored()
    ? ['SIGINT', 'SIGTERM']
    : ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}

/** Whether whoever started this process, such as nohup, wants it to outlive its terminal; where that cannot be told, not. */
function hangUpsIgnored(): boolean {
  try {
    const [, mask = '0'] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}

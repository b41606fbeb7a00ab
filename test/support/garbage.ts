/** What a test needs to tell memory that is held from memory that waits for the collector. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Said once: the flag can be set at run time, and a new context then has the function.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that this thread holds on to: its heap and its buffers, after a full collection. */
export function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

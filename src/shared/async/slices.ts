/** Long work on a thread that others wait for. */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Between two turns of the event loop. */
const SLICE_MS = 5;

/** All items, with turns of the event loop between slices. */
export async function inSlices<T>(items: Iterable<T>): Promise<T[]> {
  const all: T[] = [];
  let began = performance.now();
  for (const item of items) {
    all.push(item);
    if (performance.now() - began < SLICE_MS) continue;
    await nextTurn();
    began = performance.now();
  }
  return all;
}

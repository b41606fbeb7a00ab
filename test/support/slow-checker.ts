/** The checkers' program, of whose threads every third takes 20 ms longer for each batch. */

import { threadId } from 'node:worker_threads';
import type { CheckTask } from '../../src/shared/pipeline/worker-config.js';
import check from '../../src/workers/checker.js';

export default function slowly(task: CheckTask): unknown {
  const until = performance.now() + (threadId % 3 === 0 ? 20 : 0);
  while (performance.now() < until);
  return check(task);
}

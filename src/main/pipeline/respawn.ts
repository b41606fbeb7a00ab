/** How the threads of the pipeline are replaced. */

import type { SupervisorOptions } from '../../shared/ipc/supervisor.js';

/** An answer makes the next failure a first one; after five without one between, liveness says that it cannot respawn. */
export const RESPAWN: SupervisorOptions = {
  backoff: { firstMs: 100, maxMs: 5_000 },
  failedAfter: 5,
};

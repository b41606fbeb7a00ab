/** Whether main is about to run out of open files. */

import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { DESCRIPTOR_LIMIT, mainShares, openDescriptors } from '../../shared/process/descriptors.js';

/** Free descriptors below which dials, stores and answers begin to fail. */
const LEAST_FREE = 16;

/** For readiness. */
export function descriptorHealth(open = openDescriptors(), limit = DESCRIPTOR_LIMIT): DependencyHealth {
  const resource = 'open files';
  if (limit === Number.POSITIVE_INFINITY) return { resource, status: 200, message: 'no limit is known' };
  const message = `${open} of ${limit}`;
  return limit - open >= LEAST_FREE
    ? { resource, status: 200, message }
    : { resource, status: 503, error: 'open files run out: raise the limit (ulimit -n)', message };
}

/** At the start. `peers`: inbound connections of peers at the most, by the settings. */
export function warnOfDescriptors(logger: Logger, peers: number, limit = DESCRIPTOR_LIMIT): void {
  const shares = mainShares(limit);
  if (peers <= shares.peers) return;
  logger.warn(
    { limit, peers: shares.peers, wanted: peers },
    'the limit of open files (ulimit -n) is too low for p2p_max_connections: fewer peers are let in',
  );
}

/** The end of what is no part. */

import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';

/** Closes one after the other. Never rejects; gives the names of those that failed. */
export async function closeAll(
  logger: Logger,
  all: Readonly<Record<string, () => unknown>>,
): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const [name, close] of Object.entries(all)) {
    try {
      await close();
    } catch (error) {
      failed.push(name);
      logger.warn({ part: name, reason: errorMessage(error) }, 'did not close cleanly');
    }
  }
  return failed;
}

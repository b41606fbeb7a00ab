/** Whether an earlier release left an outbox: looked at by each start, so that what makes a journal of it is loaded by the first alone. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Names in `DATADIR`: what an earlier release leaves, and what an upgrade that was interrupted does. */
export const LEFT = { old: 'outbox', importing: 'journal.importing', imported: 'outbox.imported' } as const;

export const isUpgradeDue = (directory: string): boolean =>
  Object.values(LEFT).some((name) => existsSync(join(directory, name)));

/**
 * The epoch: in which sequence numbers are never given twice. A process that dies loses nothing that LevelDB has handed to
 * the system, but a machine that does may lose the end of it, sequence numbers included, that others have seen. So what was
 * written without waiting for the disk is marked with the machine's boot; if it is found after another one, without having
 * been closed in order, the sequence goes on in a new epoch.
 */

import { randomBytes } from 'node:crypto';
import type { Logger } from '../logging.js';
import type { Operation, OutboxDatabase } from './database.js';
import { FORMAT } from './format.js';
import * as keys from './keys.js';

/** All that was ever answered is on the disk. */
const SAFE = 'safe';

export interface EpochOptions {
  /** Whether every write waits for the disk. */
  readonly fsync: boolean;
  readonly boot: string;
}

const mark = ({ fsync, boot }: EpochOptions): Operation => ({
  type: 'put',
  key: keys.UNSYNCED_KEY,
  value: Buffer.from(fsync ? SAFE : boot),
});

/** The epoch to go on in, with a write that waits for the disk; a new database becomes one of the present format. */
export async function settleEpoch(
  level: OutboxDatabase,
  options: EpochOptions & { readonly logger: Logger },
): Promise<string> {
  const epoch = (await level.get(keys.EPOCH_KEY))?.toString();
  const unsynced = (await level.get(keys.UNSYNCED_KEY))?.toString() ?? SAFE;
  const whole = unsynced === SAFE || unsynced === options.boot;
  if (epoch !== undefined && whole) {
    await level.batch([mark(options)], { sync: true });
    return epoch;
  }
  const next = randomBytes(8).toString('hex');
  if (epoch !== undefined) {
    options.logger.warn(
      { epoch: next },
      'the machine went down with the outbox open, and its last writes may be lost: a new epoch begins',
    );
  }
  await level.batch(
    [
      { type: 'put', key: keys.FORMAT_KEY, value: Buffer.from(String(FORMAT)) },
      { type: 'put', key: keys.EPOCH_KEY, value: Buffer.from(next) },
      mark(options),
    ],
    { sync: true },
  );
  return next;
}

/** Puts everything on the disk, before the database is closed in order. */
export async function markWhole(level: OutboxDatabase): Promise<void> {
  await level.batch([mark({ fsync: true, boot: '' })], { sync: true });
}

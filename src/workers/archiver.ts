/**
 * A process that archives what there is to archive of the journal, at the lowest priority, and ends. It owns nothing: killed at any moment it leaves what the next
 * removes.
 */

import { statfsSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { Archiver } from '../shared/archive/archiver.js';
import type { ArchiverConfig, ArchiverReport } from '../shared/archive/control.js';
import { steadyLibraries } from '../shared/clock.js';
import { errorMessage } from '../shared/errors.js';
import { CURSOR_SCHEMES } from '../shared/firehose/cursor-schemes.js';
import { createLogger } from '../shared/logging/logger.js';

steadyLibraries();

/** Free space that is left to others. */
const SPARED_BYTES = 128 * 1_048_576;

/** `clientName` is its one argument. */
const logger = createLogger({ level: 'info', node: process.argv[2], component: 'archiver' });

function report(message: ArchiverReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

/** Throws where the disk has too little space for what `bytes` of a segment become, which is less. */
function wantSpace(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  if (free < bytes + SPARED_BYTES)
    throw new Error(`the disk has ${Math.floor(free / 1_048_576)} MiB left, which are for the journal`);
}

async function work({ directory, cursors, logLevel }: ArchiverConfig): Promise<void> {
  logger.level = logLevel;
  const archiver = new Archiver({
    directory,
    scheme: CURSOR_SCHEMES[cursors],
    by: process.pid,
    progress: () => void report({ type: 'progress' }),
  });
  archiver.sweep();
  for (const segment of archiver.due()) {
    wantSpace(directory, segment.bytes);
    const made = await archiver.archive(segment);
    if (made === undefined) continue;
    const { first, frames, bytes, gaps } = made;
    logger.debug({ segment: first, frames, bytes }, 'a segment of the journal is archived');
    if (gaps.length > 0)
      logger.warn({ segment: first, gaps }, 'a segment is archived without damaged frames');
    await report({ type: 'progress' });
  }
  await report({ type: 'done' });
}

try {
  setPriority(constants.priority.PRIORITY_LOW);
} catch (error) {
  logger.debug({ err: error }, 'the priority stays as it is');
}
process.on('disconnect', () => process.exit(0));
process.once('message', (config: ArchiverConfig) => {
  work(config)
    .catch((error: unknown) => report({ type: 'failed', reason: errorMessage(error) }))
    .finally(() => process.exit(0));
});

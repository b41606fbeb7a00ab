/** The archive of the journal. */

import { Archive } from '../../shared/archive/archive.js';
import type { ArchiveSegment } from '../../shared/archive/segment.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { Archiving, type ArchivingOptions } from './archiving.js';
import { createArchiveMetrics } from './metrics.js';

/** Of the journal in `directory`, absolute, asked at each look, for it may become another. */
export function archiving(
  { settings, loggers, registry }: PartContext,
  { directory, cursors }: Pick<ArchivingOptions, 'directory' | 'cursors'>,
): Part {
  const name = 'archive';
  if (!settings.p2p_feed_archive) return { name };
  const logger = loggers.of('archive');
  let archive = { of: '', list: (): readonly ArchiveSegment[] => [] };
  const list = (): readonly ArchiveSegment[] => {
    const of = directory();
    if (of !== archive.of) {
      const found = new Archive({ directory: of });
      archive = { of, list: () => found.list() };
    }
    try {
      return archive.list();
    } catch (error) {
      // A directory that is gone has no archive; whoever watches over it says so.
      logger.debug({ err: error }, 'the archive cannot be looked at');
      return [];
    }
  };
  const work = new Archiving(
    { logger, metrics: createArchiveMetrics(registry, list) },
    { directory, cursors, logLevel: loggers.level, node: settings.clientName },
  );
  return {
    name,
    ready: () => work.start(),
    stop: () => work.stop(),
    health: [{ resource: name, check: () => work.health() }],
    setLogLevel: (level) => work.setLevel(level),
  };
}

/** The archive of the journal. */

import { resolve } from 'node:path';
import { Archive } from '../../shared/archive/archive.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { Archiving } from './archiving.js';
import { createArchiveMetrics } from './metrics.js';

/** `dataDirectory`: DATADIR. */
export function archiving(
  { settings, loggers, registry }: PartContext,
  dataDirectory: { file(name: string): string },
): Part {
  const name = 'archive';
  if (!settings.p2p_feed_archive) return { name };
  const directory = resolve(dataDirectory.file('journal'));
  const archive = new Archive({ directory });
  const work = new Archiving(
    { logger: loggers.of('archive'), metrics: createArchiveMetrics(registry, () => archive.list()) },
    { directory, logLevel: loggers.level, node: settings.clientName },
  );
  return {
    name,
    ready: () => work.start(),
    stop: () => work.stop(),
    health: [{ resource: name, check: () => work.health() }],
    setLogLevel: (level) => work.setLevel(level),
  };
}

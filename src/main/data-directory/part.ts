/** The watch over `DATADIR`. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { DataDirectory } from './data-directory.js';
import { DirectoryWatch } from './watch.js';

/** `directory` is open, and closed after the part's end. */
export function directoryWatch({ loggers, registry }: PartContext, directory: DataDirectory): Part {
  const watch = new DirectoryWatch({ directory, logger: loggers.of('server'), registry });
  return {
    name: 'directory watch',
    start: () => watch.start(),
    stop: () => watch.stop(),
    health: [{ resource: 'DATADIR', check: () => watch.health() }],
  };
}

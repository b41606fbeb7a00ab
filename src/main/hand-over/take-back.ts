/** A server that has handed `DATADIR` over and was not ended: whoever was to have it may have died, and then nobody serves. */

import { pause } from '../../shared/async/pause.js';
import { monotonic } from '../../shared/clock.js';
import { AbortedError } from '../../shared/errors.js';
import { isSomebodyThere } from '../control/client.js';
import { controlSocketPath } from '../control/protocol.js';
import { DataDirectory } from '../data-directory/data-directory.js';

/** So long nobody answers: longer than a container takes to be started again, so that it gets the directory first. */
const FREE_MS = 10_000;
const LOOK_MS = 500;

export interface TakeBackOptions {
  /**
   * Milliseconds for which nobody must answer.
   * @default 10_000
   */
  readonly freeMs?: number;
}

/**
 * Resolves with the directory at `path`, opened, once nobody has answered at its socket for a while and its lock could be had. Asks nobody to hand over.
 * Throws AbortedError with the signal, ConfigurationError where the directory can no longer be opened.
 */
export async function takeBack(
  path: string,
  signal: AbortSignal,
  { freeMs = FREE_MS }: TakeBackOptions = {},
): Promise<DataDirectory> {
  const directory = new DataDirectory(path);
  const free = async (): Promise<void> => {
    for (let since: number | undefined; since === undefined || monotonic() - since < freeMs; ) {
      if (await isSomebodyThere(controlSocketPath(directory.path))) since = undefined;
      else since ??= monotonic();
      const isOver = !(await pause(LOOK_MS, { signal }));
      if (isOver) throw new AbortedError('stopped while another server had DATADIR');
    }
  };
  try {
    await free();
    await directory.open(free);
    return directory;
  } catch (error) {
    await directory.close();
    throw error;
  }
}

/**
 * Whether `DATADIR` is still the one that was opened. When it is deleted, moved away or replaced under a running server, everything goes on
 * into files that have no name any more and are gone with the process, and another server finds no lock there. The space kept for a full
 * disk is made here too, for it is given up by whoever needs it.
 */

import { Gauge, type Registry } from 'prom-client';
import { errorMessage } from '../../shared/errors.js';
import { type FileIdentity, identityOf, isSame } from '../../shared/files/own-file.js';
import { keepSpare } from '../../shared/files/spare-space.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { DataDirectory } from './data-directory.js';

const LOOK_MS = 5_000;
/** After the disk had no room for the spare space. */
const SPARE_RETRY_MS = 60_000;
const RESOURCE = 'DATADIR';

export class DirectoryWatch {
  readonly #directory: Pick<DataDirectory, 'path' | 'lockPath'>;
  readonly #logger: Logger;
  readonly #lost: Gauge;
  /** What was opened: the directory may be made anew with its old inode, the lock cannot, for it is held open. */
  #own: readonly (readonly [path: string, identity: FileIdentity])[] = [];
  #fault: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #spareAfter = 0;

  constructor({
    directory,
    logger,
    registry,
  }: {
    readonly directory: Pick<DataDirectory, 'path' | 'lockPath'>;
    readonly logger: Logger;
    readonly registry: Registry;
  }) {
    this.#directory = directory;
    this.#logger = logger;
    this.#lost = new Gauge({
      name: 'teranode_p2p_data_directory_lost',
      help: '1 while DATADIR is not the directory that was opened at the start: what is written is gone with the process.',
      registers: [registry],
    });
  }

  /** Once the directory is open. Looks every 5 s. Rejects when it is not there. */
  async start(): Promise<void> {
    const { path, lockPath } = this.#directory;
    this.#own = await Promise.all([path, lockPath].map(async (own) => [own, await identityOf(own)] as const));
    this.#timer ??= setInterval(() => this.#tick(), LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  /** Looks, and says what is wrong and what to do. */
  async health(): Promise<DependencyHealth> {
    const { path } = this.#directory;
    const fault = await this.#look();
    return fault === undefined
      ? { resource: RESOURCE, status: 200, message: path }
      : {
          resource: RESOURCE,
          status: 503,
          error: `${fault}: what this server writes is lost when it ends; restart it`,
          message: path,
        };
  }

  #tick(): void {
    this.#looking ??= (async () => {
      const fault = await this.#look();
      if (fault !== undefined || performance.now() < this.#spareAfter) return;
      if (!(await keepSpare(this.#directory.path))) this.#spareAfter = performance.now() + SPARE_RETRY_MS;
    })().finally(() => {
      this.#looking = undefined;
    });
  }

  async #look(): Promise<string | undefined> {
    const fault = await this.#examine();
    if (fault !== undefined && this.#fault === undefined) {
      this.#logger.error(
        { path: this.#directory.path, reason: fault },
        'DATADIR was taken away: what is written is lost when this server ends; restart it',
      );
    }
    if (fault === undefined && this.#fault !== undefined) {
      this.#logger.info({ path: this.#directory.path }, 'DATADIR is back');
    }
    this.#fault = fault;
    this.#lost.set(fault === undefined ? 0 : 1);
    return fault;
  }

  async #examine(): Promise<string | undefined> {
    for (const [path, own] of this.#own) {
      try {
        if (!isSame(await identityOf(path), own)) return `${path} is not the one that was opened`;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        return code === 'ENOENT' ? `${path} was deleted or moved away` : `${path}: ${errorMessage(error)}`;
      }
    }
    return undefined;
  }
}

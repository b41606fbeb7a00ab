/** `DATADIR`: made, checked, locked, and the embedded store inside it. */

import { accessSync, constants } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { ConfigurationError, errorMessage } from '../shared/errors.js';
import { giveUpSpare } from '../shared/spare-space.js';
import { makeDirectory } from './make-directory.js';

export type EmbeddedStore = ClassicLevel<string, Uint8Array>;

/**
 * A LevelDB that opens when told and not at its birth, so that parts can be built on it before anything is touched. What
 * is asked of it meanwhile waits.
 */
class GatedLevel extends ClassicLevel<string, Uint8Array> {
  release!: (refusal?: Error) => void;
  readonly #gate = new Promise<void>((resolve, reject) => {
    this.release = (refusal) => (refusal === undefined ? resolve() : reject(refusal));
  });

  constructor(path: string) {
    super(path, { keyEncoding: 'utf8', valueEncoding: 'view' });
    this.#gate.catch(() => {});
  }

  // The hook is not in the package's types: abstract-level calls it to open the database.
  async _open(options: object): Promise<void> {
    await this.#gate;
    const { _open: openNow } = ClassicLevel.prototype as unknown as {
      _open(options: object): Promise<void>;
    };
    try {
      await openNow.call(this, options);
    } catch (error) {
      if (!giveUpSpare(dirname(this.location), errorMessage(error))) throw error;
      await openNow.call(this, options);
    }
  }
}

/** The data directory and the store in it. One process owns it: LevelDB's lock is the directory's lock. */
export class DataDirectory {
  readonly path: string;
  /** Opens with `open`; until then whatever is asked of it waits. */
  readonly store: EmbeddedStore;
  readonly #level: GatedLevel;

  constructor(path: string) {
    this.path = resolve(path);
    this.#level = new GatedLevel(join(this.path, 'store'));
    this.store = this.#level;
  }

  /** The lock, held open from `open` to `close`. */
  get lockPath(): string {
    return join(this.path, 'store', 'LOCK');
  }

  /** Path of something in the directory. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Makes the directory, takes the lock and opens the store. Throws ConfigurationError naming `DATADIR`. */
  async open(): Promise<void> {
    try {
      makeDirectory(this.path);
      accessSync(this.path, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      const refusal = new ConfigurationError([
        `DATADIR: ${this.path} cannot be written: ${errorMessage(error)}`,
      ]);
      this.#level.release(refusal);
      throw refusal;
    }
    this.#level.release();
    try {
      await this.#level.open();
    } catch (error) {
      throw new ConfigurationError([`DATADIR: ${describe(this.path, error)}`]);
    }
  }

  /** Closes the store and gives the lock back. */
  async close(): Promise<void> {
    this.#level.release(new Error('closed before it was opened'));
    await this.#level.close();
  }
}

function describe(path: string, error: unknown): string {
  const cause = error instanceof Error ? (error.cause as (Error & { code?: string }) | undefined) : undefined;
  if (cause?.code === 'LEVEL_LOCKED') return `${path} is in use by another server`;
  if (cause?.code === 'LEVEL_CORRUPTION') {
    return `the store in ${path} is corrupt (${oneLine(cause.message)}); move ${join(path, 'store')} away to start anew`;
  }
  return `the store in ${path} does not open: ${oneLine(cause?.message ?? errorMessage(error))}; if it is damaged, move ${join(path, 'store')} away to start anew`;
}

/** LevelDB quotes what it read. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 300);
}

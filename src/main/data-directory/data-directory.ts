/** `DATADIR`: made, checked, locked, and the embedded store inside it. */

import { accessSync, constants, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { withOwner } from '../../shared/files/file-owner.js';
import { makeDirectory } from '../../shared/files/make-directory.js';
import { giveUpSpare } from '../../shared/files/spare-space.js';
import { isSomebodyThere } from '../control/client.js';
import { controlSocketPath } from '../control/protocol.js';

export type EmbeddedStore = ClassicLevel<string, Uint8Array>;

/** File systems of the kernel's own, by what `statfs` says of them: /proc and /sys. */
const KERNEL_FILES: ReadonlySet<number> = new Set([0x9fa0, 0x62656572]);
const ALL_ACCESS = constants.R_OK | constants.W_OK | constants.X_OK;

function notWritable(path: string, error: unknown): ConfigurationError {
  return new ConfigurationError([`DATADIR: ${path} cannot be written: ${withOwner(path, error)}`]);
}

/**
 * Whether `DATADIR` could be opened, as far as that can be said without making or opening anything: what its stores hold is not looked at.
 * Tells whether it is there, and whether another server holds it. Throws ConfigurationError for all else of which `open` would.
 */
export async function lookAtDirectory(
  text: string,
): Promise<{ readonly path: string; readonly exists: boolean; readonly held: boolean }> {
  const path = resolve(text);
  let existing = path;
  try {
    // What is missing is made within the nearest that is there.
    for (;;) {
      const facts = statSync(existing, { throwIfNoEntry: false });
      if (facts?.isDirectory()) break;
      if (facts !== undefined) throw new Error(`${existing} is no directory`);
      existing = dirname(existing);
    }
    accessSync(existing, ALL_ACCESS);
    // There root may write and nobody may make anything.
    if (KERNEL_FILES.has(statfsSync(existing).type)) throw new Error(`${existing} takes no files`);
  } catch (error) {
    throw notWritable(path, error);
  }
  const held = isLocked(join(path, 'store', 'LOCK')) || (await isSomebodyThere(controlSocketPath(path)));
  return { path, exists: existing === path, held };
}

/** Whether a process holds a lock on the file: on Linux alone, and of this PID namespace; elsewhere nothing tells without taking it. */
function isLocked(path: string): boolean {
  try {
    const { dev, ino } = statSync(path);
    const hex = (part: number) => part.toString(16).padStart(2, '0');
    // As the kernel packs the two numbers of a device.
    const device = `${hex((dev >>> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >>> 12) & 0xfff00))}`;
    return readFileSync('/proc/locks', 'utf8').includes(` ${device}:${ino} `);
  } catch {
    return false;
  }
}

/** The refusal of a directory that another holds, with what more there is to say of it. */
export function inUse(path: string, more = ''): ConfigurationError {
  return new ConfigurationError([`DATADIR: ${path} is in use by another server${more}`]);
}

/** The data directory and the store in it. One process owns it: LevelDB's lock is the directory's lock. */
export class DataDirectory {
  readonly path: string;
  #store: EmbeddedStore | undefined;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Throws before `open` and after `close`. */
  get store(): EmbeddedStore {
    if (this.#store === undefined) throw new Error(`DATADIR: ${this.path} is not open`);
    return this.#store;
  }

  get isOpen(): boolean {
    return this.#store !== undefined;
  }

  /** The lock, held open from `open` to `close`. */
  get lockPath(): string {
    return join(this.path, 'store', 'LOCK');
  }

  /** Path of something in the directory. */
  file(name: string): string {
    return join(this.path, name);
  }

  /**
   * Makes the directory, takes the lock and opens the store, unless it is open already. `held` is called as often as another process has the lock: it
   * resolves when to try again, or throws what `open` is to throw. Throws ConfigurationError naming `DATADIR`.
   */
  async open(held?: () => Promise<void>): Promise<void> {
    if (this.isOpen) return;
    try {
      makeDirectory(this.path);
      accessSync(this.path, ALL_ACCESS);
    } catch (error) {
      throw notWritable(this.path, error);
    }
    this.#store = await this.#openStore(held);
  }

  /** Closes the store and gives the lock back. */
  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }

  async #openStore(held?: () => Promise<void>): Promise<EmbeddedStore> {
    for (let spared = false; ; ) {
      const store: EmbeddedStore = new ClassicLevel(join(this.path, 'store'), {
        keyEncoding: 'utf8',
        valueEncoding: 'view',
      });
      try {
        await store.open();
        return store;
      } catch (error) {
        if (isLockHeld(causeOf(error))) {
          if (held === undefined) throw inUse(this.path);
          await held();
          continue;
        }
        const canSpare = !spared && giveUpSpare(this.path, errorMessage(causeOf(error) ?? error));
        if (!canSpare) throw new ConfigurationError([`DATADIR: ${describe(this.path, error)}`]);
        spared = true;
      }
    }
  }
}

function causeOf(error: unknown): (Error & { code?: string }) | undefined {
  return error instanceof Error ? (error.cause as (Error & { code?: string }) | undefined) : undefined;
}

const isLockHeld = (cause: { code?: string } | undefined): boolean => cause?.code === 'LEVEL_LOCKED';

function describe(path: string, error: unknown): string {
  const cause = causeOf(error);
  if (cause?.code === 'LEVEL_CORRUPTION') {
    return `the store in ${path} is corrupt (${oneLine(cause.message)}); move ${join(path, 'store')} away to start anew`;
  }
  return `the store in ${path} does not open: ${oneLine(cause?.message ?? errorMessage(error))}; if it is damaged, move ${join(path, 'store')} away to start anew`;
}

/** LevelDB quotes what it read. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 300);
}

/**
 * A secret in a file, which is read again while it is in use: looked at each second by its contents, as the files of TLS are, and taken once it is the same at two looks
 * and usable.
 */

import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Repeating } from '../async/repeat.js';
import { ConfigurationError, errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import { checkIsFile } from '../tls/files.js';

const LOOK_MS = 1_000;

export interface SecretFileComponents<T> {
  /** Throws RangeError, without the secret, on a text that cannot be used. */
  readonly parse: (text: string) => T;
  /** Where another thread tells of the same file, none. */
  readonly logger?: Logger | undefined;
}

export interface SecretFileOptions {
  readonly setting: string;
  readonly path: string;
  /**
   * Milliseconds between two looks.
   * @default 1_000
   */
  readonly everyMs?: number;
}

export class SecretFile<T> {
  readonly #components: SecretFileComponents<T>;
  readonly #options: SecretFileOptions;
  readonly #listeners = new Set<(value: T) => void>();
  #current: T;
  #used: string;
  #seen: string;
  #judged: string;
  #refused: string | undefined;
  readonly #looks: Repeating;
  #stopped = false;

  /** Reads it. Throws ConfigurationError naming the setting. */
  constructor(components: SecretFileComponents<T>, options: SecretFileOptions) {
    this.#components = components;
    this.#options = options;
    const { path, setting, everyMs = LOOK_MS } = options;
    this.#looks = new Repeating(() => this.#look(), { everyMs });
    try {
      checkIsFile(statSync(path));
      this.#used = readFileSync(path, 'utf8');
      this.#current = components.parse(this.#used);
    } catch (error) {
      throw new ConfigurationError([`${setting}: ${path}: ${errorMessage(error)}`]);
    }
    this.#seen = this.#used;
    this.#judged = this.#used;
  }

  get current(): T {
    return this.#current;
  }

  /** Why what is in the file now is not in use; undefined where it is. */
  get refused(): string | undefined {
    return this.#refused;
  }

  onChange(listener: (value: T) => void): void {
    this.#listeners.add(listener);
  }

  /** Begins to look. It keeps no process running. */
  start(): void {
    if (!this.#stopped) this.#looks.start();
  }

  stop(): void {
    this.#stopped = true;
    void this.#looks.stop();
  }

  async #look(): Promise<void> {
    const { path, setting } = this.#options;
    const { logger, parse } = this.#components;
    let text: string;
    let unreadable: string | undefined;
    try {
      checkIsFile(await stat(path));
      text = await readFile(path, 'utf8');
    } catch (error) {
      unreadable = errorMessage(error);
      // Like no text that was used, and another for each reason.
      text = `\0${unreadable}`;
    }
    const settled = text === this.#seen;
    this.#seen = text;
    if (!settled || text === this.#judged || this.#stopped) return;
    this.#judged = text;
    const before = this.#refused;
    try {
      if (unreadable !== undefined) throw new RangeError(`cannot be read: ${unreadable}`);
      if (text !== this.#used) {
        this.#current = parse(text);
        this.#used = text;
        for (const listener of this.#listeners) listener(this.#current);
        logger?.info({ setting, path }, 'a secret is read anew');
      } else if (before !== undefined) {
        logger?.info({ setting, path }, 'the secret in use is in its file again');
      }
      this.#refused = undefined;
    } catch (error) {
      this.#refused = `${setting}: ${path}: ${errorMessage(error)}`;
      logger?.error({ reason: this.#refused }, 'a new secret is refused, the old one stays in use');
    }
  }
}

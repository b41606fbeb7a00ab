/** Bans in the embedded store: a sublevel of LevelDB, one JSON value a key. */

import type { AbstractLevel, AbstractSublevel } from 'abstract-level';
import { errorMessage } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { parseBanSubject } from './subject.js';
import type { BanEntry, BanStore } from './types.js';

/** Any LevelDB; whoever made it opens and closes it. */
export type Level = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>;

export class LevelBanStore implements BanStore {
  readonly isShared = false;
  readonly #level: Level;
  readonly #logger: Logger;
  readonly #bans: AbstractSublevel<Level, string | Buffer | Uint8Array, string, string>;

  constructor(components: { level: Level; logger: Logger }) {
    this.#level = components.level;
    this.#logger = components.logger;
    this.#bans = this.#level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
  }

  async open(): Promise<void> {
    await this.#bans.open();
  }

  async load(): Promise<readonly BanEntry[]> {
    const entries: BanEntry[] = [];
    for await (const [key, value] of this.#bans.iterator()) {
      try {
        entries.push(decode(key, value));
      } catch (error) {
        this.#logger.warn({ reason: errorMessage(error) }, 'stored ban cannot be read; it is left out');
      }
    }
    return entries;
  }

  async put({ key, until, origin, peer, reason }: BanEntry): Promise<void> {
    await this.#bans.put(key, JSON.stringify({ until, origin, peer, reason }));
  }

  async delete(key: string): Promise<void> {
    await this.#bans.del(key);
  }

  async clear(): Promise<void> {
    await this.#bans.clear();
  }

  async health(): Promise<DependencyHealth> {
    const resource = 'BanStore';
    const { status } = this.#level;
    return status === 'open'
      ? { resource, status: 200, message: 'embedded' }
      : { resource, status: 503, error: `the embedded store is ${status}`, message: 'embedded' };
  }

  async close(): Promise<void> {
    await this.#bans.close();
  }
}

function decode(key: string, value: string): BanEntry {
  const { kind } = parseBanSubject(key);
  const { until, origin, peer, reason } = JSON.parse(value) as Partial<BanEntry>;
  if (typeof until !== 'number' || (origin !== 'operator' && origin !== 'score')) {
    throw new RangeError(`value of ${key} is not a ban`);
  }
  return {
    key,
    kind,
    until,
    origin,
    ...(typeof peer === 'string' ? { peer } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  };
}

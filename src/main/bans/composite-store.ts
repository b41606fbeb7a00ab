/**
 * Two stores as one: operators' bans of addresses and subnets in the shared one, the rest in the embedded one. Peer-ID bans may
 * not stand in Teranode's table, and a ban by score is this node's own opinion: it stays at home.
 */

import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import { type BanEntry, type BanStore, PartialLoadError } from './types.js';

const isShared = (entry: BanEntry) => entry.kind !== 'peer' && entry.origin === 'operator';

export class CompositeBanStore implements BanStore {
  readonly isShared = true;
  readonly #shared: BanStore;
  readonly #embedded: BanStore;

  constructor(stores: { shared: BanStore; embedded: BanStore }) {
    this.#shared = stores.shared;
    this.#embedded = stores.embedded;
  }

  async open(): Promise<void> {
    await this.#embedded.open();
    try {
      await this.#shared.open();
    } catch (error) {
      // It makes itself ready when it is back; until then each load says that it is away.
      if (!(error instanceof UnavailableError)) throw error;
    }
  }

  async load(): Promise<readonly BanEntry[]> {
    const embedded = await this.#embedded.load();
    let shared: readonly BanEntry[];
    try {
      shared = await this.#shared.load();
    } catch (error) {
      throw new PartialLoadError(errorMessage(error), embedded, { cause: error });
    }
    const operators = new Set(shared.map(({ key }) => key));
    return [...embedded.filter(({ key }) => !operators.has(key)), ...shared];
  }

  async put(entry: BanEntry): Promise<void> {
    if (!isShared(entry)) return this.#embedded.put(entry);
    await this.#shared.put(entry);
    // It replaces what was there by score.
    await this.#embedded.delete(entry.key);
  }

  async delete(key: string, endedAt?: number): Promise<void> {
    await this.#embedded.delete(key);
    await this.#shared.delete(key, endedAt);
  }

  async clear(): Promise<void> {
    await this.#embedded.clear();
    await this.#shared.clear();
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const embedded = await this.#embedded.health(signal);
    return embedded.status === 200 ? this.#shared.health(signal) : embedded;
  }

  async close(): Promise<void> {
    await Promise.all([this.#embedded.close(), this.#shared.close()]);
  }
}

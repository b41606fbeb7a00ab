/**
 * Takes over what the store holds: at the start, and where others write to it too, now and then. What is changed here while it is being read counts, not
 * what the store held before it.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Repeating } from '../../shared/async/repeat.js';
import { SingleFlight } from '../../shared/async/single-flight.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { BanIndex } from './ban-index.js';
import type { BanMetrics } from './metrics.js';
import type { StoredChanges } from './stored-changes.js';
import { type BanSubject, InvalidBanSubjectError, parseBanSubject } from './subject.js';
import { type BanClocks, type BanEntry, type BanStore, PartialLoadError } from './types.js';

/** A million bans must not stop everything else while they are taken over. */
const ENTRIES_A_TURN = 1000;

export interface StoreReloadComponents {
  readonly store: Pick<BanStore, 'load' | 'isShared'>;
  readonly index: Pick<BanIndex, 'all' | 'get'>;
  /** What is changed here and not stored yet. */
  readonly changes: Pick<StoredChanges, 'keys' | 'clearing'>;
  readonly logger: Logger;
  readonly metrics: Pick<BanMetrics, 'storeFailures'>;
  readonly clocks: BanClocks;
  /** The store has a ban that is not in force here. */
  readonly onFound: (entry: BanEntry, subject: BanSubject) => void;
  /** The store has a ban no longer that is in force here. */
  readonly onGone: (key: string) => void;
  /** All that the store has is taken over. */
  readonly onReloaded: () => void;
}

export interface StoreReloadOptions {
  /** Milliseconds between two looks for changes that others made in a shared store; 0: never. */
  readonly everyMs: number;
}

export class StoreReload {
  readonly #components: StoreReloadComponents;
  /** Keys about which the load that is under way says nothing: changed here since it began, or not stored then. */
  #touched = new Set<string>();
  #cleared = false;
  readonly #loading = new SingleFlight<void>();
  #failure: string | undefined;
  readonly #everyMs: number;
  readonly #rounds: Repeating;

  constructor(components: StoreReloadComponents, { everyMs }: StoreReloadOptions) {
    this.#components = components;
    this.#everyMs = everyMs;
    this.#rounds = new Repeating(() => this.#round(), {
      everyMs,
      onError: (error) => components.logger.warn({ err: error }, 'the ban store could not be read'),
    });
  }

  /** Begins to look for what others changed. */
  start(): void {
    if (this.#everyMs > 0 && this.#isWorth) this.#rounds.start();
  }

  /** Ends that, and waits for the look under way. */
  async stop(): Promise<void> {
    await this.#rounds.stop();
    await this.#loading.underWay?.catch(() => {});
  }

  /** Why the store could not be read when that was tried last; undefined where it could. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Reads the store and takes over what others changed. Rejects when it cannot be read. */
  reload(): Promise<void> {
    return this.#loading.run(() => this.#reload());
  }

  /** The store could not be opened. */
  failed(reason: string): void {
    this.#failure = reason;
  }

  /** A ban was changed here. */
  touched(key: string): void {
    if (this.#loading.underWay !== undefined) this.#touched.add(key);
  }

  /** Every ban was taken back here. */
  cleared(): void {
    this.#cleared = true;
  }

  /** What nobody else writes is read again only where it could not be read yet. */
  get #isWorth(): boolean {
    return this.#components.store.isShared || this.#failure !== undefined;
  }

  async #round(): Promise<void> {
    await this.reload();
    if (!this.#isWorth) void this.#rounds.stop();
  }

  async #reload(): Promise<void> {
    const { store, index, changes, metrics, onGone, onReloaded } = this.#components;
    this.#touched = new Set(changes.keys());
    this.#cleared = changes.clearing;
    let loaded: readonly BanEntry[];
    try {
      loaded = await store.load();
    } catch (error) {
      metrics.storeFailures.inc({ operation: 'load' });
      this.#failure = errorMessage(error);
      if (error instanceof PartialLoadError && !this.#cleared) {
        for (const entry of error.entries) this.#takeOver(entry);
      }
      throw error;
    }
    this.#failure = undefined;
    const seen = new Set<string>();
    let turn = 0;
    for (const entry of loaded) {
      if (++turn % ENTRIES_A_TURN === 0) await nextTurn();
      if (this.#cleared) return;
      seen.add(entry.key);
      this.#takeOver(entry);
    }
    for (const { entry } of [...index.all()]) {
      if (++turn % ENTRIES_A_TURN === 0) await nextTurn();
      if (this.#cleared) return;
      if (seen.has(entry.key) || this.#touched.has(entry.key) || entry.origin === 'registry') continue;
      onGone(entry.key);
    }
    onReloaded();
  }

  #takeOver(entry: BanEntry): void {
    const { index, clocks, logger, onFound } = this.#components;
    if (entry.until <= clocks.date() || this.#touched.has(entry.key)) return;
    const present = index.get(entry.key)?.entry;
    if (present?.until === entry.until && present.origin === entry.origin) return;
    let subject: BanSubject;
    try {
      subject = parseBanSubject(entry.key);
    } catch (error) {
      if (!(error instanceof InvalidBanSubjectError)) throw error;
      logger.warn({ reason: error.message }, 'stored ban is not enforced');
      return;
    }
    onFound(entry, subject);
  }
}

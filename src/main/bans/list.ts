/**
 * The ban list: in memory, asked synchronously; behind it a store, which may be away.
 *
 * A ban is told, stored and given as a date, and lasts for what there is from now to that date when it is made or loaded: a clock that is
 * set later neither ends it nor prolongs it. After a restart the date counts.
 */

import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth, HealthChecked } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { displayText } from '../../shared/messages/text.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { QUEUES } from '../../shared/queues.js';
import { BanIndex } from './ban-index.js';
import { type BanMetrics, OPERATOR_BAN } from './metrics.js';
import { StoreReload } from './store-reload.js';
import { StoredChanges } from './stored-changes.js';
import { type BanSubject, parseBanSubject } from './subject.js';
import { type BanClocks, type BanEntry, type BanEvents, type BanStore, REAL_CLOCKS } from './types.js';

export interface BanListComponents {
  readonly store: BanStore;
  readonly logger: Logger;
  readonly metrics: BanMetrics;
  /**
   * @default the real ones
   */
  readonly clocks?: BanClocks;
}

export interface BanListOptions {
  /**
   * Automatic bans kept at the most; past it the soonest to expire goes.
   * @default 100_000
   */
  readonly maxByScore?: number;
  /**
   * Milliseconds between two looks for changes that others made in a shared store; 0: never.
   * @default 30_000
   */
  readonly reloadIntervalMs?: number;
}

export interface RemovalResult {
  /** Whether an entry of exactly this subject was there, or one that was made with it. */
  readonly removed: boolean;
  /** The addresses that were banned by score with the peer, and are not any more. */
  readonly addresses: readonly string[];
  /** The subnet by whose ban the address or subnet stays banned. */
  readonly stillBannedBy: string | undefined;
  /** The peer with which the address was banned, and which stays banned itself. */
  readonly bannedPeer: string | undefined;
}

/** Characters of a reason that are kept. */
export const MAX_REASON_LENGTH = 256;
/** The latest end of a ban in unix ms: the year 9999, which every store can hold. */
const LATEST_END = Date.UTC(9999, 11, 31);
const LONGEST_TIMER_MS = 60_000;
type Listeners = { [E in keyof BanEvents]: Set<BanEvents[E]> };

export class BanList implements HealthChecked {
  readonly #store: BanStore;
  readonly #logger: Logger;
  readonly #metrics: BanMetrics;
  readonly #clocks: BanClocks;
  readonly #maxByScore: number;
  readonly #changes: StoredChanges;
  readonly #index: BanIndex;
  readonly #reloading: StoreReload;
  readonly #listeners: Listeners = { added: new Set(), removed: new Set(), cleared: new Set() };
  #expiryTimer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(components: BanListComponents, options: BanListOptions = {}) {
    this.#store = components.store;
    this.#logger = components.logger;
    this.#metrics = components.metrics;
    this.#clocks = components.clocks ?? REAL_CLOCKS;
    this.#maxByScore = options.maxByScore ?? QUEUES.bansByScore.bounds.bans;
    this.#changes = new StoredChanges(components);
    const { store, logger, metrics } = components;
    this.#index = new BanIndex({ metrics, clocks: this.#clocks });
    this.#reloading = new StoreReload(
      {
        store,
        logger,
        metrics,
        clocks: this.#clocks,
        index: this.#index,
        changes: this.#changes,
        onFound: (entry, subject) => {
          this.#put(entry, subject);
          this.#emit('added', entry);
        },
        onGone: (key) => {
          if (this.#index.drop(key)) this.#emit('removed', key);
        },
        onReloaded: () => this.#evict(),
      },
      { everyMs: options.reloadIntervalMs ?? 30_000 },
    );
  }

  /**
   * Opens the store and loads what is in it. A store that is away is no error: `health` says so, and once started the list
   * goes on trying. Any other failure, such as a corrupt database, is thrown.
   */
  async open(): Promise<void> {
    try {
      await this.#store.open();
      await this.reload();
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      this.#reloading.failed(errorMessage(error));
      this.#logger.error({ err: error }, 'the ban store is away: its bans are not in force until it is back');
    }
  }

  /** Begins to expire bans by timer and to look for what others changed. */
  start(): void {
    this.#running = true;
    this.#schedule();
    this.#reloading.start();
  }

  /** Stores what waits, if the store is there, and closes it. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#expiryTimer);
    await this.#reloading.stop();
    await this.#changes.stop();
    await this.#store.close();
  }

  on<E extends keyof BanEvents>(event: E, listener: BanEvents[E]): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  /** Bans in force or not yet swept. */
  get size(): number {
    return this.#index.size;
  }

  /**
   * Bans until `until` (unix ms, at the most the year 9999), in force when this returns its promise. An operator's ban replaces
   * any other of the same subject; a ban by score never touches an operator's and never shortens another; one of the registry touches none. `peer` is whose
   * address this is, where it is banned with a peer; `reason` is shown with it, as much as is printable of 256 characters.
   *
   * Rejects with InvalidBanSubjectError or, for a time past, RangeError; with BanNotStoredError when the ban is in
   * force but the store is away.
   */
  async add(
    text: string,
    until: number,
    origin: BanEntry['origin'],
    { peer, reason = '' }: Pick<BanEntry, 'peer' | 'reason'> = {},
  ): Promise<BanEntry> {
    const subject = parseBanSubject(text);
    if (!(until > this.#clocks.date())) throw new RangeError('a ban must end in the future');
    const present = this.#index.get(subject.key);
    if (origin === 'registry' && present !== undefined && this.#index.lasts(present)) return present.entry;
    if (origin === 'score' && present !== undefined && this.#index.lasts(present)) {
      const endsEarlier = present.entry.until < until && present.ends < this.#index.endOf(until);
      if (present.entry.origin === 'operator' || !endsEarlier) return present.entry;
    }
    const entry: BanEntry = {
      key: subject.key,
      kind: subject.kind,
      until: Math.min(until, LATEST_END),
      origin,
      ...(peer === undefined ? {} : { peer }),
      ...(reason === '' ? {} : { reason: displayText(reason, MAX_REASON_LENGTH) }),
    };
    this.#put(entry, subject);
    this.#metrics.changes.inc({ change: 'added' });
    if (origin === 'operator') this.#metrics.events.inc({ reason: OPERATOR_BAN });
    this.#reloading.touched(entry.key);
    const stored = origin === 'registry' ? undefined : this.#changes.write(entry.key, { entry });
    this.#emit('added', entry);
    this.#evict();
    await stored;
    return entry;
  }

  /** The registry no longer bans a base58 peer ID. Bans that others made of it stay. */
  lift(peerId: PeerIdText): void {
    if (this.#index.get(peerId)?.entry.origin !== 'registry') return;
    this.#index.drop(peerId);
    this.#metrics.changes.inc({ change: 'removed' });
    this.#emit('removed', peerId);
  }

  /**
   * Takes back the ban of exactly this subject, and of a peer's the bans of the addresses that were made with it. One that also
   * lies in a banned subnet stays banned by that one, and the result says so. Rejects as {@link add}.
   */
  async remove(text: string): Promise<RemovalResult> {
    const subject = parseBanSubject(text);
    const peer = this.#index.get(subject.key)?.entry.peer;
    const addresses = subject.kind === 'peer' ? this.#index.bannedWith(subject.key) : [];
    const removed = [subject.key, ...addresses].filter((key) => this.#index.drop(key));
    const stored = removed.map((key) => {
      this.#metrics.changes.inc({ change: 'removed' });
      this.#reloading.touched(key);
      return this.#changes.write(key, {});
    });
    for (const key of removed) this.#emit('removed', key);
    await Promise.all(stored);
    return {
      removed: removed.length > 0,
      addresses,
      stillBannedBy: this.#index.coveringSubnet(subject),
      bannedPeer: peer !== undefined && this.isPeerBanned(peer) ? peer : undefined,
    };
  }

  /** Takes back every ban, also those that others put into a shared store. Rejects with BanNotStoredError. */
  async clear(): Promise<void> {
    this.#index.clear();
    this.#reloading.cleared();
    this.#metrics.changes.inc({ change: 'cleared' });
    const stored = this.#changes.clear();
    this.#emit('cleared');
    await stored;
  }

  /** The bans in force, in no order. */
  list(): BanEntry[] {
    return [...this.#index.all()].filter((held) => this.#index.lasts(held)).map(({ entry }) => entry);
  }

  /** Whether the address is banned, alone or in a subnet. False for text that is no address. Constant time. */
  isAddressBanned(address: string): boolean {
    return this.#index.isAddressBanned(address);
  }

  /** Whether the base58 peer ID is banned. Constant time. */
  isPeerBanned(peerId: PeerIdText): boolean {
    return this.#index.isPeerBanned(peerId);
  }

  /**
   * Whether an address, all of a subnet, or a peer ID is banned. Throws InvalidBanSubjectError; a subnet is covered by one
   * ban, not by several together.
   */
  isBanned(text: string): boolean {
    return this.#index.covers(parseBanSubject(text));
  }

  /** When the ban of exactly this key ends in unix ms; 0 when there is none in force. */
  until(key: string): number {
    const held = this.#index.get(key);
    return held !== undefined && this.#index.lasts(held) ? held.entry.until : 0;
  }

  /** Reads the store and takes over what others changed. Rejects when it cannot be read; the bans in memory stay. */
  reload(): Promise<void> {
    return this.#reloading.reload();
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const store = await this.#store.health(signal);
    if (store.status !== 200) return store;
    const error =
      this.#reloading.failure ??
      (this.#changes.size > 0 ? `${this.#changes.size} changes not stored yet` : undefined);
    return error === undefined
      ? store
      : { resource: store.resource, status: 503, error, message: 'bans in memory are enforced' };
  }

  #put(entry: BanEntry, subject: BanSubject): void {
    if (this.#index.put(entry, subject)) this.#schedule();
  }

  #evict(): void {
    for (
      let key = this.#index.nextExcess(this.#maxByScore);
      key !== undefined;
      key = this.#index.nextExcess(this.#maxByScore)
    )
      this.#end(key, 'evicted');
  }

  #end(key: string, change: 'expired' | 'evicted'): void {
    // Somebody else may have prolonged it in a shared store: only what ends there as early goes.
    const ended = this.#index.get(key)?.entry;
    const endedAt = ended?.until;
    const stored = change === 'expired' && endedAt !== undefined ? { endedAt } : {};
    this.#index.drop(key);
    this.#metrics.changes.inc({ change });
    this.#reloading.touched(key);
    // A failure is counted, logged and tried again where it happens; nobody waits for this one.
    if (ended?.origin !== 'registry') this.#changes.write(key, stored).catch(() => {});
    this.#emit('removed', key);
  }

  /** Ends every ban whose time has come. The timer calls it; so may a test that moved the clock. */
  expire(): void {
    for (let key = this.#index.nextEnded(); key !== undefined; key = this.#index.nextEnded())
      this.#end(key, 'expired');
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#expiryTimer);
    if (!this.#running) return;
    const { soonest } = this.#index;
    if (soonest === Number.POSITIVE_INFINITY) return;
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(0, soonest - this.#clocks.monotonic()));
    this.#expiryTimer = setTimeout(() => this.expire(), wait).unref();
  }

  #emit<E extends keyof BanEvents>(event: E, ...details: Parameters<BanEvents[E]>): void {
    for (const listener of this.#listeners[event]) {
      try {
        (listener as (...args: Parameters<BanEvents[E]>) => void)(...details);
      } catch (error) {
        this.#logger.error({ err: error, event }, 'a listener of the ban list failed');
      }
    }
  }
}

/**
 * The ban list: in memory, asked synchronously; behind it a store, which may be away.
 *
 * A ban is told, stored and given as a date, and lasts for what there is from now to that date when it is made or loaded: a clock that is
 * set later neither ends it nor prolongs it. After a restart the date counts.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth, HealthChecked } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { displayText } from '../../shared/messages/text.js';
import type { Subnet } from '../../shared/net/ip.js';
import { QUEUES } from '../../shared/queues.js';
import { ExpiryQueue } from './expiry-queue.js';
import { type BanMetrics, OPERATOR_BAN } from './metrics.js';
import { NetworkSet } from './network-set.js';
import { StoredChanges } from './stored-changes.js';
import { type BanSubject, InvalidBanSubjectError, parseBanSubject } from './subject.js';
import {
  type BanClocks,
  type BanEntry,
  type BanEvents,
  type BanStore,
  PartialLoadError,
  REAL_CLOCKS,
} from './types.js';

export interface BanListComponents {
  readonly store: BanStore;
  readonly logger: Logger;
  readonly metrics: BanMetrics;
  /** The real ones unless told. */
  readonly clocks?: BanClocks;
}

export interface BanListOptions {
  /** Automatic bans kept at the most; past it the soonest to expire goes. 100,000 unless told. */
  readonly maxByScore?: number;
  /** Milliseconds between two looks for changes that others made in a shared store; 0: never. 30,000 unless told. */
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
export const LATEST_END = Date.UTC(9999, 11, 31);
const LONGEST_TIMER_MS = 60_000;
/** A million bans must not stop everything else while they are taken over. */
const ENTRIES_A_TURN = 1000;

/** A ban in memory. */
interface Held {
  readonly entry: BanEntry;
  /** Monotonic. */
  readonly ends: number;
}

type Listeners = { [E in keyof BanEvents]: Set<BanEvents[E]> };

export class BanList implements HealthChecked {
  readonly #store: BanStore;
  readonly #logger: Logger;
  readonly #metrics: BanMetrics;
  readonly #clocks: BanClocks;
  readonly #maxByScore: number;
  readonly #reloadIntervalMs: number;
  readonly #changes: StoredChanges;
  readonly #entries = new Map<string, Held>();
  readonly #peers = new Map<string, number>();
  readonly #networks = new NetworkSet();
  readonly #queues = { operator: new ExpiryQueue(), score: new ExpiryQueue(), registry: new ExpiryQueue() };
  readonly #listeners: Listeners = { added: new Set(), removed: new Set(), cleared: new Set() };
  #byScore = 0;
  /** Keys about which the load that is under way says nothing: changed here since it began, or not stored then. */
  #touched = new Set<string>();
  #clearedDuringLoad = false;
  #loading: Promise<void> | undefined;
  #loadFailure: string | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;
  #reloadTimer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(components: BanListComponents, options: BanListOptions = {}) {
    this.#store = components.store;
    this.#logger = components.logger;
    this.#metrics = components.metrics;
    this.#clocks = components.clocks ?? REAL_CLOCKS;
    this.#maxByScore = options.maxByScore ?? QUEUES.bansByScore.bounds.bans;
    this.#reloadIntervalMs = options.reloadIntervalMs ?? 30_000;
    this.#changes = new StoredChanges(components);
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
      this.#loadFailure = errorMessage(error);
      this.#logger.error({ err: error }, 'the ban store is away: its bans are not in force until it is back');
    }
  }

  /** Begins to expire bans by timer and to look for what others changed. */
  start(): void {
    this.#running = true;
    this.#schedule();
    this.#scheduleReload();
  }

  /** Stores what waits, if the store is there, and closes it. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#expiryTimer);
    clearTimeout(this.#reloadTimer);
    await this.#loading?.catch(() => {});
    await this.#changes.stop();
    await this.#store.close();
  }

  on<E extends keyof BanEvents>(event: E, listener: BanEvents[E]): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  /** Bans in force or not yet swept. */
  get size(): number {
    return this.#entries.size;
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
    const present = this.#entries.get(subject.key);
    if (origin === 'registry' && present !== undefined && this.#lasts(present)) return present.entry;
    if (origin === 'score' && present !== undefined && this.#lasts(present)) {
      const endsEarlier = present.entry.until < until && present.ends < this.#endOf(until);
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
    this.#touch(entry.key);
    const stored = origin === 'registry' ? undefined : this.#changes.write(entry.key, { entry });
    this.#emit('added', entry);
    this.#evict();
    await stored;
    return entry;
  }

  /** The registry no longer bans a base58 peer ID. Bans that others made of it stay. */
  lift(peerId: string): void {
    if (this.#entries.get(peerId)?.entry.origin !== 'registry') return;
    this.#drop(peerId);
    this.#metrics.changes.inc({ change: 'removed' });
    this.#emit('removed', peerId);
  }

  /**
   * Takes back the ban of exactly this subject, and of a peer's the bans of the addresses that were made with it. One that also
   * lies in a banned subnet stays banned by that one, and the result says so. Rejects as {@link add}.
   */
  async remove(text: string): Promise<RemovalResult> {
    const subject = parseBanSubject(text);
    const peer = this.#entries.get(subject.key)?.entry.peer;
    const addresses = subject.kind === 'peer' ? this.#bannedWith(subject.key) : [];
    const removed = [subject.key, ...addresses].filter((key) => this.#drop(key));
    const stored = removed.map((key) => {
      this.#metrics.changes.inc({ change: 'removed' });
      this.#touch(key);
      return this.#changes.write(key, {});
    });
    for (const key of removed) this.#emit('removed', key);
    await Promise.all(stored);
    return {
      removed: removed.length > 0,
      addresses,
      stillBannedBy: this.#coveringSubnet(subject),
      bannedPeer: peer !== undefined && this.isPeerBanned(peer) ? peer : undefined,
    };
  }

  /** Takes back every ban, also those that others put into a shared store. Rejects with BanNotStoredError. */
  async clear(): Promise<void> {
    this.#forget();
    this.#clearedDuringLoad = true;
    this.#metrics.changes.inc({ change: 'cleared' });
    const stored = this.#changes.clear();
    this.#emit('cleared');
    await stored;
  }

  /** The bans in force, in no order. */
  list(): BanEntry[] {
    return [...this.#entries.values()].filter((held) => this.#lasts(held)).map(({ entry }) => entry);
  }

  /** Whether the address is banned, alone or in a subnet. False for text that is no address. Constant time. */
  isAddressBanned(address: string): boolean {
    return this.#networks.covers(address, this.#clocks.monotonic());
  }

  /** Whether the base58 peer ID is banned. Constant time. */
  isPeerBanned(peerId: string): boolean {
    const ends = this.#peers.get(peerId);
    return ends !== undefined && ends > this.#clocks.monotonic();
  }

  /**
   * Whether an address, all of a subnet, or a peer ID is banned. Throws InvalidBanSubjectError; a subnet is covered by one
   * ban, not by several together.
   */
  isBanned(text: string): boolean {
    const subject = parseBanSubject(text);
    if (subject.kind === 'peer') return this.isPeerBanned(subject.key);
    return this.#networks.coveringPrefix(subject.subnet, this.#clocks.monotonic()) !== -1;
  }

  /** When the ban of exactly this key ends in unix ms; 0 when there is none in force. */
  until(key: string): number {
    const held = this.#entries.get(key);
    return held !== undefined && this.#lasts(held) ? held.entry.until : 0;
  }

  /** Reads the store and takes over what others changed. Rejects when it cannot be read; the bans in memory stay. */
  reload(): Promise<void> {
    this.#loading ??= this.#reload().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const store = await this.#store.health(signal);
    if (store.status !== 200) return store;
    const error =
      this.#loadFailure ??
      (this.#changes.size > 0 ? `${this.#changes.size} changes not stored yet` : undefined);
    return error === undefined
      ? store
      : { resource: store.resource, status: 503, error, message: 'bans in memory are enforced' };
  }

  async #reload(): Promise<void> {
    this.#touched = new Set(this.#changes.keys());
    this.#clearedDuringLoad = this.#changes.clearing;
    let loaded: readonly BanEntry[];
    try {
      loaded = await this.#store.load();
    } catch (error) {
      this.#metrics.storeFailures.inc({ operation: 'load' });
      this.#loadFailure = errorMessage(error);
      if (error instanceof PartialLoadError && !this.#clearedDuringLoad) {
        for (const entry of error.entries) this.#takeOver(entry);
      }
      throw error;
    }
    this.#loadFailure = undefined;
    const seen = new Set<string>();
    let turn = 0;
    for (const entry of loaded) {
      if (++turn % ENTRIES_A_TURN === 0) await nextTurn();
      // Whatever happened while this waited counts, not what the store held before it.
      if (this.#clearedDuringLoad) return;
      seen.add(entry.key);
      this.#takeOver(entry);
    }
    for (const [key, { entry }] of [...this.#entries]) {
      if (++turn % ENTRIES_A_TURN === 0) await nextTurn();
      if (this.#clearedDuringLoad) return;
      if (seen.has(key) || this.#touched.has(key) || entry.origin === 'registry') continue;
      if (this.#drop(key)) this.#emit('removed', key);
    }
    this.#evict();
  }

  #takeOver(entry: BanEntry): void {
    if (entry.until <= this.#clocks.date() || this.#touched.has(entry.key)) return;
    const present = this.#entries.get(entry.key)?.entry;
    if (present?.until === entry.until && present.origin === entry.origin) return;
    try {
      this.#put(entry, parseBanSubject(entry.key));
    } catch (error) {
      if (!(error instanceof InvalidBanSubjectError)) throw error;
      this.#logger.warn({ reason: error.message }, 'stored ban is not enforced');
      return;
    }
    this.#emit('added', entry);
  }

  /** When (monotonic) a ban until `until` ends, made now. */
  #endOf(until: number): number {
    return this.#clocks.monotonic() + (until - this.#clocks.date());
  }

  #lasts({ ends }: Held): boolean {
    return ends > this.#clocks.monotonic();
  }

  #touch(key: string): void {
    if (this.#loading !== undefined) this.#touched.add(key);
  }

  /** Looks at every entry, for an operator who seldom asks. */
  #bannedWith(peerId: string): string[] {
    return [...this.#entries.values()].flatMap(({ entry }) => (entry.peer === peerId ? entry.key : []));
  }

  #coveringSubnet(subject: BanSubject): string | undefined {
    if (subject.kind === 'peer') return undefined;
    const prefix = this.#networks.coveringPrefix(subject.subnet, this.#clocks.monotonic());
    if (prefix === -1) return undefined;
    const network = parseBanSubject(`${subject.subnet.network}/${prefix}`);
    return network.key;
  }

  #put(entry: BanEntry, subject: BanSubject): void {
    this.#drop(entry.key);
    const ends = this.#endOf(entry.until);
    this.#entries.set(entry.key, { entry, ends });
    if (subject.kind === 'peer') this.#peers.set(entry.key, ends);
    else this.#networks.set(subject.subnet, ends);
    if (entry.origin === 'score') this.#byScore++;
    this.#metrics.entries.inc({ kind: entry.kind, origin: entry.origin });
    const queue = this.#queues[entry.origin];
    if (queue.size > 2 * this.#entries.size + 1024) this.#rebuild();
    queue.push(entry.key, ends);
    if (queue.soonest === ends) this.#schedule();
  }

  #drop(key: string): boolean {
    const entry = this.#entries.get(key)?.entry;
    if (entry === undefined) return false;
    this.#entries.delete(key);
    if (entry.kind === 'peer') this.#peers.delete(key);
    else this.#networks.delete(subnetOf(key));
    if (entry.origin === 'score') this.#byScore--;
    this.#metrics.entries.dec({ kind: entry.kind, origin: entry.origin });
    return true;
  }

  #forget(): void {
    this.#entries.clear();
    this.#peers.clear();
    this.#networks.clear();
    this.#queues.operator.clear();
    this.#queues.score.clear();
    this.#queues.registry.clear();
    this.#byScore = 0;
    this.#metrics.entries.reset();
  }

  /** Drops what replaced bans left in the queues. */
  #rebuild(): void {
    this.#queues.operator.clear();
    this.#queues.score.clear();
    this.#queues.registry.clear();
    for (const { entry, ends } of this.#entries.values()) this.#queues[entry.origin].push(entry.key, ends);
  }

  #evict(): void {
    while (this.#byScore > this.#maxByScore) {
      const soonest = this.#queues.score.pop();
      if (soonest === undefined) return;
      if (this.#isCurrent(soonest.key, soonest.time, 'score')) this.#end(soonest.key, 'evicted');
    }
  }

  #isCurrent(key: string, ends: number, origin: BanEntry['origin']): boolean {
    const held = this.#entries.get(key);
    return held !== undefined && held.ends === ends && held.entry.origin === origin;
  }

  #end(key: string, change: 'expired' | 'evicted'): void {
    // Somebody else may have prolonged it in a shared store: only what ends there as early goes.
    const ended = this.#entries.get(key)?.entry;
    const endedAt = ended?.until;
    const stored = change === 'expired' && endedAt !== undefined ? { endedAt } : {};
    this.#drop(key);
    this.#metrics.changes.inc({ change });
    this.#touch(key);
    // A failure is counted, logged and tried again where it happens; nobody waits for this one.
    if (ended?.origin !== 'registry') this.#changes.write(key, stored).catch(() => {});
    this.#emit('removed', key);
  }

  /** Ends every ban whose time has come. The timer calls it; so may a test that moved the clock. */
  expire(): void {
    const now = this.#clocks.monotonic();
    for (const origin of ['operator', 'score', 'registry'] as const) {
      const queue = this.#queues[origin];
      while (queue.soonest <= now) {
        const due = queue.pop();
        if (due !== undefined && this.#isCurrent(due.key, due.time, origin)) this.#end(due.key, 'expired');
      }
    }
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#expiryTimer);
    if (!this.#running) return;
    const { operator, score, registry } = this.#queues;
    const soonest = Math.min(operator.soonest, score.soonest, registry.soonest);
    if (soonest === Number.POSITIVE_INFINITY) return;
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(0, soonest - this.#clocks.monotonic()));
    this.#expiryTimer = setTimeout(() => this.expire(), wait).unref();
  }

  #scheduleReload(): void {
    // What nobody else writes is read again only where it could not be read yet.
    const worth = this.#store.isShared || this.#loadFailure !== undefined;
    if (!this.#running || this.#reloadIntervalMs === 0 || !worth) return;
    this.#reloadTimer = setTimeout(() => {
      this.reload()
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'the ban store could not be read'))
        .finally(() => this.#scheduleReload());
    }, this.#reloadIntervalMs).unref();
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

function subnetOf(key: string): Subnet {
  const subject = parseBanSubject(key);
  if (subject.kind === 'peer') throw new InvalidBanSubjectError('a peer ID has no subnet');
  return subject.subnet;
}

/** Bans in memory: by key, by peer and by network, for questions that are answered in constant time, and by when they end. */

import type { Subnet } from '../../shared/net/ip.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { ExpiryQueue } from './expiry-queue.js';
import type { BanMetrics } from './metrics.js';
import { NetworkSet } from './network-set.js';
import { type BanSubject, InvalidBanSubjectError, parseBanSubject } from './subject.js';
import type { BanClocks, BanEntry } from './types.js';

/** A ban in memory. */
export interface HeldBan {
  readonly entry: BanEntry;
  /** Monotonic. */
  readonly ends: number;
}

const ORIGINS = ['operator', 'score', 'registry'] as const satisfies readonly BanEntry['origin'][];

export class BanIndex {
  readonly #metrics: Pick<BanMetrics, 'entries'>;
  readonly #clocks: BanClocks;
  readonly #held = new Map<string, HeldBan>();
  readonly #peers = new Map<string, number>();
  readonly #networks = new NetworkSet();
  readonly #queues = { operator: new ExpiryQueue(), score: new ExpiryQueue(), registry: new ExpiryQueue() };
  #byScore = 0;

  constructor({
    metrics,
    clocks,
  }: { readonly metrics: Pick<BanMetrics, 'entries'>; readonly clocks: BanClocks }) {
    this.#metrics = metrics;
    this.#clocks = clocks;
  }

  /** Bans in force or not yet swept. */
  get size(): number {
    return this.#held.size;
  }

  /** When (monotonic) the next one ends, or one did that has been replaced since; Infinity where there is none. */
  get soonest(): number {
    return Math.min(...ORIGINS.map((origin) => this.#queues[origin].soonest));
  }

  /** The ban of exactly this key, in force or not yet swept. */
  get(key: string): HeldBan | undefined {
    return this.#held.get(key);
  }

  /** All of them, in force or not yet swept. */
  all(): IterableIterator<HeldBan> {
    return this.#held.values();
  }

  /** When (monotonic) a ban until `until` (unix ms) ends, made now. */
  endOf(until: number): number {
    return this.#clocks.monotonic() + (until - this.#clocks.date());
  }

  /** Whether it is in force. */
  lasts({ ends }: HeldBan): boolean {
    return ends > this.#clocks.monotonic();
  }

  isAddressBanned(address: string): boolean {
    return this.#networks.covers(address, this.#clocks.monotonic());
  }

  isPeerBanned(peerId: PeerIdText): boolean {
    const ends = this.#peers.get(peerId);
    return ends !== undefined && ends > this.#clocks.monotonic();
  }

  /** Whether one ban is of all of a subject. */
  covers(subject: BanSubject): boolean {
    return subject.kind === 'peer' ? this.isPeerBanned(subject.key) : this.#prefixOver(subject.subnet) !== -1;
  }

  /** Key of the narrowest banned subnet that an address or subnet lies in, or of itself. */
  coveringSubnet(subject: BanSubject): string | undefined {
    if (subject.kind === 'peer') return undefined;
    const prefix = this.#prefixOver(subject.subnet);
    return prefix === -1 ? undefined : parseBanSubject(`${subject.subnet.network}/${prefix}`).key;
  }

  /** Keys of the bans that were made with a peer's. Looks at every entry, for an operator who seldom asks. */
  bannedWith(peerId: PeerIdText): string[] {
    return [...this.#held.values()].flatMap(({ entry }) => (entry.peer === peerId ? entry.key : []));
  }

  /** Puts a ban in the place of one of the same key. Whether of those of its origin it ends first. */
  put(entry: BanEntry, subject: BanSubject): boolean {
    this.drop(entry.key);
    const ends = this.endOf(entry.until);
    this.#held.set(entry.key, { entry, ends });
    if (subject.kind === 'peer') this.#peers.set(entry.key, ends);
    else this.#networks.set(subject.subnet, ends);
    if (entry.origin === 'score') this.#byScore++;
    this.#metrics.entries.inc({ kind: entry.kind, origin: entry.origin });
    const queue = this.#queues[entry.origin];
    if (queue.size > 2 * this.#held.size + 1024) this.#rebuildQueues();
    queue.push(entry.key, ends);
    return queue.soonest === ends;
  }

  /** Whether there was one of this key. */
  drop(key: string): boolean {
    const entry = this.#held.get(key)?.entry;
    if (entry === undefined) return false;
    this.#held.delete(key);
    if (entry.kind === 'peer') this.#peers.delete(key);
    else this.#networks.delete(subnetOf(key));
    if (entry.origin === 'score') this.#byScore--;
    this.#metrics.entries.dec({ kind: entry.kind, origin: entry.origin });
    return true;
  }

  clear(): void {
    this.#held.clear();
    this.#peers.clear();
    this.#networks.clear();
    this.#clearQueues();
    this.#byScore = 0;
    this.#metrics.entries.reset();
  }

  /** Key of a ban that has ended by now, which the caller is to drop; undefined where there is none. */
  nextEnded(): string | undefined {
    const now = this.#clocks.monotonic();
    for (const origin of ORIGINS) {
      while (this.#queues[origin].soonest <= now) {
        const key = this.#popFrom(origin);
        if (key !== undefined) return key;
      }
    }
    return undefined;
  }

  /** Where more than `max` are by score, the key of the one that ends first, which the caller is to drop. */
  nextExcess(max: number): string | undefined {
    while (this.#byScore > max && this.#queues.score.size > 0) {
      const key = this.#popFrom('score');
      if (key !== undefined) return key;
    }
    return undefined;
  }

  /** Undefined where the ban has been replaced or dropped since. */
  #popFrom(origin: BanEntry['origin']): string | undefined {
    const first = this.#queues[origin].pop();
    if (first === undefined) return undefined;
    const held = this.#held.get(first.key);
    return held?.ends === first.time && held.entry.origin === origin ? first.key : undefined;
  }

  #prefixOver(subnet: Subnet): number {
    return this.#networks.coveringPrefix(subnet, this.#clocks.monotonic());
  }

  /** Drops what replaced bans left in the queues. */
  #rebuildQueues(): void {
    this.#clearQueues();
    for (const { entry, ends } of this.#held.values()) this.#queues[entry.origin].push(entry.key, ends);
  }

  #clearQueues(): void {
    for (const origin of ORIGINS) this.#queues[origin].clear();
  }
}

function subnetOf(key: string): Subnet {
  const subject = parseBanSubject(key);
  if (subject.kind === 'peer') throw new InvalidBanSubjectError('a peer ID has no subnet');
  return subject.subnet;
}

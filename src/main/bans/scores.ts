/** Ban scores: points for offences, forgiven with time, and the automatic ban at the threshold. */

import { EventEmitter } from 'node:events';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../../shared/logging/logger.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import { QUEUES } from '../../shared/queues.js';
import type { Generation } from '../../shared/settings/table.js';
import type { BanList } from './list.js';
import type { BanMetrics } from './metrics.js';
import { OFFENCE_POINTS } from './offences.js';
import { InvalidBanSubjectError } from './subject.js';
import { type BanClocks, REAL_CLOCKS } from './types.js';

/** How long it takes to forgive one point, in milliseconds. */
const DECAY_MS = 60_000;
/** Between two lines about automatic bans: who makes identities has them banned by the hundred. */
const LOG_EVERY_MS = 1_000;
/** Peers remembered. Identities cost nothing: whoever makes more of them pushes out the least recently used. */
const MAX_SCORES = QUEUES.banScores.bounds.peers;

export interface BanScoresComponents {
  readonly list: BanList;
  readonly logger: Logger;
  readonly metrics: BanMetrics;
  /** Static, loopback and allow-listed peers: never banned automatically. */
  readonly isProtected: (peerId: PeerIdText) => boolean;
  /**
   * Addresses banned along with the peer.
   * @default none
   */
  readonly addressesOf?: (peerId: PeerIdText) => readonly string[];
  /**
   * @default the real ones
   */
  readonly clocks?: BanClocks;
}

export interface BanScoresEvents {
  /** An offence was scored, a protected peer's too; `points` are those of its reason. */
  offence: [peerId: PeerIdText, reason: string, points: number];
}

export interface BanScoresOptions {
  /** p2p_ban_threshold, points. */
  readonly threshold: number;
  /** p2p_ban_duration, milliseconds. */
  readonly durationMs: number;
  readonly generation: Generation;
  /**
   * @default 10_000
   */
  readonly maxPeers?: number;
}

interface Score {
  readonly points: number;
  /** From when (monotonic) the next point is forgiven. */
  readonly since: number;
}

export interface Scored {
  readonly score: number;
  readonly banned: boolean;
}

export class BanScores extends EventEmitter<BanScoresEvents> {
  readonly threshold: number;
  readonly #list: BanList;
  readonly #logger: Logger;
  readonly #metrics: BanMetrics;
  readonly #isProtected: (peerId: PeerIdText) => boolean;
  readonly #addressesOf: (peerId: PeerIdText) => readonly string[];
  readonly #clocks: BanClocks;
  readonly #durationMs: number;
  readonly #unknownPoints: number;
  readonly #scores: LRUCache<PeerIdText, Score>;
  #lastLogged = Number.NEGATIVE_INFINITY;
  #unlogged = 0;

  constructor(components: BanScoresComponents, options: BanScoresOptions) {
    super();
    this.threshold = options.threshold;
    this.#list = components.list;
    this.#logger = components.logger;
    this.#metrics = components.metrics;
    this.#isProtected = components.isProtected;
    this.#addressesOf = components.addressesOf ?? (() => []);
    this.#clocks = components.clocks ?? REAL_CLOCKS;
    this.#durationMs = options.durationMs;
    this.#unknownPoints = options.generation === 'first' ? 1 : 0;
    this.#scores = new LRUCache({ max: options.maxPeers ?? MAX_SCORES });
    // A served or pardoned ban begins anew: else the next point would bring it back.
    this.#list.on('removed', (key) => this.reset(key as PeerIdText));
    this.#list.on('cleared', () => this.#clear());
  }

  /**
   * Scores an offence. At the threshold the peer is banned for `p2p_ban_duration`, unless it is protected: then its
   * score stays at the threshold. Reasons that are not in the table count 0 points, 1 in the first generation.
   *
   * Throws InvalidBanSubjectError on text that is no peer ID.
   */
  add(peer: string, reason: string): Scored {
    const peerId = parsePeerId(peer);
    if (peerId === undefined) throw new InvalidBanSubjectError('not a peer ID');
    const known = Object.hasOwn(OFFENCE_POINTS, reason) ? (reason as keyof typeof OFFENCE_POINTS) : undefined;
    const points = known === undefined ? this.#unknownPoints : OFFENCE_POINTS[known];
    const counted = known ?? 'unknown';
    this.#metrics.offences.inc({ reason: counted });
    this.emit('offence', peerId, reason, points);
    const before = this.#decayed(peerId);
    const sum = before.points + points;
    if (sum === 0) return { score: 0, banned: this.#list.isPeerBanned(peerId) };
    const reached = sum >= this.threshold;
    const spared = reached && this.#isProtected(peerId);
    const score = spared ? this.threshold : Math.min(sum, 2 ** 31 - 1);
    this.#scores.set(peerId, { points: score, since: before.since });
    this.#metrics.scores.set(this.#scores.size);
    this.#logger.debug({ peer: peerId, reason: counted, points, score }, 'offence scored');
    if (spared) this.#spare(peerId, before.points < this.threshold);
    else if (reached && !this.#list.isPeerBanned(peerId)) this.#ban(peerId, score, counted);
    return { score, banned: this.#list.isPeerBanned(peerId) };
  }

  /** The score of a base58 peer ID now, 0 for a stranger. */
  score(peerId: PeerIdText): number {
    return this.#decayed(peerId).points;
  }

  /** Forgets the score of a base58 peer ID. */
  reset(peerId: PeerIdText): void {
    if (this.#scores.delete(peerId)) this.#metrics.scores.set(this.#scores.size);
  }

  #clear(): void {
    this.#scores.clear();
    this.#metrics.scores.set(0);
  }

  /** Whole points only; what is left of a minute counts on. */
  #decayed(peerId: PeerIdText): Score {
    const now = this.#clocks.monotonic();
    const { points, since } = this.#scores.peek(peerId) ?? { points: 0, since: now };
    const forgiven = Math.floor((now - since) / DECAY_MS);
    if (forgiven >= points) return { points: 0, since: now };
    return { points: points - forgiven, since: since + forgiven * DECAY_MS };
  }

  #spare(peerId: PeerIdText, first: boolean): void {
    this.#metrics.spared.inc();
    if (first) this.#logger.warn({ peer: peerId }, 'a protected peer reached the ban threshold; not banned');
  }

  /** For the offence with which the threshold was reached. */
  #ban(peerId: PeerIdText, score: number, offence: keyof typeof OFFENCE_POINTS | 'unknown'): void {
    const until = this.#clocks.date() + this.#durationMs;
    if (this.#durationMs <= 0) return;
    this.#metrics.events.inc({ reason: offence });
    const addresses = this.#addressesOf(peerId);
    this.#log({ peer: peerId, addresses, score, until: new Date(until).toISOString() });
    for (const subject of [peerId, ...addresses]) {
      // In force when the call returns; a store that is away is counted and tried again by the list.
      const peer = subject === peerId ? {} : { peer: peerId };
      const reason = `score ${score}, the last for ${offence}`;
      this.#list.add(subject, until, 'score', { ...peer, reason }).catch((error: unknown) => {
        this.#logger.debug({ err: error, subject }, 'automatic ban is not stored');
      });
    }
  }

  #log(ban: object): void {
    const now = performance.now();
    if (now - this.#lastLogged < LOG_EVERY_MS) {
      this.#unlogged++;
      this.#logger.debug(ban, 'peer banned');
      return;
    }
    this.#logger.info({ ...ban, ...(this.#unlogged > 0 ? { others: this.#unlogged } : {}) }, 'peer banned');
    this.#lastLogged = now;
    this.#unlogged = 0;
  }
}

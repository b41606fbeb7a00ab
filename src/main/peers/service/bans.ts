/**
 * Bans of the blockchain service's registry, which are in force here as long as it lists them. It bans by score, as this server does, so a
 * protected peer is spared; and whom an operator lets in here stays in, for there is no call that takes back one ban there.
 */

import type { AbstractSublevel } from 'abstract-level';
import { inSlices } from '../../../shared/async/slices.js';
import { monotonic, wall } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { type PeerIdText, parsePeerId } from '../../../shared/net/peer-id.js';
import type { BanList } from '../../bans/list.js';
import type { Level } from '../write-behind.js';
import type { RegistryClientMetrics } from './metrics.js';

export interface ServiceBansComponents {
  readonly list: BanList;
  readonly logger: Logger;
  readonly metrics: Pick<RegistryClientMetrics, 'refusedRows'>;
  /** Where it is kept over restarts whom operators have let in. */
  readonly level: Level;
  /** Static, allow-listed and loopback peers, and this node itself: never banned here for what the service says. */
  readonly isSpared: (peer: PeerIdText) => boolean;
}

export interface ServiceBansOptions {
  /** p2p_ban_duration: the service does not tell when a ban ends, and such a one lasts no longer. */
  readonly durationMs: number;
}

/** IDs of one answer that are taken. */
const MAX_LISTED = 20_000;
const MAX_PARDONS = 10_000;
/** Stored among those who were let in, for everybody whom the first list will name. No peer ID. */
const EVERYBODY = '*';
const REASON = 'by the peer registry of the blockchain service';

type Pardons = AbstractSublevel<Level, string | Buffer | Uint8Array, PeerIdText | typeof EVERYBODY, string>;

export class ServiceBans {
  readonly #components: ServiceBansComponents;
  readonly #durationMs: number;
  readonly #stored: Pardons;
  /** Listed when the service was asked last, and when (monotonic) that was first so. */
  readonly #listed = new Map<PeerIdText, number>();
  /** Until the first list anybody may be banned there. */
  #answered = false;
  /** Of the newest list, or of what made lists void. */
  #turn = 0;
  /** Let in by an operator since. */
  readonly #pardoned = new Set<PeerIdText>();
  /** So is everybody whom the first list names. */
  #pardonsAll = false;

  constructor(components: ServiceBansComponents, { durationMs }: ServiceBansOptions) {
    this.#components = components;
    this.#durationMs = durationMs;
    this.#stored = components.level.sublevel<PeerIdText | typeof EVERYBODY, string>('registry-pardons', {
      valueEncoding: 'utf8',
    });
  }

  async open(): Promise<void> {
    await this.#stored.open();
    for await (const peer of this.#stored.keys()) {
      if (peer === EVERYBODY) this.#pardonsAll = true;
      else this.#pardoned.add(peer);
    }
  }

  /** Whether the service had banned the peer when it was asked last. */
  has(peer: PeerIdText): boolean {
    return this.#listed.has(peer);
  }

  /** The service says that it has banned a peer just now. */
  banned(peer: PeerIdText, reason: string): void {
    this.#listed.set(peer, this.#listed.get(peer) ?? monotonic());
    this.#enforce(peer, reason);
  }

  /** Takes over the list that the service answered to a question of `askedAt` (monotonic). */
  async takeOver(peerIds: readonly string[], askedAt: number): Promise<void> {
    const { metrics, list } = this.#components;
    const turn = ++this.#turn;
    const listed = new Set<PeerIdText>();
    const isKnown = (text: string): text is PeerIdText =>
      this.#listed.has(text as PeerIdText) || this.#pardoned.has(text as PeerIdText);
    const canonical = function* () {
      for (const text of peerIds.slice(0, MAX_LISTED)) yield isKnown(text) ? text : parsePeerId(text);
    };
    const read = await inSlices(canonical());
    if (turn !== this.#turn) return;
    for (const peer of read) {
      // The legacy service's peers are addresses: theirs to keep out.
      if (peer === undefined) metrics.refusedRows.inc();
      else listed.add(peer);
    }
    for (const [peer, since] of this.#listed) {
      if (listed.has(peer) || since > askedAt) continue;
      this.#listed.delete(peer);
      list.lift(peer);
    }
    this.#answered = true;
    for (const peer of listed) {
      if (!this.#listed.has(peer)) this.#listed.set(peer, askedAt);
    }
    if (this.#pardonsAll) {
      this.#pardonsAll = false;
      this.pardonAll();
      this.#store(this.#stored.del(EVERYBODY));
    }
    for (const peer of this.#pardoned) {
      if (!listed.has(peer)) this.#forgetPardon(peer);
    }
    const enforce = this.#enforceAll([...listed], turn);
    await inSlices(enforce);
  }

  *#enforceAll(peers: readonly PeerIdText[], turn: number): Generator<void> {
    for (const peer of peers) {
      if (turn !== this.#turn) return;
      // Whom an operator lets in meanwhile is pardoned by then.
      yield this.#enforce(peer, REASON);
    }
  }

  /** The service has no registry any more: its bans are nobody's word. Whom operators have let in is remembered, for it may have one again. */
  withdraw(): void {
    this.#turn++;
    for (const peer of this.#listed.keys()) this.#components.list.lift(peer);
    this.#listed.clear();
    this.#answered = true;
  }

  /** An operator has let a peer in. */
  pardon(peer: PeerIdText): void {
    const isBannedThere = this.#listed.has(peer) || !this.#answered;
    if (!isBannedThere || this.#pardoned.size >= MAX_PARDONS) return;
    this.#pardoned.add(peer);
    this.#store(this.#stored.put(peer, ''));
  }

  /** An operator has let everybody in. */
  pardonAll(): void {
    for (const peer of this.#listed.keys()) this.pardon(peer);
    if (this.#answered) return;
    this.#pardonsAll = true;
    this.#store(this.#stored.put(EVERYBODY, ''));
  }

  #enforce(peer: PeerIdText, reason: string): void {
    const { list, isSpared, logger } = this.#components;
    if (this.#pardoned.has(peer) || this.#durationMs <= 0 || list.isPeerBanned(peer) || isSpared(peer))
      return;
    logger.debug({ peer }, 'the blockchain service has banned a peer');
    list.add(peer, wall.date() + this.#durationMs, 'registry', { reason }).catch((error: unknown) => {
      logger.warn({ peer, reason: errorMessage(error) }, 'a ban of the blockchain service is not in force');
    });
  }

  #forgetPardon(peer: PeerIdText): void {
    this.#pardoned.delete(peer);
    this.#store(this.#stored.del(peer));
  }

  #store(write: Promise<void>): void {
    write.catch((error: unknown) => {
      this.#components.logger.warn(
        { reason: errorMessage(error) },
        'who was let in is not stored: a restart may ban it again',
      );
    });
  }
}

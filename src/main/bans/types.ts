/** Bans: who is kept out, until when, and the scores that lead there. */

import { monotonic, wall } from '../../shared/clock.js';
import { UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';

/** What bans are reckoned with. */
export interface BanClocks {
  /** Unix ms; may be set at any moment. */
  readonly date: () => number;
  /** Ms; never set. */
  readonly monotonic: () => number;
}

export const REAL_CLOCKS: BanClocks = { date: wall.date, monotonic };

/** One ban as stored. */
export interface BanEntry {
  /** Address, CIDR subnet or base58 peer ID, canonical. */
  readonly key: string;
  readonly kind: 'address' | 'subnet' | 'peer';
  /** Unix ms. */
  readonly until: number;
  /**
   * By an operator, by score, or by the peer registry of the blockchain service: an automatic ban never displaces an operator's, and what the
   * registry says displaces nothing and is not stored.
   */
  readonly origin: 'operator' | 'score' | 'registry';
  /** Base58 ID of the peer with which an address was banned by score: it is let in again together with that peer. */
  readonly peer?: PeerIdText;
  /** Why, for a person: printable, at most 256 characters. A shared store keeps none. */
  readonly reason?: string;
}

/** Where bans are kept between runs: LevelDB, or Teranode's `bans` table in Postgres. */
export interface BanStore {
  /** Whether others write to it too, so that it is worth looking for what they changed. */
  readonly isShared: boolean;
  open(): Promise<void>;
  /** Rejects with {@link PartialLoadError} when only a part of it can be read now. */
  load(): Promise<readonly BanEntry[]>;
  put(entry: BanEntry): Promise<void>;
  /** With `endedAt` (unix ms) only if the stored ban ends by then: another node may have prolonged it. */
  delete(key: string, endedAt?: number): Promise<void>;
  clear(): Promise<void>;
  health(signal: AbortSignal): Promise<DependencyHealth>;
  close(): Promise<void>;
}

/** Some of the bans could be read: they count, and of the others nothing is known. */
export class PartialLoadError extends UnavailableError {
  constructor(
    message: string,
    readonly entries: readonly BanEntry[],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface BanEvents {
  added(entry: BanEntry): void;
  removed(key: string): void;
  cleared(): void;
}

/** Bans: who is kept out, until when, and the scores that lead there. */

import type { DependencyHealth } from '../../shared/health.js';

/** One ban as stored. */
export interface BanEntry {
  /** Address, CIDR subnet or base58 peer ID, canonical. */
  readonly key: string;
  readonly kind: 'address' | 'subnet' | 'peer';
  /** Unix ms. */
  readonly until: number;
  /** By an operator, or by score: an automatic ban never displaces an operator's. */
  readonly origin: 'operator' | 'score';
}

/** Where bans are kept between runs: LevelDB, or Teranode's `bans` table in Postgres. */
export interface BanStore {
  open(): Promise<void>;
  load(): Promise<readonly BanEntry[]>;
  put(entry: BanEntry): Promise<void>;
  /** With `endedAt` (unix ms) only if the stored ban ends by then: another node may have prolonged it. */
  delete(key: string, endedAt?: number): Promise<void>;
  clear(): Promise<void>;
  health(signal: AbortSignal): Promise<DependencyHealth>;
  close(): Promise<void>;
}

export interface BanEvents {
  added(entry: BanEntry): void;
  removed(key: string): void;
  cleared(): void;
}

/** When a peer may be asked to catch up from, and whether one of which nothing is proven. Times are unix ms. */

import { Backoff } from '../../shared/async/backoff.js';
import type { Settings } from '../../shared/settings/table.js';

export type PaceSettings = Pick<
  Settings,
  'p2p_sync_interval' | 'p2p_max_unproven_sync_probes_per_backoff_window'
>;

/** Intervals during which our height must stand still before a peer is asked: a block just announced is on its way. */
const SETTLE_INTERVALS = 5;
/** The longest pause after attempts in vain, in intervals. */
const MAX_BACKOFF = 32;

export class SyncPace {
  readonly #settings: PaceSettings;
  readonly #now: () => number;
  #height: number | undefined;
  #roseAt = 0;
  /** After attempts in vain since our height rose, and looks that found nobody. */
  readonly #backoff: Backoff;
  #nextAt = 0;
  /** Peers of which nothing is proven that may still be tried until our height rises or a backoff is over. */
  #probes: number;
  #probesRenewed = false;

  constructor(settings: PaceSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
    const { p2p_sync_interval: firstMs } = settings;
    this.#backoff = new Backoff({ firstMs, maxMs: MAX_BACKOFF * firstMs });
    this.#probes = this.maxProbes;
  }

  /** Our height when it was told last; undefined before. */
  get height(): number | undefined {
    return this.#height;
  }

  /** When our height rose last, or was first known. */
  get roseAt(): number {
    return this.#roseAt;
  }

  /** How long, ms, our height must stand still before that means something. */
  get settleMs(): number {
    return SETTLE_INTERVALS * this.#settings.p2p_sync_interval;
  }

  get maxProbes(): number {
    return this.#settings.p2p_max_unproven_sync_probes_per_backoff_window;
  }

  /** Whether a peer may be tried of which nothing is proven. */
  get allowsProbe(): boolean {
    return this.#probes > 0;
  }

  /** Whether a peer may be tried now. A height that rises needs nobody. */
  get isDue(): boolean {
    const now = this.#now();
    return now >= this.#nextAt && (this.#backoff.failures > 0 || now - this.#roseAt >= this.settleMs);
  }

  /** Takes in our height. */
  noteHeight(height: number): void {
    const before = this.#height;
    this.#height = height;
    if (before !== undefined && height <= before) return;
    this.#roseAt = this.#now();
    this.#probes = this.maxProbes;
    if (before !== undefined) this.#backoff.reset();
  }

  /** Nobody is ahead of us. */
  level(): void {
    this.#backoff.reset();
  }

  /** An attempt has led to where it should. */
  succeeded(): void {
    this.#backoff.reset();
    this.#probes = this.maxProbes;
  }

  /** An attempt was in vain, or there is nobody to try: the first time one interval passes until the next, then two, and so on, 32 at the most. */
  backOff(): void {
    this.#nextAt = this.#now() + this.#backoff.next();
  }

  /** At the next attempt those of which nothing is proven have their turns again. */
  renewProbes(): void {
    this.#probesRenewed = true;
  }

  /** A peer is about to be chosen. */
  begin(): void {
    if (!this.#probesRenewed) return;
    this.#probesRenewed = false;
    this.#probes = this.maxProbes;
  }

  /** A peer is tried of which nothing is proven. */
  probed(): void {
    this.#probes--;
  }
}

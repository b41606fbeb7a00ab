/** Peers that were tried in vain, and how long they are left alone. */

import { LRUCache } from 'lru-cache';
import { type BackoffPolicy, backoffMs } from '../../shared/async/backoff.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';

interface Tried {
  /** Ms; until then it rests. */
  readonly until: number;
  /** Ms; when it was last tried in vain. */
  readonly at: number;
  /** Ms; when catching up from it failed last. */
  readonly failedAt: number;
  /** Times that catching up from it failed. */
  readonly failures: number;
}

/** Peers remembered; past it the one that was tried least recently may be tried at once. */
const MAX_RESTING = 10_000;
/** The first is as in Go, where it stays that. */
const REST: BackoffPolicy = { firstMs: 60_000, maxMs: 3_600_000 };
/** Milliseconds without another failure after which those before no longer count. */
const FORGIVEN_MS = 2 * REST.maxMs;

const NEVER: Tried = { until: 0, at: 0, failedAt: Number.NEGATIVE_INFINITY, failures: 0 };

export class PeerBackoff {
  readonly #peers = new LRUCache<PeerIdText, Tried>({ max: MAX_RESTING });
  readonly #now: () => number;

  /** `now`: unix ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  isBackingOff(peer: PeerIdText): boolean {
    return this.#now() < this.#of(peer).until;
  }

  /** When (unix ms) it was last tried in vain; 0 for never. */
  triedAt(peer: PeerIdText): number {
    return this.#of(peer).at;
  }

  /** Whether it may be tried although it rests, since everybody does. */
  mayBeWoken(peer: PeerIdText): boolean {
    return this.#now() - this.#of(peer).at >= REST.firstMs;
  }

  /** Catching up from it was in vain: each time it rests longer. */
  failed(peer: PeerIdText): void {
    const now = this.#now();
    const before = this.#of(peer);
    const failures = (now - before.failedAt < FORGIVEN_MS ? before.failures : 0) + 1;
    this.#peers.set(peer, { until: now + backoffMs(REST, failures), at: now, failedAt: now, failures });
  }

  /** Its data hub did not answer. That may be our own way out, which fails with all of them: it does not add up. */
  unanswered(peer: PeerIdText): void {
    const now = this.#now();
    const before = this.#of(peer);
    this.#peers.set(peer, { ...before, until: Math.max(before.until, now + REST.firstMs), at: now });
  }

  /** It was of use. */
  succeeded(peer: PeerIdText): void {
    this.#peers.delete(peer);
  }

  #of(peer: PeerIdText): Tried {
    return this.#peers.peek(peer) ?? NEVER;
  }
}

/** Peers that were tried in vain, and how long they are left alone. */

import { LRUCache } from 'lru-cache';

/** Peers remembered; past it the one that was tried least recently may be tried at once. */
const MAX_RESTING = 10_000;
/** Milliseconds after the first failure, doubled with each further one; as in Go, where it stays that. */
const REST_MS = 60_000;
const LONGEST_REST_MS = 3_600_000;

export class RestingPeers {
  readonly #peers = new LRUCache<string, { readonly until: number; readonly failures: number }>({
    max: MAX_RESTING,
  });
  readonly #now: () => number;

  /** `now`: ms, never going back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  isResting(peer: string): boolean {
    return this.#now() < (this.#peers.peek(peer)?.until ?? Number.NEGATIVE_INFINITY);
  }

  /** It was tried in vain. */
  failed(peer: string): void {
    const failures = (this.#peers.peek(peer)?.failures ?? 0) + 1;
    const rest = Math.min(LONGEST_REST_MS, REST_MS * 2 ** (failures - 1));
    this.#peers.set(peer, { until: this.#now() + rest, failures });
  }

  /** It was of use. */
  succeeded(peer: string): void {
    this.#peers.delete(peer);
  }
}

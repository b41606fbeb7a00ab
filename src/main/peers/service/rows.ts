/** What the blockchain service's registry answered about peers, remembered for a while. Asked for every message: constant time. */

import { LRUCache } from 'lru-cache';
import { monotonic } from '../../../shared/clock.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { ServiceRow } from '../service-row.js';

/** An answer is better than none for so long. */
const KEPT_MS = 60_000;
/** Peers; the service keeps some 10,000 itself. */
export const MAX_ROWS = 20_000;

interface Answer {
  /** Undefined: the service does not know the peer. */
  readonly row: ServiceRow | undefined;
  /** Monotonic. */
  readonly at: number;
}

export class ServiceRows {
  readonly #answers = new LRUCache<PeerIdText, Answer>({ max: MAX_ROWS });
  readonly #freshMs: number;

  /** `freshMs`: an answer is as good as new for so long. */
  constructor({ freshMs }: { readonly freshMs: number }) {
    this.#freshMs = freshMs;
  }

  /** The answer about a peer; undefined where there is none that counts, or the service does not know it. */
  get(peer: PeerIdText): ServiceRow | undefined {
    const answer = this.#answers.peek(peer);
    return answer !== undefined && monotonic() - answer.at < KEPT_MS ? answer.row : undefined;
  }

  /** Whether there is nothing as good as new about a peer. */
  isDue(peer: PeerIdText): boolean {
    const at = this.#answers.peek(peer)?.at ?? Number.NEGATIVE_INFINITY;
    return monotonic() - at >= this.#freshMs;
  }

  has(peer: PeerIdText): boolean {
    return this.#answers.has(peer);
  }

  set(peer: PeerIdText, row: ServiceRow | undefined): void {
    this.#answers.set(peer, { row, at: monotonic() });
  }

  /** Every peer that the service knew when it was asked last. */
  *all(): Generator<ServiceRow> {
    const oldest = monotonic() - KEPT_MS;
    for (const { row, at } of this.#answers.values()) {
      if (row !== undefined && at > oldest) yield row;
    }
  }

  forget(peer: PeerIdText): void {
    this.#answers.delete(peer);
  }

  /** What was answered so far no longer counts. */
  clear(): void {
    this.#answers.clear();
  }
}

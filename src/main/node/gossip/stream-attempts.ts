/** When our gossip stream to one peer is opened again: three times at once, then ever more seldom, until one has lasted. */

import type { Connection } from '@libp2p/interface';
import { type BackoffPolicy, backoffMs } from '../../../shared/async/backoff.js';

/** Streams that are opened without a pause between them. */
const AT_ONCE = 3;
/** After those. */
const SELDOM: BackoffPolicy = { firstMs: 1_000, maxMs: 32_000 };
/** A stream that was opened so long before the next one did not end for a reason that comes back. */
const LASTED_MS = 60_000;

export class StreamAttempts {
  /** Connections on which streams were opened. */
  readonly #tried = new WeakSet<Connection>();
  #openedAt = Number.NEGATIVE_INFINITY;
  #opening = false;
  #count = 0;

  /** Streams opened in a row, since a connection was new, of which none has lasted. */
  get count(): number {
    return this.#count;
  }

  /** Begins an attempt on `connection`, to be ended with `end`; false while it must not be. */
  begin(connection: Connection): boolean {
    const now = performance.now();
    if (this.#opening) return false;
    if (now - this.#openedAt >= LASTED_MS || !this.#tried.has(connection)) this.#count = 0;
    if (now < this.#openedAt + pauseBefore(this.#count)) return false;
    this.#tried.add(connection);
    this.#opening = true;
    this.#openedAt = now;
    this.#count++;
    return true;
  }

  end(): void {
    this.#opening = false;
  }
}

function pauseBefore(attempt: number): number {
  return attempt < AT_ONCE ? 0 : backoffMs(SELDOM, attempt - AT_ONCE + 1);
}

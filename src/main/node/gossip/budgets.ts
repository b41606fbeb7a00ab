/**
 * What one peer may send a second before its signatures are looked at: verifying costs more than sending, so without a
 * budget a flood of forgeries would be cheap. The rest of the second is dropped, never the connection; who exceeds it
 * second after second is reported.
 */

import { LRUCache } from 'lru-cache';
import { monotonic } from '../../../shared/clock.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';

const WINDOW_MS = 1000;
/** Seconds in excess, less those without, at which excess is persistent. */
const PERSISTENT = 5;
/** What a peer sent may still be read when it has left: who comes and goes must not leave more than this behind. */
const MAX_PEERS = 10_000;

export interface BudgetOptions {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  /** Called once each time a peer's excess has become persistent. */
  readonly onExcess: (peerId: PeerIdText) => void;
  /** Ms, never going back; the monotonic clock unless given. */
  readonly now?: () => number;
}

interface Budget {
  windowStart: number;
  messages: number;
  bytes: number;
  exceeded: boolean;
  strikes: number;
}

export class ConnectionBudgets {
  readonly #metrics: NodeMetrics;
  readonly #options: BudgetOptions;
  readonly #now: () => number;
  readonly #budgets = new LRUCache<PeerIdText, Budget>({ max: MAX_PEERS });

  constructor(components: { readonly metrics: NodeMetrics }, options: BudgetOptions) {
    this.#metrics = components.metrics;
    this.#options = options;
    this.#now = options.now ?? monotonic;
  }

  /** Whether one more message of `bytes` may pass, or what amounts to `messages` of them; a refusal is counted. */
  admit(peerId: PeerIdText, bytes: number, messages = 1): boolean {
    const now = this.#now();
    let budget = this.#budgets.get(peerId);
    if (budget === undefined) {
      budget = { windowStart: now, messages: 0, bytes: 0, exceeded: false, strikes: 0 };
      this.#budgets.set(peerId, budget);
    } else if (now - budget.windowStart >= WINDOW_MS) {
      const windows = Math.floor((now - budget.windowStart) / WINDOW_MS);
      const forgiven = budget.exceeded ? windows - 1 : windows;
      budget.strikes = Math.max(0, budget.strikes - forgiven);
      budget.windowStart += windows * WINDOW_MS;
      budget.messages = 0;
      budget.bytes = 0;
      budget.exceeded = false;
    }
    const { messagesPerSecond, bytesPerSecond, onExcess } = this.#options;
    // A first message always passes: a bound below one message would be silence.
    const fits =
      budget.messages === 0 ||
      (budget.messages + messages <= messagesPerSecond && budget.bytes + bytes <= bytesPerSecond);
    if (fits) {
      budget.messages += messages;
      budget.bytes += bytes;
      return true;
    }
    this.#metrics.budgetDropped.inc();
    if (!budget.exceeded) {
      budget.exceeded = true;
      if (++budget.strikes >= PERSISTENT) {
        budget.strikes = 0;
        this.#metrics.budgetExcess.inc();
        onExcess(peerId);
      }
    }
    return false;
  }

  /** Forgets a peer that has left. */
  forget(peerId: PeerIdText): void {
    this.#budgets.delete(peerId);
  }
}

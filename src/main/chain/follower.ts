/** The node's chain as the rest of the server sees it: its best block, its state and what it tells, as they are now and as events. */

import { EventEmitter } from 'node:events';
import { pause } from '../../shared/async/pause.js';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { errorMessage } from '../../shared/errors.js';
import { NotFoundError } from '../../shared/grpc/call.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { ChainMetrics } from './metrics.js';
import { ChainSubscription, type ChainSubscriptionOptions } from './subscription.js';
import type { BlockchainClient, BlockHeaderInfo, ChainNotification, FsmState } from './types.js';

/** Listeners return at once: what takes time is queued by them. */
export interface ChainEvents {
  /**
   * The tip with which a subscription opened: state, not news. `previous` is the last block told before the break, undefined the first
   * time; where the two differ, blocks came in between.
   */
  opened: [tip: HashHex, previous: HashHex | undefined];
  /** Something new, in order. Of a block it is told before the best block that comes of it. */
  notification: [notification: ChainNotification];
  /** Another best block than before. */
  best: [best: BlockHeaderInfo];
  /** The state changed; undefined while it cannot be read. */
  state: [state: FsmState | undefined];
}

/** What there is to know of the chain. */
export interface ChainView {
  /** The best block as last read; undefined before the first. */
  readonly best: BlockHeaderInfo | undefined;
  /** As last read or told; undefined while it cannot be read. */
  readonly fsmState: FsmState | undefined;
}

export interface ChainFollowerComponents {
  readonly chain: BlockchainClient;
  readonly logger: Logger;
  readonly metrics: ChainMetrics;
}

export interface ChainFollowerOptions {
  readonly subscription?: ChainSubscriptionOptions;
  /**
   * Milliseconds between two attempts at a question.
   * @default 1_000
   */
  readonly retryMs?: number;
}

/** Attempts at one question. */
const ATTEMPTS = 3;

export class ChainFollower extends EventEmitter<ChainEvents> implements ChainView {
  readonly #chain: BlockchainClient;
  readonly #logger: Logger;
  readonly #metrics: ChainMetrics;
  readonly #retryMs: number;
  readonly #subscription: ChainSubscription;
  readonly #stopping = new AbortController();
  #best: BlockHeaderInfo | undefined;
  #isBestWanted = false;
  #reading: Promise<void> | undefined;

  constructor({ chain, logger, metrics }: ChainFollowerComponents, options: ChainFollowerOptions = {}) {
    super();
    this.#chain = chain;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#retryMs = options.retryMs ?? 1_000;
    this.#subscription = new ChainSubscription(
      { chain, logger },
      {
        notification: (notification) => {
          this.emit('notification', notification);
          if (notification.type === 'block') this.#readBestSoon();
        },
        opened: (tip, previous) => {
          this.emit('opened', tip, previous);
          this.#readBestSoon();
        },
        fsmState: (state) => this.emit('state', state),
        connected: (connected) => metrics.subscribed.set(connected ? 1 : 0),
      },
      options.subscription,
    );
  }

  get best(): BlockHeaderInfo | undefined {
    return this.#best;
  }

  get fsmState(): FsmState | undefined {
    return this.#subscription.fsmState;
  }

  /** Whether the chain's notifications are coming. */
  get connected(): boolean {
    return this.#subscription.connected;
  }

  /** The same for readiness, with the reason why not. */
  health(): DependencyHealth {
    return this.#subscription.health();
  }

  /** Begins, and does not wait for the service. */
  start(): void {
    this.#subscription.start();
  }

  /** Hears nothing more; resolves when the best block that comes of what was heard has been told. */
  async unsubscribe(): Promise<void> {
    await this.#subscription.stop();
    await this.#reading;
  }

  /** Resolves when nothing more will be told. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.unsubscribe();
  }

  /** A block of the chain; undefined where a few attempts did not bring it, which is counted against `kind` and logged. */
  header(hash: HashHex, kind: string, signal: AbortSignal): Promise<BlockHeaderInfo | undefined> {
    return this.#asked((until) => this.#chain.getBlockHeader(hash, until), kind, signal);
  }

  /** One look at a time: what is told meanwhile is in the next. */
  #readBestSoon(): void {
    this.#isBestWanted = true;
    this.#reading ??= this.#readBest();
  }

  async #readBest(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#isBestWanted && !signal.aborted) {
      this.#isBestWanted = false;
      const best = await this.#asked((until) => this.#chain.getBestBlockHeader(until), 'best_block', signal);
      if (best === undefined || best.hash === this.#best?.hash) continue;
      this.#best = best;
      this.emit('best', best);
    }
    this.#reading = undefined;
  }

  async #asked<T>(
    ask: (signal: AbortSignal) => Promise<T>,
    kind: string,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await ask(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (attempt >= ATTEMPTS || error instanceof NotFoundError) {
          this.#metrics.failures.inc({ kind });
          this.#logger.warn({ kind, reason: errorMessage(error) }, 'the chain did not answer');
          break;
        }
        await pause(this.#retryMs, { signal });
      }
    }
    return undefined;
  }
}

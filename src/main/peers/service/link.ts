/**
 * The way to the blockchain service's registry: whether it is in use, and its calls. A service may have no registry, be away or want another key; then it is asked
 * again after a while, and for that long nothing else is.
 */

import { setMaxListeners } from 'node:events';
import { Backoff } from '../../../shared/async/backoff.js';
import { monotonic } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import type { DependencyHealth } from '../../../shared/health.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type {
  PeerRegistryCalls,
  RegistryMethod,
  RegistryRequest,
  RegistryResponse,
} from '../../chain/peer-registry-calls.js';
import type { RegistryClientMetrics } from './metrics.js';
import { outcomeOf } from './outcome.js';

/**
 * `unasked`: not answered yet. `serving`. `absent`: an older service, without a registry. `away`: it does not answer, or too late, or not well.
 * `refused`: it wants another key.
 */
export type RegistryState = 'unasked' | 'serving' | 'absent' | 'away' | 'refused';

export interface RegistryLinkComponents {
  readonly calls: PeerRegistryCalls;
  readonly logger: Logger;
  readonly metrics: Pick<RegistryClientMetrics, 'calls' | 'up'>;
  /** It is not in use any more, or still not; `changed`: it was something else before. */
  readonly onLeft: (state: 'away' | 'absent' | 'refused', changed: boolean) => void;
}

export interface RegistryLinkOptions {
  /** For a call, ms. */
  readonly callMs: number;
  /** Between two questions to a service that has no registry, ms. */
  readonly absentMs: number;
  /** The longest pause before a service that is away is asked again, ms. */
  readonly awayMs: number;
}

const RESOURCE = 'PeerRegistryClient';
const FIRST_RETRY_MS = 1_000;
const REFUSED_RETRY_MS = 60_000;
/** A service that served for so long is asked again soon when it goes; and as long there is no second line about the same. */
const STEADY_MS = 60_000;
const FULL_SHOWN_MS = 60_000;
/** Between two lines of the log about it. */
const FULL_TOLD_MS = 600_000;
/** Without these there is no registry to speak of. */
const INDISPENSABLE: ReadonlySet<RegistryMethod> = new Set(['listPeers', 'registerPeer', 'listBannedPeers']);

const NEVER = Number.NEGATIVE_INFINITY;

export class RegistryLink {
  readonly #components: RegistryLinkComponents;
  readonly #options: RegistryLinkOptions;
  readonly #ending = new AbortController();
  /** Methods that the service does not have, though it has a registry. */
  readonly #missing = new Set<RegistryMethod>();
  #state: RegistryState = 'unasked';
  #reason = '';
  /** When the service refused something for want of capacity, and when that was logged. */
  #fullAt = NEVER;
  #fullToldAt = NEVER;
  readonly #backoff: Backoff;
  /** Monotonic. */
  #servingSince = 0;
  /** When a line was logged, monotonic. */
  readonly #toldAt = { away: NEVER, serving: NEVER };
  /** Monotonic. */
  #askAt = 0;

  constructor(components: RegistryLinkComponents, options: RegistryLinkOptions) {
    this.#components = components;
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: options.awayMs });
    // One a call that is under way.
    setMaxListeners(0, this.#ending.signal);
  }

  get state(): RegistryState {
    return this.#state;
  }

  /** Whether it is in use. */
  get serves(): boolean {
    return this.#state === 'serving';
  }

  /** Whether a service that is not in use is to be asked again by now. */
  get isDue(): boolean {
    return monotonic() >= this.#askAt;
  }

  /** Whether {@link end} has been called. */
  get ended(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Never 503: this server does its work without the service's registry. */
  health(): DependencyHealth {
    const messages: Record<RegistryState, string> = {
      unasked: 'the blockchain service has not answered yet whether it has a peer registry',
      serving:
        monotonic() - this.#fullAt < FULL_SHOWN_MS
          ? 'in use, and full: further peers are known here alone'
          : 'in use',
      absent: 'the blockchain service has no peer registry: the one here is in use',
      away: `the one here is in use: ${this.#reason}`,
      refused: `the one here is in use: ${this.#reason}`,
    };
    return { resource: RESOURCE, status: 200, message: messages[this.#state] };
  }

  async call<M extends RegistryMethod>(
    method: M,
    request: RegistryRequest<M>,
    deadlineMs = this.#options.callMs,
  ): Promise<RegistryResponse<M>> {
    const { calls, metrics } = this.#components;
    try {
      const response = await calls.call(method, request, { deadlineMs, signal: this.#ending.signal });
      metrics.calls.inc({ outcome: 'ok' });
      return response;
    } catch (error) {
      metrics.calls.inc({ outcome: outcomeOf(error) });
      throw error;
    }
  }

  /** Undefined where the service did not do it. Never rejects. */
  async try<M extends RegistryMethod>(
    method: M,
    request: RegistryRequest<M>,
  ): Promise<RegistryResponse<M> | undefined> {
    if (this.#missing.has(method)) return undefined;
    try {
      return await this.call(method, request);
    } catch (error) {
      this.failed(method, error);
      return undefined;
    }
  }

  /** Whether the service has a registry without this method. */
  lacks(method: RegistryMethod): boolean {
    return this.#missing.has(method);
  }

  /** Takes in what a failed call says of the service. */
  failed(method: RegistryMethod, error: unknown): void {
    // Calls that were under way together fail together.
    if (this.ended || !this.serves) return;
    const outcome = outcomeOf(error);
    const reason = errorMessage(error);
    if (outcome === 'away' || outcome === 'late') this.leave('away', reason);
    else if (outcome === 'refused') this.leave('refused', reason);
    else if (outcome === 'absent') {
      if (INDISPENSABLE.has(method)) this.leave('absent', reason);
      else this.#missing.add(method);
    } else this.#components.logger.debug({ method, reason }, 'a call to the peer registry failed');
  }

  /** A service that was not in use could not be taken into use. */
  notResumed(error: unknown): void {
    if (this.ended) return;
    const outcome = outcomeOf(error);
    this.leave(outcome === 'absent' || outcome === 'refused' ? outcome : 'away', errorMessage(error));
  }

  /** It is in use from now on. */
  resumed(): void {
    this.#missing.clear();
    this.#state = 'serving';
    this.#reason = '';
    this.#fullAt = NEVER;
    this.#servingSince = monotonic();
    this.#components.metrics.up.set(1);
  }

  /** Tells the log that it is in use. */
  tellResumed(fields: object): void {
    const level = this.#mayTell('serving') ? 'info' : 'debug';
    this.#components.logger[level](fields, 'the peer registry of the blockchain service is in use');
  }

  /** The service's registry is in use no longer, or still not; asked again in `againMs`, which the state says unless told. One line a change. */
  leave(state: 'away' | 'absent' | 'refused', reason: string, againMs?: number): void {
    const { metrics, onLeft } = this.#components;
    const { absentMs } = this.#options;
    const before = this.#state;
    if (before === 'serving' && monotonic() - this.#servingSince > STEADY_MS) this.#backoff.reset();
    const waits = { absent: absentMs, refused: REFUSED_RETRY_MS };
    const waitMs = state === 'away' ? this.#backoff.next() : waits[state];
    this.#askAt = monotonic() + (againMs ?? waitMs);
    this.#reason = reason;
    this.#state = state;
    metrics.up.set(0);
    if (before !== state) this.#tellLeft(state, reason);
    onLeft(state, before !== state);
  }

  /** The service had no capacity for one more peer. */
  full(): void {
    const now = monotonic();
    this.#fullAt = now;
    if (now - this.#fullToldAt < FULL_TOLD_MS) return;
    this.#fullToldAt = now;
    this.#components.logger.warn(
      'the peer registry of the blockchain service is full: further peers are known here alone',
    );
  }

  /** Ends the calls under way, and those to come. */
  end(): void {
    this.#ending.abort();
  }

  /** A refused key is told by the neighbour itself, and nothing is wrong with a service of before 2026. */
  #tellLeft(state: 'away' | 'absent' | 'refused', reason: string): void {
    const { logger } = this.#components;
    if (state === 'away') {
      const level = this.#mayTell('away') ? 'warn' : 'debug';
      logger[level](
        { reason },
        'the peer registry of the blockchain service does not answer: the one here is in use',
      );
    } else if (state === 'absent') {
      logger.info('the blockchain service has no peer registry: the one here is in use');
    }
  }

  /** Whether a line about a state is not the same as one of the last minute: a service may come and go. */
  #mayTell(state: 'away' | 'serving'): boolean {
    const now = monotonic();
    const may = now - this.#toldAt[state] >= STEADY_MS;
    if (may) this.#toldAt[state] = now;
    return may;
  }
}

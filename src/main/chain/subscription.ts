/** The chain's notifications without end: across breaks, restarts and silences of the service. */

import { deadlineSignal } from '../../shared/async/deadline.js';
import { pause } from '../../shared/async/pause.js';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { errorMessage } from '../../shared/errors.js';
import { SilenceError } from '../../shared/grpc/neighbour.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { BlockchainClient, ChainNotification, FsmState } from './types.js';

const FSM_STATES: ReadonlySet<string> = new Set<FsmState>([
  'IDLE',
  'RUNNING',
  'CATCHINGBLOCKS',
  'LEGACYSYNCING',
]);

export interface ChainSubscriptionComponents {
  readonly chain: Pick<BlockchainClient, 'subscribe' | 'getFsmState'>;
  readonly logger: Logger;
}

export interface ChainSubscriptionListener {
  /** Something new, in order. Returns at once: what takes time is queued by the listener. */
  notification(notification: ChainNotification): void;
  /**
   * The tip with which a subscription opened: state, not news. `previous` is the last best block heard before the
   * break, undefined the first time; where the two differ, blocks came in between.
   */
  opened(tip: HashHex, previous: HashHex | undefined): void;
  /** The state changed; undefined while it cannot be read. */
  fsmState?(state: FsmState | undefined): void;
  /** A subscription opened, or the one that was open ended. */
  connected?(connected: boolean): void;
}

export interface ChainSubscriptionOptions {
  /** Name told to the service. */
  readonly source?: string;
  /**
   * Milliseconds between a break and the next attempt.
   * @default 1_000
   */
  readonly resumeMs?: number;
  /**
   * Bounds for the interval of the service's heartbeat as measured, in ms.
   * @default 1,000 and 300,000
   */
  readonly heartbeatBounds?: readonly [number, number];
  /**
   * Milliseconds that reading the FSM state may take.
   * @default 5_000
   */
  readonly fsmDeadlineMs?: number;
  /**
   * Milliseconds between two readings of an FSM state that is unreadable or not RUNNING.
   * @default 3_000
   */
  readonly fsmPollMs?: number;
  /**
   * Milliseconds that the opening block may take.
   * @default 10_000
   */
  readonly openingMs?: number;
}

/**
 * Subscribes again `resumeMs` after every break, also when the opening block does not come in time. A service that sends
 * PINGs is expected to go on: their interval is measured, and two of it in silence are a break. One that never pings
 * may be silent for ever; that its connection is dead is found by the calls beside (`Neighbour`). After a silence the next attempt is
 * made over a new connection.
 *
 * The FSM state is read before each subscription, and once more behind its opening block: a change between that reading
 * and the service's taking us in is told to nobody. While it is unreadable or not RUNNING it is read every `fsmPollMs`
 * too, as what would end that may have been lost and nothing else asks again.
 */
export class ChainSubscription {
  readonly #chain: ChainSubscriptionComponents['chain'];
  readonly #logger: Logger;
  readonly #listener: ChainSubscriptionListener;
  readonly #options: Required<ChainSubscriptionOptions>;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #fsmState: FsmState | undefined;
  #fsmReads = 0;
  /** The read, or the notification counted with them, that told the state last. */
  #fsmTold = 0;
  #tip: HashHex | undefined;
  #connected = false;
  #reason = 'not yet asked for';

  constructor(
    { chain, logger }: ChainSubscriptionComponents,
    listener: ChainSubscriptionListener,
    options: ChainSubscriptionOptions = {},
  ) {
    this.#chain = chain;
    this.#logger = logger;
    this.#listener = listener;
    this.#options = {
      source: options.source ?? 'p2pServer',
      resumeMs: options.resumeMs ?? 1_000,
      heartbeatBounds: options.heartbeatBounds ?? [1_000, 300_000],
      fsmDeadlineMs: options.fsmDeadlineMs ?? 5_000,
      fsmPollMs: options.fsmPollMs ?? 3_000,
      openingMs: options.openingMs ?? 10_000,
    };
  }

  /** Undefined while it cannot be read. */
  get fsmState(): FsmState | undefined {
    return this.#fsmState;
  }

  /** Whether a subscription is open and has told its tip. */
  get connected(): boolean {
    return this.#connected;
  }

  /** For readiness: without a subscription nothing new of ours is announced. */
  health(): DependencyHealth {
    const resource = 'blockchain subscription';
    return this.#connected
      ? { resource, status: 200, message: 'open' }
      : { resource, status: 503, error: this.#reason, message: 'nothing of ours is announced meanwhile' };
  }

  /** Begins, and does not wait for the service. */
  start(): void {
    this.#running ??= Promise.all([this.#run(), this.#pollFsmState()]).then(() => {});
  }

  /** Ends the subscription; resolves when nothing more will be told. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let told = false;
    while (!signal.aborted) {
      try {
        await this.#readFsmState();
        await this.#follow();
      } catch (error) {
        if (signal.aborted) break;
        this.#reason = errorMessage(error);
        // Once an outage, not once a second.
        if (this.#connected || !told) {
          this.#logger.warn({ reason: this.#reason }, 'lost the blockchain subscription, resuming');
          told = true;
        }
      }
      this.#setConnected(false);
      await pause(this.#options.resumeMs, { signal });
    }
    this.#setConnected(false);
  }

  /** One subscription, until it breaks. */
  async #follow(): Promise<void> {
    const { openingMs, heartbeatBounds, source } = this.#options;
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const silent = (what: string): void => ended.abort(new SilenceError(what));
    this.#stopping.signal.addEventListener('abort', end, { once: true });
    const heartbeat = new Heartbeat(heartbeatBounds, () => silent('the heartbeat stopped'));
    const opening = setTimeout(() => silent(`no opening block within ${openingMs} ms`), openingMs);
    try {
      for await (const notification of this.#chain.subscribe(source, ended.signal)) {
        if (this.#stopping.signal.aborted) return;
        heartbeat.heard(notification.type === 'ping');
        this.#take(notification);
        if (this.#connected) clearTimeout(opening);
      }
      if (ended.signal.reason instanceof SilenceError) throw ended.signal.reason;
    } finally {
      clearTimeout(opening);
      heartbeat.stop();
      end();
      this.#stopping.signal.removeEventListener('abort', end);
    }
  }

  #take(notification: ChainNotification): void {
    if (notification.type === 'fsm_state') {
      // The destination as told, at once; a name of the future is read as the service has it.
      if (FSM_STATES.has(notification.destination)) {
        this.#setFsmState(notification.destination as FsmState, ++this.#fsmReads);
      } else {
        this.#fsmTold = this.#fsmReads;
        this.#readFsmState().catch(() => {});
      }
    }
    if (notification.type === 'block') {
      const previous = this.#tip;
      this.#tip = notification.hash;
      if (!this.#connected) {
        this.#logger.info({ hash: notification.hash }, 'subscribed to the blockchain');
        this.#setConnected(true);
        this.#listener.opened(notification.hash, previous);
        this.#readFsmState(() => true).catch(() => {});
        return;
      }
    }
    this.#listener.notification(notification);
  }

  #setConnected(connected: boolean): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.#listener.connected?.(connected);
  }

  async #pollFsmState(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await pause(this.#options.fsmPollMs, { signal });
      if (!signal.aborted && this.#fsmState !== 'RUNNING') await this.#readFsmState(() => this.#connected);
    }
  }

  /** Where `keep` says so once it has turned out, a state that cannot be read leaves the one that is known. */
  async #readFsmState(keep = (): boolean => false): Promise<void> {
    const read = ++this.#fsmReads;
    const deadline = deadlineSignal(this.#options.fsmDeadlineMs, this.#stopping.signal);
    const state = await this.#chain.getFsmState(deadline).catch(() => undefined);
    if (state === undefined && keep()) return;
    // A state told meanwhile, by a notification or a later question, is newer than the answer.
    if (read > this.#fsmTold && !this.#stopping.signal.aborted) this.#setFsmState(state, read);
  }

  #setFsmState(state: FsmState | undefined, read: number): void {
    this.#fsmTold = read;
    if (state === this.#fsmState) return;
    this.#fsmState = state;
    this.#logger.info({ state: state ?? 'unreadable' }, 'blockchain state');
    this.#listener.fsmState?.(state);
  }
}

/** Calls `ended` after two silent intervals, once two PINGs have told the interval. */
class Heartbeat {
  readonly #bounds: readonly [number, number];
  readonly #ended: () => void;
  #lastPing: number | undefined;
  #interval: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(bounds: readonly [number, number], ended: () => void) {
    this.#bounds = bounds;
    this.#ended = ended;
  }

  heard(ping: boolean): void {
    if (ping) {
      const now = performance.now();
      if (this.#lastPing !== undefined) {
        // The longest seen: two PINGs that a slow reader found together tell nothing.
        const [least, most] = this.#bounds;
        const seen = Math.min(Math.max(now - this.#lastPing, least), most);
        this.#interval = Math.max(this.#interval ?? 0, seen);
      }
      this.#lastPing = now;
    }
    if (this.#interval === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#ended, 2 * this.#interval);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

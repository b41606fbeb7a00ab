/**
 * Reservations at circuit relays, through which peers behind a router are reached. Asked for in the background: a relay that is
 * away, or a bootstrap peer that is none, must not hold up the start. They stay wanted: a reservation that is lost, because its relay was
 * restarted or the connection broke, is asked for again.
 */

import type { Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { Backoff, type BackoffPolicy } from '../../../shared/async/backoff.js';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { type ResolveOptions, resolvePeers } from '../addresses/dnsaddr.js';
import { isRelayed } from '../addresses/multiaddrs.js';
import type { RelayReservations } from '../patches/relay-reservations.js';

/** After a first round in which a relay had no reservation for us, and then twice as long each time. */
const AGAIN: BackoffPolicy = { firstMs: 5_000, maxMs: 60_000 };
/** After a reservation was lost. */
const LOST_RETRY_MS = 1_000;
const DIAL_TIMEOUT_MS = 10_000;

export interface RelaysComponents {
  readonly libp2p: Pick<Libp2p, 'peerId' | 'dial' | 'getConnections'>;
  /** Undefined: the node has no circuit transport, and takes no reservations. */
  readonly reservations: RelayReservations | undefined;
  readonly logger: Logger;
}

export interface RelaysOptions extends ResolveOptions {
  /** Multiaddrs ending in /p2p/<id>, or /dnsaddr. */
  readonly addresses: readonly string[];
  /** Told the base58 IDs of the relays before one is dialled. */
  readonly onResolved?: (peerIds: Iterable<string>) => void;
  /** Milliseconds until the first retry, which double. Default 5,000. */
  readonly firstRetryMs?: number;
}

export class Relays {
  readonly #components: RelaysComponents;
  readonly #options: RelaysOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  readonly #backoff: Backoff;
  /** A reservation was lost while a round was under way. */
  #lost = false;
  #unwatch: () => void = () => {};

  constructor(components: RelaysComponents, options: RelaysOptions) {
    this.#components = components;
    this.#options = options;
    this.#backoff = new Backoff({ ...AGAIN, firstMs: this.#firstWait });
  }

  /** Begins at once; waits for no relay. */
  start(): void {
    const { reservations } = this.#components;
    if (reservations === undefined || this.#options.addresses.length === 0) return;
    this.#unwatch = reservations.onLost((relay) => this.#onLost(relay));
    this.#schedule(reservations, 0);
  }

  /** Does not wait for a relay that is being asked and may not answer. */
  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#unwatch();
  }

  get #firstWait(): number {
    return this.#options.firstRetryMs ?? AGAIN.firstMs;
  }

  #onLost(relay: string): void {
    const { reservations, logger } = this.#components;
    if (reservations === undefined || this.#stopping.signal.aborted) return;
    logger.info({ relay }, 'lost the reservation at a relay');
    this.#backoff.reset();
    if (!this.#looking) this.#schedule(reservations, Math.min(LOST_RETRY_MS, this.#firstWait));
    else this.#lost = true;
  }

  #schedule(reservations: RelayReservations, afterMs: number): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = true;
      this.#lost = false;
      void this.#look(reservations).then((missing) => {
        this.#looking = false;
        if (this.#lost) this.#schedule(reservations, Math.min(LOST_RETRY_MS, this.#firstWait));
        else if (missing) this.#schedule(reservations, this.#backoff.next());
      });
    }, afterMs).unref();
  }

  /** One round; true when a reservation is missing. */
  async #look(reservations: RelayReservations): Promise<boolean> {
    const { libp2p, logger } = this.#components;
    const { addresses, onResolved } = this.#options;
    const { signal } = this.#stopping;
    const relays = await resolvePeers(addresses, { ...this.#options, logger, signal });
    relays.delete(libp2p.peerId.toString());
    onResolved?.(relays.keys());
    await Promise.all([...relays].map(([relay, known]) => this.#take(reservations, relay, known)));
    return relays.size === 0 || [...relays.keys()].some((relay) => !reservations.has(relay));
  }

  async #take(reservations: RelayReservations, relay: string, addresses: Multiaddr[]): Promise<void> {
    const [first] = addresses;
    if (first === undefined || reservations.has(relay) || this.#stopping.signal.aborted) return;
    const { libp2p, logger } = this.#components;
    try {
      const direct = libp2p
        .getConnections(peerIdFromString(relay))
        .some(({ status, remoteAddr }) => status === 'open' && !isRelayed(remoteAddr));
      if (!direct) {
        await libp2p.dial(addresses, {
          signal: deadlineSignal(DIAL_TIMEOUT_MS, this.#stopping.signal),
        });
      }
      await reservations.take(relay, first);
      logger.info({ relay }, 'holds a reservation at a relay');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      logger.debug({ relay, error: errorMessage(error) }, 'no reservation at a relay');
    }
  }
}

/**
 * Reservations at circuit relays that can be asked for again, and one listener for each.
 *
 * Reason: libp2p asks a relay that it is told to listen on once. It drops the reservation with the connection and does not ask for it
 * again; a relay that did not speak the protocol at the first try (it was starting, or its peer was no relay yet) is never asked again;
 * each try makes a listener that stays, and closing one gives up the reservations of all. And whoever opens a stream of the relay's protocol
 * to us makes us ask it for a reservation, with one more listener each time.
 *
 * And a relay says by its own clock when a reservation ends: to a node whose clock is behind, reservations seem to last for longer than they do, and are lost for
 * that long. Go's relays give a reservation for an hour, so none is believed to last longer.
 *
 * Gain: a reservation is taken again after its relay's restart, in seconds, and before it ends whatever the clocks; strangers have us do nothing.
 */

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { Connection, Listener, PeerId, Stream, Transport } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { libraryTime } from '../../../shared/clock.js';

/** How long a reservation is believed to last at the most, ms: `ReservationTTL` of go-libp2p's relay. */
const LONGEST_MS = 3_600_000;
/** Of that, before the reservation is asked for again. */
const ASK_AGAIN = 11 / 12;

type RelayTransportFactory = ReturnType<typeof circuitRelayTransport>;
type RelayTransport = ReturnType<RelayTransportFactory>;

interface Reservation {
  /** Asks for it again. */
  timeout: NodeJS.Timeout;
  readonly type: string;
  /** Unix seconds, by the relay's clock. */
  readonly reservation: { expire: bigint };
}

interface ReservationStoreInternals {
  readonly reservations: { set(relay: PeerId, reservation: Reservation): void };
  addRelay(relay: PeerId, type: string): Promise<unknown>;
  hasReservation(relay: PeerId): boolean;
  relayFilter: { has(relay: Uint8Array): boolean; add(relay: Uint8Array): unknown };
  addEventListener(type: 'relay:removed', listener: (event: RelayRemoved) => void): void;
  removeEventListener(type: 'relay:removed', listener: (event: RelayRemoved) => void): void;
}

type RelayRemoved = CustomEvent<{ readonly relay: PeerId }>;

/** What the circuit transport has and its type does not show. */
interface RelayTransportInternals extends Transport {
  readonly reservationStore: ReservationStoreInternals;
  onStop(stream: Stream, connection: Connection): Promise<void>;
}

/** What libp2p's transport manager has. */
export interface TransportManagerInternals {
  getTransports(): Transport[];
  getListeners(): Listener[];
  listen(addresses: Multiaddr[]): Promise<void>;
}

/** A reservation that is said to last longer than `longestMs` from now is asked for again as one that does not. */
function boundReservations(store: ReservationStoreInternals, longestMs: number): void {
  const set = store.reservations.set.bind(store.reservations);
  store.reservations.set = (relay, reservation) => {
    const latest = libraryTime() + longestMs;
    if (Number(reservation.reservation.expire) * 1000 > latest) {
      reservation.reservation.expire = BigInt(Math.floor(latest / 1000));
      clearTimeout(reservation.timeout);
      reservation.timeout = setTimeout(() => {
        // What fails, the library logs, and gives the reservation up.
        store.addRelay(relay, reservation.type).catch(() => {});
      }, longestMs * ASK_AGAIN);
    }
    set(relay, reservation);
  };
}

/** libp2p's circuit transport with the patch applied to it. `longestMs`: that a reservation is believed to last; an hour unless told. */
export function relayTransport({
  longestMs = LONGEST_MS,
}: {
  readonly longestMs?: number;
} = {}): RelayTransportFactory {
  const create = circuitRelayTransport();
  return (components) => {
    const transport = create(components) as Transport as RelayTransportInternals;
    transport.reservationStore.relayFilter = { has: () => false, add: () => true };
    boundReservations(transport.reservationStore, longestMs);
    const onStop = transport.onStop;
    transport.onStop = (stream, connection) => {
      if (transport.reservationStore.hasReservation(connection.remotePeer)) return onStop(stream, connection);
      stream.abort(new Error('we have no reservation at this relay'));
      return Promise.resolve();
    };
    return transport as Transport as RelayTransport;
  };
}

function isRelayTransport(transport: Transport): transport is RelayTransportInternals {
  return 'reservationStore' in transport;
}

/** The reservations of one node. */
export class RelayReservations {
  readonly #manager: TransportManagerInternals;
  readonly #reservations: ReservationStoreInternals;
  /** By the relay's base58 ID. */
  readonly #listeners = new Map<string, Listener>();

  private constructor(manager: TransportManagerInternals, reservations: ReservationStoreInternals) {
    this.#manager = manager;
    this.#reservations = reservations;
  }

  /** Undefined where the node has no circuit transport. */
  static of(manager: TransportManagerInternals): RelayReservations | undefined {
    const transport = manager.getTransports().find(isRelayTransport);
    return transport && new RelayReservations(manager, transport.reservationStore);
  }

  has(relay: string): boolean {
    return this.#reservations.hasReservation(peerIdFromString(relay));
  }

  /**
   * Asks for a reservation; `address` is the relay's, ending in its ID. The relay should be connected: libp2p dials no other address. Rejects
   * when there is none to be had.
   */
  async take(relay: string, address: Multiaddr): Promise<void> {
    const at = address.encapsulate('/p2p-circuit');
    const known = this.#listeners.get(relay);
    if (known !== undefined) {
      await known.listen(at);
      return;
    }
    const before = new Set(this.#manager.getListeners());
    // It is there as soon as the call returns, whatever becomes of its first try.
    const listening = this.#manager.listen([at]);
    const made = this.#manager.getListeners().find((listener) => !before.has(listener));
    if (made !== undefined) this.#listeners.set(relay, made);
    await listening;
  }

  /** Calls `listener` with the ID of each relay at which the reservation is lost. Returns what ends that. */
  onLost(listener: (relay: string) => void): () => void {
    const lost = ({ detail }: RelayRemoved): void => listener(detail.relay.toString());
    this.#reservations.addEventListener('relay:removed', lost);
    return () => this.#reservations.removeEventListener('relay:removed', lost);
  }
}

/**
 * Who of those that come in gets a slot. A connection is pending until both handshakes, encryption and muxer, are through; libp2p's own
 * limit on pending ones knows no sources, so a few addresses that connect and say nothing would keep everybody else out. Here a
 * source has few pending connections, silence ends one soon, and where there are too many the largest holder gives way.
 */

import type { MultiaddrConnection } from '@libp2p/interface';
import { Shares } from '../../../shared/net/shares.js';
import { QUEUES } from '../../../shared/queues.js';
import { isRelayed, multiaddrSource } from '../addresses/multiaddrs.js';
import type { AdmissionReason } from '../metrics/periphery-metrics.js';
import { socketOf } from '../patches/host-internals.js';

/** Pending at once, of all sources that are limited. */
const PENDING = QUEUES.handshakes.bounds.slots;
/** Pending at once of one address or IPv6 /64, and of one relay, which brings many. */
const PENDING_OF_SOURCE = QUEUES.handshakes.bounds.perAddress;
const PENDING_OF_RELAY = QUEUES.handshakes.bounds.perRelay;
/** Whoever connects speaks first: its bytes are right behind those that opened the connection, unless they were lost on the way. */
const SILENCE_MS = QUEUES.handshakes.bounds.silenceMs;
/** Both handshakes are some five round trips. */
const HANDSHAKE_MS = QUEUES.handshakes.bounds.handshakeMs;

/**
 * What a connection is counted against. `source`: its source's shares and the slots of all. `slots`: those of all alone, for sources that stand for
 * many, as loopback does behind a proxy on this machine. `nothing`: it takes no slot.
 */
export type AdmissionLimit = 'source' | 'slots' | 'nothing';

export interface AdmissionOptions {
  /** `p2p_connections_per_address`: inbound connections of one address, pending or not. */
  readonly perAddress: number;
  /** Inbound connections of all limited sources, pending or not. */
  readonly slots: number;
  /** Told of each connection that is refused or gives way, before it is closed. */
  readonly onRefused: (connection: MultiaddrConnection, reason: AdmissionReason) => void;
  /**
   * Milliseconds without a byte.
   * @default 3,000
   */
  readonly silenceMs?: number;
  /**
   * Milliseconds from accept to the end of both handshakes.
   * @default 8,000
   */
  readonly handshakeMs?: number;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #pending = new Shares<MultiaddrConnection>({ slots: PENDING, givesWay: 'eldest' });
  /** Who is in stays in: a newcomer beyond its address's share is refused, and where all is full the youngest of the largest goes. */
  readonly #inbound: Shares<MultiaddrConnection>;
  readonly #deadlines = new Map<MultiaddrConnection, NodeJS.Timeout[]>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#inbound = new Shares({ slots: options.slots, givesWay: 'youngest' });
  }

  /** Connections whose handshakes are not through. */
  get pending(): number {
    return this.#deadlines.size;
  }

  /** A connection has come in. False: it has no slot. Whatever it is counted against, its handshakes have their time. */
  admit(connection: MultiaddrConnection, limit: AdmissionLimit): boolean {
    if (limit !== 'nothing' && !this.#take(connection, limit)) return false;
    this.#watch(connection);
    connection.addEventListener('close', () => this.#forget(connection), { once: true });
    return true;
  }

  /** Both handshakes are through. */
  opened(connection: MultiaddrConnection): void {
    this.#settle(connection);
  }

  /** It takes no slot any more: its peer turned out to be one that is not limited. */
  exempt(connection: MultiaddrConnection): void {
    this.#pending.release(connection);
    this.#inbound.release(connection);
  }

  #take(connection: MultiaddrConnection, limit: AdmissionLimit): boolean {
    const name = multiaddrSource(connection.remoteAddr) ?? 'unknown';
    const isRelay = isRelayed(connection.remoteAddr);
    const { perAddress } = this.#options;
    const share = limit === 'slots' || isRelay ? Number.POSITIVE_INFINITY : perAddress;
    for (const { item, because } of this.#inbound.take(connection, [{ name, share }])) {
      const reason = because === 'share' ? 'address_connections' : 'connection_places';
      this.#options.onRefused(item, reason);
      if (item === connection) return false;
      item.abort(new Error('others have taken the place of this connection'));
    }
    const pendingShare =
      limit === 'slots' ? Number.POSITIVE_INFINITY : isRelay ? PENDING_OF_RELAY : PENDING_OF_SOURCE;
    for (const { item, because } of this.#pending.take(connection, [{ name, share: pendingShare }])) {
      this.#end(item, because === 'share' ? 'handshake_share' : 'handshake_places');
    }
    return true;
  }

  #watch(connection: MultiaddrConnection): void {
    const { silenceMs = SILENCE_MS, handshakeMs = HANDSHAKE_MS } = this.#options;
    this.#deadlines.set(connection, [
      this.#after(silenceMs, connection, () => {
        if (bytesRead(connection) === 0) this.#end(connection, 'handshake_silent');
      }),
      this.#after(handshakeMs, connection, () => this.#end(connection, 'handshake_timeout')),
    ]);
  }

  /** Looks once what came while this process was busy has been read. */
  #after(ms: number, connection: MultiaddrConnection, look: () => void): NodeJS.Timeout {
    return setTimeout(() => {
      setImmediate(() => {
        if (this.#deadlines.has(connection)) look();
      });
    }, ms).unref();
  }

  #end(connection: MultiaddrConnection, reason: AdmissionReason): void {
    this.#options.onRefused(connection, reason);
    this.#forget(connection);
    connection.abort(new Error(`no handshake: ${reason}`));
  }

  #settle(connection: MultiaddrConnection): void {
    for (const timer of this.#deadlines.get(connection) ?? []) clearTimeout(timer);
    this.#deadlines.delete(connection);
    this.#pending.release(connection);
  }

  #forget(connection: MultiaddrConnection): void {
    this.#settle(connection);
    this.#inbound.release(connection);
  }
}

/** Undefined where there is no socket, as through a relay. */
function bytesRead(connection: MultiaddrConnection): number | undefined {
  const read = socketOf(connection)?.bytesRead;
  return typeof read === 'number' ? read : undefined;
}

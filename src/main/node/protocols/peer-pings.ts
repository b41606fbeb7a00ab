/**
 * Pings on every connection: how long its peer takes to answer, and whether there is anybody. A peer that loses power, whose network
 * dies, or whose process hangs closes nothing; TCP notices after a quarter of an hour, or never. libp2p's own monitor ends a connection
 * at the first late answer, which under a flood is that of the busiest peer. Here a connection ends when nothing at all has come over it
 * for a while, and pings in a row were for nothing.
 */

import { randomBytes } from 'node:crypto';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { WarnOfPeer } from '../connections/peer-warnings.js';
import type { Traffic } from '../connections/traffic.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { finishStream, readStream } from './stream-reading.js';

const PING_PROTOCOL = '/ipfs/ping/1.0.0';
const PING_BYTES = 32;
/** Between two pings of a connection, and for one to be answered; sooner where a connection is to be ended sooner. */
const PING_MS = 10_000;
/** Pings in a row that must have gone unanswered. */
const UNANSWERED = 2;
/** Looks in the time after which a connection is ended. */
const LOOKS = 30;

export interface PeerPingsComponents {
  readonly libp2p: Pick<Libp2p, 'getConnections'>;
  readonly traffic: Pick<Traffic, 'receivedOver'>;
  readonly logger: Logger;
  readonly warn: WarnOfPeer;
  readonly metrics: Pick<NodeMetrics, 'deadConnections'>;
}

export interface PeerPingsOptions {
  /** `p2p_dead_peer_timeout`, ms; 0: no connection is ended. */
  readonly deadAfterMs: number;
}

interface Watched {
  /** Bytes at the last look. */
  received: number;
  /** Time in which none came and this process was there to see them, ms. */
  silentMs: number;
  sincePingMs: number;
  pinging: boolean;
  /** Pings in a row that nobody answered in time, with nothing received meanwhile. */
  unanswered: number;
}

export class PeerPings {
  readonly #components: PeerPingsComponents;
  readonly #deadAfterMs: number;
  readonly #pingMs: number;
  readonly #lookMs: number;
  readonly #watched = new WeakMap<Connection, Watched>();
  #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #lastLook = 0;

  constructor(components: PeerPingsComponents, { deadAfterMs }: PeerPingsOptions) {
    this.#components = components;
    this.#deadAfterMs = deadAfterMs > 0 ? deadAfterMs : Number.POSITIVE_INFINITY;
    this.#pingMs = Math.min(PING_MS, Math.ceil(this.#deadAfterMs / (UNANSWERED + 1)));
    this.#lookMs = Math.min(1_000, Math.ceil(this.#deadAfterMs / LOOKS));
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#lastLook = performance.now();
    this.#timer = setInterval(() => this.#look(), this.#lookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopping.abort();
  }

  #look(): void {
    const now = performance.now();
    // A look that comes late says that this process was held up or suspended, not that others were silent.
    const passed = Math.min(now - this.#lastLook, 2 * this.#lookMs);
    this.#lastLook = now;
    for (const connection of this.#components.libp2p.getConnections()) {
      if (connection.status !== 'open') continue;
      const watched = this.#watch(connection);
      watched.silentMs += passed;
      watched.sincePingMs += passed;
      this.#hear(connection, watched);
      if (!watched.pinging && watched.sincePingMs >= this.#pingMs) void this.#ping(connection, watched);
      // Looked at again once what came while this process was busy has been read.
      if (this.#isDead(watched)) setImmediate(() => this.#endIfDead(connection, watched));
    }
  }

  #watch(connection: Connection): Watched {
    let watched = this.#watched.get(connection);
    if (watched === undefined) {
      watched = { received: 0, silentMs: 0, sincePingMs: 0, pinging: false, unanswered: 0 };
      this.#watched.set(connection, watched);
    }
    return watched;
  }

  /** Whatever comes is a sign of life. */
  #hear(connection: Connection, watched: Watched): void {
    const received = this.#components.traffic.receivedOver(connection);
    if (received === watched.received) return;
    watched.received = received;
    watched.silentMs = 0;
    watched.unanswered = 0;
  }

  #isDead({ silentMs, unanswered }: Watched): boolean {
    return silentMs >= this.#deadAfterMs && unanswered >= UNANSWERED;
  }

  #endIfDead(connection: Connection, watched: Watched): void {
    this.#hear(connection, watched);
    if (!this.#isDead(watched) || connection.status !== 'open' || this.#stopping.signal.aborted) return;
    const { warn, metrics } = this.#components;
    metrics.deadConnections.inc();
    warn(
      {
        peer: connection.remotePeer.toString(),
        address: connection.remoteAddr.toString(),
        silentSeconds: Math.round(watched.silentMs / 1000),
      },
      'peer does not answer any more: connection ended',
    );
    connection.abort(new Error('nothing came, and pings were not answered'));
  }

  async #ping(connection: Connection, watched: Watched): Promise<void> {
    watched.pinging = true;
    watched.sincePingMs = 0;
    const deadline = deadlineSignal(this.#pingMs, this.#stopping.signal);
    try {
      connection.rtt = await roundTrip(connection, deadline);
      watched.unanswered = 0;
    } catch (error) {
      // What fails sooner fails here, or by an answer.
      if (deadline.aborted) watched.unanswered++;
      const peer = connection.remotePeer.toString();
      this.#components.logger.debug({ peer, error: errorMessage(error) }, 'ping failed');
    } finally {
      watched.pinging = false;
    }
  }
}

/** Milliseconds that a ping takes. */
async function roundTrip(connection: Connection, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  let stream: Stream;
  try {
    stream = await connection.newStream(PING_PROTOCOL, { signal, runOnLimitedConnection: true });
  } catch (error) {
    if (!(error instanceof Error && error.name === 'UnsupportedProtocolError')) throw error;
    // An answer all the same, after two round trips: one for multistream, one for the protocol's name.
    return (performance.now() - began) / 2;
  }
  try {
    const sent = performance.now();
    stream.send(randomBytes(PING_BYTES));
    await readStream(stream, {
      maxBytes: PING_BYTES,
      signal,
      isComplete: (bytes) => bytes.length === PING_BYTES,
    });
    const took = performance.now() - sent;
    await finishStream(stream, undefined, signal);
    return took;
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(errorMessage(error)));
    throw error;
  }
}

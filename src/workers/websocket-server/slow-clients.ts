/**
 * Clients that do not keep up. What is published is bounded by nothing; instead the clients are looked over every 64 KiB published. One that
 * has more than its bound waiting is unsubscribed, so that what it gets is a prefix of the feed, and is given 5 s to take it. The look costs
 * a native call a client, spread over some 280 frames of usual size. Who is told its place is looked after by its reader.
 */

import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { QUEUES } from '../../shared/queues.js';
import { CLOSE, type ClientSocket } from './client.js';
import type { NotificationServerMetrics } from './metrics.js';

/** Bytes published between two looks at what waits for each client. */
const LOOK_BYTES = 65_536;
/** Milliseconds between two looks where fewer bytes are published. */
const QUIET_LOOK_MS = 1000;
const DRAIN_MS = QUEUES.framesToClient.bounds.drainMs;
const TICK_MS = 250;

/** Why a client that has taken all it had coming is ended. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  readonly counted: 'slow' | 'history' | 'token';
}

const TOO_SLOW: Ending = { code: CLOSE.tryLater, reason: 'too slow', counted: 'slow' };

export interface SlowClientsOptions {
  readonly clients: Iterable<ClientSocket>;
  /** Bytes that may wait for one. */
  readonly clientBuffer: number;
  /** Has a client get nothing more of what is published. */
  readonly unsubscribe: (socket: ClientSocket) => void;
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

export class SlowClients {
  readonly #slow = new Map<ClientSocket, Ending>();
  #sinceLook = 0;
  #lookedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: SlowClientsOptions) {}

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** So many bytes were published to clients. */
  published(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook >= LOOK_BYTES) this.#look();
  }

  /** A client gets nothing more; it is ended when it has taken what it had coming, or 5 s are over. */
  expire(socket: ClientSocket, ending = TOO_SLOW): void {
    if (socket.data.drainBy !== 0) return;
    this.options.unsubscribe(socket);
    socket.data.drainBy = monotonic() + DRAIN_MS;
    this.#slow.set(socket, ending);
  }

  drained(socket: ClientSocket): void {
    if (socket.data.drainBy !== 0 && socket.bufferedBytes() === 0) this.#end(socket);
  }

  /** The client is gone. */
  forget(socket: ClientSocket): void {
    this.#slow.delete(socket);
  }

  #look(): void {
    this.#sinceLook = 0;
    this.#lookedAt = monotonic();
    const { clients, clientBuffer } = this.options;
    for (const socket of clients) {
      if (socket.data.reader !== undefined || socket.bufferedBytes() <= clientBuffer) continue;
      // Leaving out frames that were published but not yet handed to this socket would be a hole; they are sent first.
      this.expire(socket);
    }
  }

  #tick(): void {
    const now = monotonic();
    // A feed too thin for a look by bytes has one by time; more often it would cost 10,000 clients' fan-out a tenth.
    if (this.#sinceLook > 0 && now - this.#lookedAt >= QUIET_LOOK_MS) this.#look();
    for (const socket of [...this.#slow.keys()]) {
      if (socket.bufferedBytes() === 0) this.#end(socket);
      else if (now >= socket.data.drainBy) {
        this.options.metrics.evictions.inc({ reason: 'slow_cut' });
        this.options.logger.info({ source: socket.data.place.address }, 'slow client cut');
        socket.close();
      }
    }
  }

  #end(socket: ClientSocket): void {
    const { code, reason, counted } = this.#slow.get(socket) ?? TOO_SLOW;
    this.options.metrics.evictions.inc({ reason: counted });
    this.options.logger.info({ source: socket.data.place.address }, `client closed: ${reason}`);
    socket.end(code, reason);
  }
}

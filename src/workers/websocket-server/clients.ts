/**
 * The connected clients and what each is owed: first the node's own status, then every frame in order, or an end.
 *
 * Frames go out through the transport's `publish`, which formats a frame once for all and bounds nothing. Instead the clients are
 * looked over every 64 KiB published: one that has more than its bound waiting is unsubscribed, so that what it gets is a prefix of
 * the feed, and is given 5 s to take it. The look costs a native call a client, spread over some 280 frames of usual size.
 */

import { monotonic, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { frameJson } from '../../shared/messages/frame.js';
import { QUEUES } from '../../shared/queues.js';
import type { Place } from './admission.js';
import type { NotificationServerMetrics } from './metrics.js';
import type { Listener, TransportSocket } from './transport/index.js';

const FEED = 'feed';

/** Bytes published between two looks at what waits for each client. */
const LOOK_BYTES = 65_536;
/** Milliseconds between two looks where fewer bytes are published. */
const QUIET_LOOK_MS = 1000;
const DRAIN_MS = QUEUES.framesToClient.bounds.drainMs;
const EVICTION_TICK_MS = 250;
const MESSAGES_A_MINUTE = 100;
/** Pings, and pongs that nobody asked for: a client may keep its connection alive as often as it likes, within reason. */
const PINGS_A_MINUTE = 600;
const MINUTE_MS = 60_000;
/** Seconds between protocol pings, and the most a client may leave unanswered: Go's 54 s of 60. */
const PING_SECONDS = 54;
const TEXT_PING_MS = 10_000;

/** Close codes of RFC 6455. */
export const CLOSE = { goingAway: 1001, policy: 1008, restart: 1012, tryLater: 1013 } as const;

/** What is kept of a client. */
export interface Client {
  readonly place: Place;
  subscribed: boolean;
  /** By when it must have drained (monotonic); 0 while it keeps up. */
  drainBy: number;
  windowStart: number;
  windowMessages: number;
  windowPings: number;
  /** Second of the ping period in which it is pinged, so that not all are at once. */
  readonly phase: number;
  awaitsPong: boolean;
}

export type ClientSocket = TransportSocket<Client>;

export interface TextPing {
  readonly baseUrl: string;
  readonly peerId: string;
  readonly generation: 'first' | 'current';
}

export interface ClientsOptions {
  readonly clientBuffer: number;
  /** What the text ping says; undefined: none is sent. */
  readonly textPing: TextPing | undefined;
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

export class Clients {
  readonly #all = new Set<ClientSocket>();
  readonly #slow = new Set<ClientSocket>();
  #listener: Pick<Listener, 'publish'> | undefined;
  #greeting: Uint8Array | undefined;
  #sinceLook = 0;
  #lookedAt = 0;
  #second = 0;
  #subscribed = 0;
  #timers: NodeJS.Timeout[] = [];

  constructor(private readonly options: ClientsOptions) {}

  get size(): number {
    return this.#all.size;
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#lookAtSlow(), EVICTION_TICK_MS),
      setInterval(() => this.#ping(), 1000),
    ];
    const { textPing } = this.options;
    if (textPing !== undefined) this.#timers.push(setInterval(() => this.#textPing(textPing), TEXT_PING_MS));
  }

  /** Ends every client: with 1001, or 1012, which says to connect again, where another server takes over. */
  stop(elsewhere: boolean): void {
    for (const timer of this.#timers) clearInterval(timer);
    if (elsewhere) this.endAll(CLOSE.restart, 'another server takes over, connect again');
    else this.endAll(CLOSE.goingAway, 'server is going away');
  }

  /** Through what frames go to all. */
  publishThrough(listener: Pick<Listener, 'publish'>): void {
    this.#listener = listener;
  }

  newClient(place: Place): Client {
    return {
      place,
      subscribed: false,
      drainBy: 0,
      windowStart: 0,
      windowMessages: 0,
      windowPings: 0,
      phase: (this.#second + PING_SECONDS - 1) % PING_SECONDS,
      awaitsPong: false,
    };
  }

  opened(socket: ClientSocket): void {
    this.#all.add(socket);
    this.options.metrics.clients.set(this.#all.size);
    this.#greet(socket);
  }

  closed(socket: ClientSocket): void {
    this.#all.delete(socket);
    this.#slow.delete(socket);
    if (socket.data.subscribed) this.#subscribed--;
    socket.data.subscribed = false;
    this.options.metrics.clients.set(this.#all.size);
  }

  /** A message. What it says does not matter, only how often. */
  received(socket: ClientSocket): void {
    const client = this.#windowOf(socket);
    if (++client.windowMessages > MESSAGES_A_MINUTE) this.#endBusy(socket, 'messages');
  }

  pinged(socket: ClientSocket): void {
    const client = this.#windowOf(socket);
    if (++client.windowPings > PINGS_A_MINUTE) this.#endBusy(socket, 'pings');
  }

  /** A pong: the answer to our ping, or, where none is awaited, a heartbeat like a ping. */
  ponged(socket: ClientSocket): void {
    const client = socket.data;
    if (client.awaitsPong) client.awaitsPong = false;
    else this.pinged(socket);
  }

  drained(socket: ClientSocket): void {
    if (socket.data.drainBy !== 0 && socket.bufferedBytes() === 0) this.#endSlow(socket);
  }

  /** The newest own `node_status`: greets those who come from now on, and those who wait for it. */
  setGreeting(json: Uint8Array): void {
    this.#greeting = Uint8Array.from(json);
    if (this.#subscribed < this.#all.size) for (const socket of this.#all) this.#greet(socket);
  }

  /** Sends one frame to every client that keeps up. */
  publish(json: Uint8Array): void {
    this.#listener?.publish(FEED, json);
    const { metrics } = this.options;
    metrics.frames.inc();
    metrics.bytes.inc(json.length);
    metrics.deliveries.inc(this.#subscribed);
    this.#sinceLook += json.length;
    if (this.#sinceLook >= LOOK_BYTES) this.#look();
  }

  /** Ends every client, such as after frames were missed. */
  endAll(code: number, reason: string): void {
    for (const socket of [...this.#all]) socket.end(code, reason);
  }

  #windowOf({ data }: ClientSocket): Client {
    const now = monotonic();
    if (now - data.windowStart >= MINUTE_MS) {
      data.windowStart = now;
      data.windowMessages = 0;
      data.windowPings = 0;
    }
    return data;
  }

  #endBusy(socket: ClientSocket, reason: 'messages' | 'pings'): void {
    this.options.metrics.evictions.inc({ reason });
    socket.end(CLOSE.policy, `too many ${reason}`);
  }

  #greet(socket: ClientSocket): void {
    const client = socket.data;
    if (this.#greeting === undefined || client.subscribed || client.drainBy !== 0) return;
    socket.send(this.#greeting);
    client.subscribed = socket.subscribe(FEED);
    if (client.subscribed) this.#subscribed++;
  }

  #look(): void {
    this.#sinceLook = 0;
    this.#lookedAt = monotonic();
    const { clientBuffer } = this.options;
    for (const socket of this.#all) {
      if (socket.bufferedBytes() <= clientBuffer) continue;
      const client = socket.data;
      if (client.drainBy !== 0) continue;
      // Leaving out frames that were published but not yet handed to this socket would be a hole; they are sent first.
      socket.unsubscribe(FEED);
      if (client.subscribed) this.#subscribed--;
      client.subscribed = false;
      client.drainBy = monotonic() + DRAIN_MS;
      this.#slow.add(socket);
    }
  }

  #lookAtSlow(): void {
    const now = monotonic();
    // A feed too thin for a look by bytes has one by time; more often it would cost 10,000 clients' fan-out a tenth.
    if (this.#sinceLook > 0 && now - this.#lookedAt >= QUIET_LOOK_MS) this.#look();
    for (const socket of [...this.#slow]) {
      if (socket.bufferedBytes() === 0) this.#endSlow(socket);
      else if (now >= socket.data.drainBy) {
        this.options.metrics.evictions.inc({ reason: 'slow_cut' });
        this.options.logger.info({ source: socket.data.place.address }, 'slow client cut');
        socket.close();
      }
    }
  }

  #endSlow(socket: ClientSocket): void {
    this.options.metrics.evictions.inc({ reason: 'slow' });
    this.options.logger.info({ source: socket.data.place.address }, 'slow client closed');
    socket.end(CLOSE.tryLater, 'too slow');
  }

  #ping(): void {
    this.#second = (this.#second + 1) % PING_SECONDS;
    for (const socket of [...this.#all]) {
      const client = socket.data;
      if (client.phase !== this.#second) continue;
      if (client.awaitsPong) {
        this.options.metrics.evictions.inc({ reason: 'silent' });
        socket.close();
      } else {
        client.awaitsPong = true;
        socket.ping();
      }
    }
  }

  #textPing({ baseUrl, peerId, generation }: TextPing): void {
    const fields = { base_url: baseUrl, peer_id: peerId, best_height: 0 };
    const ping = frameJson('PING', fields, wall.told(), generation);
    this.#listener?.publish(FEED, ping);
  }
}

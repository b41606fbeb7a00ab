/** The connected clients and what each is owed: first the node's own status, then every frame in order, or an end. */

import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Place } from './admission.js';
import { CLOSE, type Client, type ClientSocket } from './client.js';
import { Greeting } from './greeting.js';
import type { NotificationServerMetrics } from './metrics.js';
import { Pings, type TextPing } from './pings.js';
import { SlowClients } from './slow-clients.js';
import type { Listener } from './transport/index.js';

const FEED = 'feed';
const MESSAGES_A_MINUTE = 100;
/** Pings, and pongs that nobody asked for: a client may keep its connection alive as often as it likes, within reason. */
const PINGS_A_MINUTE = 600;
const MINUTE_MS = 60_000;

export interface ClientsOptions {
  readonly clientBuffer: number;
  /** What the text ping says; undefined: none is sent. */
  readonly textPing: TextPing | undefined;
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

export class Clients {
  readonly #all = new Set<ClientSocket>();
  readonly #greeting = new Greeting((socket) => this.#subscribe(socket));
  readonly #slow: SlowClients;
  readonly #pings: Pings;
  #listener: Pick<Listener, 'publish'> | undefined;
  #subscribed = 0;

  constructor(private readonly options: ClientsOptions) {
    const { clientBuffer, textPing, logger, metrics } = options;
    this.#slow = new SlowClients({
      clients: this.#all,
      clientBuffer,
      unsubscribe: (socket) => this.#unsubscribe(socket),
      logger,
      metrics,
    });
    this.#pings = new Pings({
      clients: this.#all,
      silent: (socket) => {
        metrics.evictions.inc({ reason: 'silent' });
        socket.close();
      },
      textPing,
      sendText: (json) => this.#listener?.publish(FEED, json),
    });
  }

  get size(): number {
    return this.#all.size;
  }

  start(): void {
    this.#slow.start();
    this.#pings.start();
  }

  /** Ends every client: with 1001, or 1012, which says to connect again, where another server takes over. */
  stop(elsewhere: boolean): void {
    this.#slow.stop();
    this.#pings.stop();
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
      phase: this.#pings.phase(),
      awaitsPong: false,
    };
  }

  opened(socket: ClientSocket): void {
    this.#all.add(socket);
    this.options.metrics.clients.set(this.#all.size);
    this.#greeting.greet(socket);
  }

  closed(socket: ClientSocket): void {
    this.#all.delete(socket);
    this.#greeting.forget(socket);
    this.#slow.forget(socket);
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
    this.#slow.drained(socket);
  }

  /** The newest own `node_status`: greets those who come from now on, and those who wait for it. */
  setGreeting(json: Uint8Array): void {
    this.#greeting.set(json);
  }

  /** Sends one frame to every client that keeps up. It is formatted once for all. */
  publish(json: Uint8Array): void {
    this.#listener?.publish(FEED, json);
    const { metrics } = this.options;
    metrics.frames.inc();
    metrics.bytes.inc(json.length);
    metrics.deliveries.inc(this.#subscribed);
    this.#slow.published(json.length);
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

  #subscribe(socket: ClientSocket): void {
    const client = socket.data;
    client.subscribed = socket.subscribe(FEED);
    if (client.subscribed) this.#subscribed++;
  }

  #unsubscribe(socket: ClientSocket): void {
    const client = socket.data;
    socket.unsubscribe(FEED);
    if (client.subscribed) this.#subscribed--;
    client.subscribed = false;
  }
}

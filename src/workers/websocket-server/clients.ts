/** The connected clients and what each is owed: what it asked for, in order, or an end. */

import { monotonic } from '../../shared/clock.js';
import { encodeControl, errorFrame } from '../../shared/firehose/control-frames.js';
import { FeedProblem } from '../../shared/firehose/problems.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Place } from './admission.js';
import { CLOSE, type Client, type ClientSocket, type Service } from './client.js';
import type { LiveFeed } from './feed/live-feed.js';
import { Greeting } from './greeting.js';
import type { NotificationServerMetrics } from './metrics.js';
import { Pings, type TextPing } from './pings.js';
import { SlowClients } from './slow-clients.js';
import { SocketOutlet } from './socket-outlet.js';
import type { Listener } from './transport/index.js';

/** Of clients without parameters. */
const FEED = 'feed';
/** Messages of a client's a minute. */
export const MESSAGES_A_MINUTE = 100;
/** Pings, and pongs that nobody asked for: a client may keep its connection alive as often as it likes, within reason. */
const PINGS_A_MINUTE = 600;
const MINUTE_MS = 60_000;

export interface ClientsOptions {
  readonly clientBuffer: number;
  /** What the text ping says; undefined: none is sent. */
  readonly textPing: TextPing | undefined;
  /** Serves those who are told their place. */
  readonly feed: () => LiveFeed;
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

export class Clients {
  readonly #all = new Set<ClientSocket>();
  readonly #greeting = new Greeting((socket) => this.#subscribe(socket));
  readonly #slow: SlowClients;
  readonly #pings: Pings;
  #listener: Pick<Listener, 'publish'> | undefined;
  /** To every frame as it is. */
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

  /** JSON of the newest own `node_status`; undefined while there is none. */
  get greeting(): Uint8Array | undefined {
    return this.#greeting.json;
  }

  start(): void {
    this.#slow.start();
    this.#pings.start();
  }

  /** Ends every client: with 1001, or 1012, which says to connect again, where another server takes over. */
  stop(elsewhere: boolean): void {
    this.#slow.stop();
    this.#pings.stop();
    const [code, reason] = elsewhere
      ? [CLOSE.restart, 'another server takes over, connect again']
      : [CLOSE.goingAway, 'server is going away'];
    for (const socket of [...this.#all]) socket.end(code, reason);
  }

  /** Through what messages go to many. */
  publishThrough(listener: Pick<Listener, 'publish'>): void {
    this.#listener = listener;
  }

  newClient(place: Place, service: Service, token = ''): Client {
    return {
      place,
      service,
      token,
      reader: undefined,
      subscriber: undefined,
      subscribed: false,
      drainBy: 0,
      windowStart: 0,
      windowMessages: 0,
      windowPings: 0,
      phase: this.#pings.phase(),
      challenge: undefined,
    };
  }

  opened(socket: ClientSocket): void {
    this.#all.add(socket);
    this.options.metrics.clients.set(this.#all.size);
    const { service } = socket.data;
    if (service.type === 'placed') {
      const outlet = new SocketOutlet(socket, (problem) => this.#expire(socket, problem));
      socket.data.reader = this.options.feed().begin(service.admitted, outlet, service.limits);
    } else if (service.type === 'refused') {
      const { problem } = service;
      socket.send(encodeControl(errorFrame(problem)));
      socket.end(problem.close, problem.code);
    } else if (service.type === 'whole' || service.greeted) this.#greeting.greet(socket);
    else this.#subscribe(socket);
  }

  closed(socket: ClientSocket): void {
    this.#all.delete(socket);
    this.#greeting.forget(socket);
    this.#slow.forget(socket);
    this.#unsubscribe(socket);
    const { reader, service } = socket.data;
    reader?.close();
    if (service.type === 'filtered') service.subscription.release();
    this.options.metrics.clients.set(this.#all.size);
  }

  /** Ends a client, who is told why: by an `error` frame where it has its place told. */
  end(socket: ClientSocket, problem: FeedProblem): void {
    const { reader } = socket.data;
    if (reader === undefined) this.#expire(socket, problem);
    else reader.end(problem);
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

  /** A pong: the answer to our ping, or a heartbeat like a ping. */
  ponged(socket: ClientSocket, payload: Uint8Array): void {
    if (!this.#pings.answers(socket, payload)) this.pinged(socket);
  }

  drained(socket: ClientSocket): void {
    this.#slow.drained(socket);
    socket.data.reader?.drained();
  }

  /** The newest own `node_status`: greets those who come from now on, and those who wait for it. */
  setGreeting(json: Uint8Array): void {
    this.#greeting.set(json);
  }

  /** Sends one frame to every client that takes all as they are, and keeps up. It is formatted once for all. */
  publish(json: Uint8Array): void {
    this.#listener?.publish(FEED, json);
    const { metrics } = this.options;
    metrics.frames.inc();
    metrics.bytes.inc(json.length);
    metrics.deliveries.inc(this.#subscribed);
    this.#slow.published(json.length);
  }

  /** Frames were missed: ends whoever cannot be told so. Gives how many they were. */
  gap(): number {
    const clients = [...this.#all].filter(({ data }) => data.reader === undefined);
    for (const socket of clients) socket.end(CLOSE.restart, 'frames were missed');
    return clients.length;
  }

  /** Ends whoever is served by a token that does not count any more. */
  tokensChanged(holds: (token: string) => boolean): void {
    const problem = new FeedProblem('token_unknown');
    for (const socket of [...this.#all]) {
      const { token } = socket.data;
      if (!holds(token)) this.end(socket, problem);
    }
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

  #expire(socket: ClientSocket, { code, close }: FeedProblem): void {
    const hasNoPlace = code === 'too_many_connections' || code === 'token_in_use';
    // Told once why it is ended, and given its time.
    if (socket.data.drainBy !== 0 && !hasNoPlace) return;
    this.options.metrics.refusals.inc({ code });
    // Nor has it time to take what waits for it.
    if (hasNoPlace) {
      socket.end(close, code);
      return;
    }
    this.#slow.expire(socket, {
      code: close,
      reason: code,
      counted: code === 'too_slow' ? 'slow' : code === 'token_unknown' ? 'token' : 'history',
    });
  }

  #subscribe(socket: ClientSocket): void {
    const client = socket.data;
    if (client.service.type === 'filtered') {
      client.subscriber = {
        subscribe: (topic) => socket.subscribe(topic),
        unsubscribe: (topic) => socket.unsubscribe(topic),
        dropped: () => this.#slow.expire(socket),
      };
      client.service.subscription.join(client.subscriber);
      client.subscribed = true;
    } else {
      client.subscribed = socket.subscribe(FEED);
      if (client.subscribed) this.#subscribed++;
    }
  }

  #unsubscribe(socket: ClientSocket): void {
    const client = socket.data;
    if (!client.subscribed) return;
    client.subscribed = false;
    if (client.service.type === 'filtered') {
      if (client.subscriber !== undefined) client.service.subscription.leave(client.subscriber);
    } else {
      socket.unsubscribe(FEED);
      this.#subscribed--;
    }
  }
}

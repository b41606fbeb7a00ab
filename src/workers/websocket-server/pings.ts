/**
 * Protocol pings, which find clients that are silent, and the text ping that Go's server sends besides. What a ping carries nobody can know who has not read
 * it, so that who reads nothing is silent, whatever it sends.
 */

import { randomBytes } from 'node:crypto';
import { wall } from '../../shared/clock.js';
import { pingJson } from '../../shared/messages/ping.js';
import type { ClientSocket } from './client.js';

/** Seconds between protocol pings, and the most a client may leave unanswered: Go's 54 s of 60. */
const PING_SECONDS = 54;
const TEXT_PING_MS = 10_000;
/** Of what a ping carries and its pong is to carry (RFC 6455, section 5.5.3). */
const CHALLENGE_BYTES = 8;

export interface TextPing {
  readonly baseUrl: string;
  readonly peerId: string;
  readonly generation: 'first' | 'current';
}

export interface PingsOptions {
  readonly clients: Iterable<ClientSocket>;
  /** A client has not answered its last ping. */
  readonly silent: (socket: ClientSocket) => void;
  /** What the text ping says; undefined: none is sent. */
  readonly textPing: TextPing | undefined;
  readonly sendText: (json: string) => void;
}

export class Pings {
  #second = 0;
  #timers: NodeJS.Timeout[] = [];

  constructor(private readonly options: PingsOptions) {}

  start(): void {
    this.#timers = [setInterval(() => this.#ping(), 1000)];
    const { textPing } = this.options;
    if (textPing !== undefined) this.#timers.push(setInterval(() => this.#textPing(textPing), TEXT_PING_MS));
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Second of the ping period in which who comes now is pinged, first in a whole period. */
  phase(): number {
    return (this.#second + PING_SECONDS - 1) % PING_SECONDS;
  }

  #ping(): void {
    this.#second = (this.#second + 1) % PING_SECONDS;
    for (const socket of [...this.options.clients]) {
      const client = socket.data;
      if (client.phase !== this.#second) continue;
      if (client.challenge !== undefined) this.options.silent(socket);
      else {
        client.challenge = randomBytes(CHALLENGE_BYTES);
        socket.ping(client.challenge);
      }
    }
  }

  /** Whether a pong answers our ping; of each one does. */
  answers({ data }: ClientSocket, payload: Uint8Array): boolean {
    if (data.challenge?.equals(payload) !== true) return false;
    data.challenge = undefined;
    return true;
  }

  #textPing({ baseUrl, peerId, generation }: TextPing): void {
    this.options.sendText(pingJson({ baseUrl, peerId }, wall.told(), generation));
  }
}

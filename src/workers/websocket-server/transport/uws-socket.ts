/** A WebSocket of the transport on uWebSockets.js. */

import type { TransportSocket } from './types.js';
import type { WebSocket } from './uws-build.js';

/**
 * Nobody publishes to it. Each socket has it for life: what is queued for a socket that leaves its last topic is lost, for the library
 * forgets a subscriber without topics together with that.
 */
const OWN_TOPIC = '\0';

/** What the library keeps for us. */
export interface UserData<Data> {
  readonly data: Data;
  socket: UwsSocket<Data> | undefined;
}

/** The library throws on a socket that has closed. */
export class UwsSocket<Data> implements TransportSocket<Data> {
  readonly data: Data;
  #open = true;

  constructor(private readonly socket: WebSocket<UserData<Data>>) {
    this.data = socket.getUserData().data;
    socket.subscribe(OWN_TOPIC);
  }

  send(message: string | Uint8Array, binary = false): void {
    if (this.#open) this.socket.send(message, binary);
  }

  sendAll(messages: readonly Uint8Array[]): void {
    if (!this.#open) return;
    this.socket.cork(() => {
      for (const message of messages) this.socket.send(message, false);
    });
  }

  subscribe(topic: string): boolean {
    return this.#open && this.socket.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    if (this.#open) this.socket.unsubscribe(topic);
  }

  bufferedBytes(): number {
    return this.#open ? this.socket.getBufferedAmount() : 0;
  }

  ping(payload: Uint8Array): void {
    if (this.#open) this.socket.ping(payload);
  }

  end(code: number, reason: string): void {
    if (this.#open) this.socket.end(code, reason);
  }

  close(): void {
    if (this.#open) this.socket.close();
  }

  /** The library is about to forget it. */
  closed(): void {
    this.#open = false;
  }
}

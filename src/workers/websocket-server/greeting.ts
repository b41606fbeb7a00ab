/** The first frame of a client: the node's own `node_status`, before which it gets no other. */

import type { ClientSocket } from './client.js';

export class Greeting {
  /** Those who came before there was one. */
  readonly #waiting = new Set<ClientSocket>();
  #json: Uint8Array | undefined;

  /** `greeted`: what follows when a client has its first frame. */
  constructor(private readonly greeted: (socket: ClientSocket) => void) {}

  /** Undefined while there is none. */
  get json(): Uint8Array | undefined {
    return this.#json;
  }

  /** Sends it, now or as soon as there is one. */
  greet(socket: ClientSocket): void {
    if (this.#json === undefined) {
      this.#waiting.add(socket);
      return;
    }
    socket.send(this.#json);
    this.greeted(socket);
  }

  /** The client is gone. */
  forget(socket: ClientSocket): void {
    this.#waiting.delete(socket);
  }

  /** The newest: greets those who come from now on, and those who wait for it. */
  set(json: Uint8Array): void {
    this.#json = Uint8Array.from(json);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const socket of waiting) this.greet(socket);
  }
}

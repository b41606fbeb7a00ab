/** A connection to a service, by the client that holds it. */

import type { Client, ClientReadableStream } from '@grpc/grpc-js';
import type { Channel } from './channel.js';

/** A stream that is open. */
export interface OpenStream {
  readonly call: ClientReadableStream<unknown>;
  /** Why its connection was given up. */
  lost: Error | undefined;
}

/** A client and what became of its calls, by peer: a name may lead to several. */
export class Line<C extends Client> {
  /** When the last call to a peer missed its deadline, `performance.now()`, where nothing was heard of it since. */
  readonly missed = new Map<string, number>();
  readonly streams = new Set<OpenStream>();
  readonly client: C;
  /** The question that a missed deadline raised, while it is open. */
  asking: Promise<void> | undefined;
  readonly #channel: Channel;
  /** Calls and streams under way. */
  #open = 0;
  #closed = false;

  constructor(channel: Channel, connect: (channel: Channel) => C) {
    this.#channel = channel;
    this.client = connect(channel);
  }

  began(): void {
    this.#open++;
  }

  ended(): void {
    this.#open--;
    if (this.#closed && this.#open === 0) this.#channel.end();
  }

  /** What is under way goes on to its end. */
  close(): void {
    this.#closed = true;
    this.client.close();
    if (this.#open === 0) this.#channel.end();
  }
}

/** A WebSocket of the transport on `ws`. */

import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { TransportSocket } from './types.js';
import { frameOf, framesOf } from './ws-frames.js';
import type { Subscriber, Topics } from './ws-topics.js';

/** What is still read of a client after our close frame: its own is of 131 bytes at the most, behind what was under way. */
const LAST_BYTES = 65_536;

/** What a socket asks of its listener. */
export interface WsHome<Data> {
  readonly topics: Topics<WsSocket<Data>>;
  /** Nothing more is heard from it or sent to it. */
  finished(socket: WsSocket<Data>): void;
}

export class WsSocket<Data> implements TransportSocket<Data>, Subscriber {
  readonly #topics = new Set<string>();
  #over = false;

  constructor(
    readonly data: Data,
    private readonly home: WsHome<Data>,
    private readonly webSocket: WebSocket,
    private readonly raw: Socket,
  ) {}

  get open(): boolean {
    return !this.#over && this.webSocket.readyState === WebSocket.OPEN;
  }

  send(message: string | Uint8Array, binary = false): void {
    this.home.topics.flush();
    this.write(frameOf(message, binary));
  }

  sendAll(messages: readonly Uint8Array[]): void {
    this.home.topics.flush();
    if (messages.length > 0) this.write(framesOf(messages));
  }

  write(frames: Buffer): void {
    // Past the library, which would wrap them again; it queues nothing itself without compression.
    if (this.open) this.raw.write(frames);
  }

  subscribe(topic: string): boolean {
    if (!this.open) return false;
    this.home.topics.add(this, topic);
    this.#topics.add(topic);
    return true;
  }

  unsubscribe(topic: string): void {
    this.home.topics.remove(this, topic);
    this.#topics.delete(topic);
  }

  bufferedBytes(): number {
    return this.#over ? 0 : this.raw.writableLength;
  }

  ping(payload: Uint8Array): void {
    if (this.open) this.webSocket.ping(payload);
  }

  end(code: number, reason: string): void {
    if (this.#over) return;
    this.home.topics.flush();
    this.webSocket.close(code, reason);
    this.ending();
    this.finish();
  }

  /** Our close frame is under way. */
  ending(): void {
    let left = LAST_BYTES;
    this.raw.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) this.raw.destroy();
    });
  }

  close(): void {
    if (!this.#over) this.webSocket.terminate();
  }

  /** Nothing more is heard from it or sent to it. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    for (const topic of [...this.#topics]) this.unsubscribe(topic);
    this.home.finished(this);
  }
}

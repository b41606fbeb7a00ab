/** WebSockets as they are where there is no `ws`. */

import { WebSocket } from 'ws';
import type { WebSocketClass } from '#feed';

/** Shows no more than a browser's: no pings, no pause, no word of why there is no connection; and takes no headers. */
export class BareWebSocket {
  readonly #socket: WebSocket;

  constructor(url: string, options?: unknown) {
    if (options !== undefined) throw new SyntaxError('a browser takes subprotocols here');
    this.#socket = new WebSocket(url);
  }

  get binaryType(): string {
    return this.#socket.binaryType;
  }

  set binaryType(type: string) {
    this.#socket.binaryType = type as 'arraybuffer';
  }

  close(): void {
    this.#socket.close();
  }

  addEventListener(type: never, listener: (event: never) => void): void {
    this.#socket.addEventListener(type, (event: { data?: unknown; code?: number; reason?: string }) =>
      listener((type === 'error' ? {} : event) as never),
    );
  }
}

/** That of this Node, where it has one (from 22 on). */
const own = (globalThis as { WebSocket?: WebSocketClass }).WebSocket;

/** Those that show no more than they must, by name. */
export const BARE: readonly (readonly [string, WebSocketClass])[] = [
  ['a bare one', BareWebSocket],
  ...(own === undefined ? [] : ([['Node’s own', own]] as const)),
];
export const EACH: readonly (readonly [string, WebSocketClass])[] = [['ws', WebSocket], ...BARE];

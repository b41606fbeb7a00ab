/** The WebSockets that the library works with. */

/** What the library needs of a WebSocket: a browser's, Node's, Deno's and Bun's own have it, and that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  close(code?: number, reason?: string): void;
  /** Of `open`, `message`, `error` and `close`. */
  addEventListener(type: never, listener: never): void;
}

/** A WebSocket class. The second argument is only given where there is a header or an option to pass, which no browser takes. */
export type WebSocketClass = new (url: string, options?: never) => WebSocketLike;

/** The same as the library calls it, and what `ws` has besides, each of which makes something better. */
export interface CapableSocket {
  binaryType: string;
  close(): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  /** Stops reading, so that the server sees that this client is behind. */
  pause?(): void;
  resume?(): void;
  /** Ends without waiting for the other side. */
  terminate?(): void;
  /** Events that a browser keeps to itself: pings, and what an upgrade was answered with. */
  on?(event: string, listener: (...values: never[]) => void): unknown;
}

/** An HTTP answer in place of an upgrade, as `ws` hands it on. */
export interface NodeResponse {
  readonly statusCode?: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  on(event: string, listener: (value: Uint8Array) => void): unknown;
}

/** Throws Error where there is none. */
export function webSocketClass(given: WebSocketClass | undefined): WebSocketClass {
  const found = given ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
  if (found === undefined) {
    throw new Error(
      'There is no WebSocket here (Node has one from 22 on): npm install ws, and hand it in as the option WebSocket',
    );
  }
  return found;
}

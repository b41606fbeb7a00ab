/**
 * What the notification server asks of the library that moves its bytes. Two do: `ws` on Node's own HTTP server, everywhere (`ws.ts`),
 * and uWebSockets.js where a native build of it loads (`uws.ts`). Above this line nothing knows which.
 */

import type { TlsFiles } from '../../../shared/tls/files.js';

/** A request's head. Bodies are not read: nothing here takes one. */
export interface HttpRequest {
  /** As sent, such as `GET`. */
  readonly method: string;
  /** The target's path, of an absolute URL too; `/` where it has none. */
  readonly path: string;
  /** Behind the `?`; empty: none. */
  readonly query: string;
  /** Canonical text of the address that the connection comes from; empty where it is gone already. */
  readonly address: string;
  /** In the order in which they came, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/**
 * An answer that ends its connection, which bounds what one connection can ask for: whoever wants more than one file
 * connects again. A HEAD request is answered with the same headers and no body; the transport sees to that, and adds
 * `Content-Length` or `Transfer-Encoding`, `Connection` and, where it likes, `Date`.
 */
export type HttpAnswer = WholeAnswer | StreamedAnswer;

interface AnswerHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface WholeAnswer extends AnswerHead {
  readonly body: string | Uint8Array;
}

/** An answer that goes on: events as they come, or a file too large to hold. */
export interface StreamedAnswer extends AnswerHead {
  /** Bytes of the body, exactly: with the last of them it ends; undefined: it goes on until its end, in chunks. */
  readonly length?: number;
  /**
   * Called once, in the turn of the answer, unless the request is a HEAD or the status 304: these have no body. Where the client is gone
   * already too, and then told so. The head is sent with the first bytes. From here on the connection is no longer among those that
   * `connected` counted: whoever streams counts it, as a WebSocket is counted.
   */
  readonly stream: (out: ResponseStream) => void;
}

/**
 * The body of a streamed answer. It is over when it has ended, was closed, or its client is gone or has taken nothing of what is queued
 * for ten to twenty seconds; after that every call does nothing.
 */
export interface ResponseStream {
  /** Queues bytes. Behind the length that was told nothing is sent. */
  write(bytes: Uint8Array): void;
  /** Bytes queued here that the system has not taken; may count some of those that it has. */
  bufferedBytes(): number;
  /** Sends what is queued, and ends. Before all of the length is written it cuts the connection, so that the client sees that something is missing. */
  end(): void;
  /** Cuts the connection and forgets what is queued. */
  close(): void;
  /** Calls back when the system took what was queued. One callback. Comes for certain where `bufferedBytes` was at 65,536 or more. */
  onDrain(callback: () => void): void;
  /**
   * Calls back once when it is over, whoever ended it: at `end` and `close` themselves, else in a later turn. `whole`: it has ended, with all of the length that was told
   * handed on; what of that the client took, nobody knows. One callback.
   */
  onClose(callback: (whole: boolean) => void): void;
}

/** One WebSocket. After its end every call does nothing. */
export interface TransportSocket<Data> {
  readonly data: Data;
  /** Queues a message behind what was published to its topics; text unless `binary`. */
  send(message: string | Uint8Array, binary?: boolean): void;
  /** Queues text messages likewise, for less than each by itself. */
  sendAll(messages: readonly Uint8Array[]): void;
  /** True when it is subscribed now. It may have any number of topics. */
  subscribe(topic: string): boolean;
  /** What was published before is still sent, also where it leaves its last topic. */
  unsubscribe(topic: string): void;
  /** Bytes queued here that the system has not taken; without what was published in this turn. */
  bufferedBytes(): number;
  /** At most 125 bytes, which the pong is to carry too. */
  ping(payload: Uint8Array): void;
  /** Sends what is queued, then a close frame, and closes. */
  end(code: number, reason: string): void;
  /** Cuts the connection and forgets what is queued. */
  close(): void;
}

export interface TransportHandlers<Data> {
  /**
   * A connection has come, before it has said anything: false has it closed. Only transports that see connections ask; then each
   * `true` is followed by one `disconnected`, when the connection is gone or has become a WebSocket or a streamed answer.
   */
  connected(address: string): boolean;
  disconnected(address: string): void;
  request(request: HttpRequest): HttpAnswer;
  /**
   * A request to the endpoint that may be a handshake: its socket's data, or why it is none. A browser shows its page neither status nor
   * body of a refusal: whom it is to be told gets a socket, a message from `open` and its end.
   */
  upgrade(request: HttpRequest): { readonly data: Data } | HttpAnswer;
  open(socket: TransportSocket<Data>): void;
  /** The handshake with this data came to nothing: no socket is opened. */
  abandoned(data: Data): void;
  message(socket: TransportSocket<Data>): void;
  /** A ping, answered already. */
  ping(socket: TransportSocket<Data>): void;
  /** `payload`: for the length of the call. */
  pong(socket: TransportSocket<Data>, payload: Uint8Array): void;
  /** The system took what was queued, or some of it. Comes for certain where `bufferedBytes` was at 65,536 or more. */
  drain(socket: TransportSocket<Data>): void;
  /** Once for every socket that was opened, whoever ended it; at `end` itself where that was called. */
  close(socket: TransportSocket<Data>): void;
}

export interface ListenerOptions {
  /** Undefined: plain HTTP. */
  readonly tls: TlsFiles | undefined;
  /** The path of the WebSocket endpoint. */
  readonly endpoint: string;
  /** Bytes of a client's message at the most; a longer one ends it. */
  readonly maxMessageBytes: number;
  /** Seconds after which a WebSocket that neither sends nor takes anything is cut. */
  readonly idleSeconds: number;
}

export interface Listener {
  /** Resolves with the port. Rejects where it cannot listen. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no more connections; those there are stay. */
  stopListening(): void;
  /** Accepts nobody until `resume`: whoever comes is refused by the system. Does nothing where accepting at the limit of open files is no harm. */
  pause(): void;
  /** Rejects where it cannot listen again. */
  resume(): Promise<void>;
  /**
   * Sends a message, text unless `binary`, to the topic's subscribers, behind all that they were sent before: each of them gets what is
   * published to its topics in the order of publishing.
   */
  publish(topic: string, message: string | Uint8Array, binary?: boolean): void;
  /** Reads the certificate files again: who comes from now on gets the new one, who is there stays. Rejects, and keeps the old. */
  renew(): Promise<void>;
  /** Everything ends. Must come before the process exits. */
  close(): void;
}

export interface Transport {
  /** Package and version, for logs. */
  readonly build: string;
  /** What it does not do as the standards have it; empty: nothing. */
  readonly shortcomings: string;
  /** Whether several processes can listen on one port, which the system then shares out. */
  readonly sharesPort: boolean;
  /** Throws where a certificate does not load. */
  listener<Data>(options: ListenerOptions, handlers: TransportHandlers<Data>): Listener;
}

/** What a feed is told. */

import type { FeedFailure } from './errors.js';
import type { Kind } from './events.js';
import type { NodeStatusFrame } from './frames.js';
import type { CursorStore } from './store.js';
import type { WebSocketClass } from './web-socket.js';

/** What is used of an AbortSignal. */
export interface Abortable {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A connection over which the feed begins. */
export interface FeedOpening {
  /** Of the server, as it was given. */
  readonly url: string;
  /** The newest status of the server's own node; undefined while there is none, and with `plain`. */
  readonly node?: NodeStatusFrame;
  /** The oldest cursor that this server has; undefined with `plain`. */
  readonly oldest?: string;
  /** The kinds that the token allows, or, without one, that are to be had so; undefined where it is all of them, and with `plain`. */
  readonly kinds?: readonly string[];
}

interface CommonOptions<K extends Kind> {
  /**
   * `ws:`, `wss:`, `http:` or `https:`; without a path `/p2p-ws`. Several are tried in turn: gateways of one topic take each other's cursors, of other servers see
   * `SwitchedEvent`.
   */
  readonly url: string | readonly string[];
  /** These kinds alone, one at least. @default all */
  readonly kinds?: readonly K[];
  /** What these peers announced alone, by their IDs; from 1 to 100. @default all */
  readonly peers?: readonly string[];
  /** Where the operator gave out tokens: yours. Sent as a header where the WebSocket takes one, in browsers in the URL. */
  readonly token?: string;
  /** Ends the feed, quietly. */
  readonly signal?: Abortable;
  /** Each event has the frame as it came too, as `json`. @default false */
  readonly json?: boolean;
  /** The WebSocket class, such as that of `ws` on Node 20. @default the global one */
  readonly WebSocket?: WebSocketClass;
  /** Passed to the WebSocket as its second argument, where it takes one: options of `ws`, of Node's (`dispatcher`) or Bun's. Never in a browser. */
  readonly webSocketOptions?: object;
  /** Called when the feed begins over a connection. What it throws ends the feed. */
  readonly onOpen?: (opening: FeedOpening) => void;
  /** Called at each failure, after which it is tried again. What it throws ends the feed. */
  readonly onFailure?: (failure: FeedFailure) => void;
  /** Milliseconds until a connection must be open. @default 10000 */
  readonly openMs?: number;
  /**
   * Milliseconds without a message or ping after which a connection is given up for a new one. The server says something every 30 s; with `plain` it pings every 54 s,
   * which browsers keep to themselves. @default 75000, with `plain` 120000
   */
  readonly silenceMs?: number;
  /** Milliseconds between two attempts at the most, which are reached by doubling from 500. @default 30000 */
  readonly retryMs?: number;
  /**
   * Bytes that may wait for the loop. Beyond it `ws` stops reading until half is taken; other WebSockets cannot, so their connection is given up, and made anew
   * from where the loop is when it has taken what was there. @default 4194304
   */
  readonly bufferBytes?: number;
}

export interface FeedOptions<K extends Kind = Kind> extends CommonOptions<K> {
  readonly plain?: false;
  /**
   * Where to go on: a cursor (of an event, or kept by a store), `oldest` or `now`, or a store that keeps it. A store gets the cursor of an event when the loop came
   * round for the next: what was being handled when the program died comes again. @default now
   */
  readonly cursor?: string | CursorStore;
  /**
   * Where to begin while there is no cursor, or at a server that does not know it: a time, as Date, unix milliseconds or RFC 3339; with a time to come, with the next
   * frame. Not with the cursors `oldest` and `now`.
   */
  readonly since?: Date | number | string;
  /**
   * Where not all that follows the cursor, or was received since `since`, is to be had, that is an error and no event: it is no longer kept (`cursor_too_old`), or a
   * server does not know the cursor (`cursor_unknown`, or `bad_parameter` where it is none to it), be there a time to ask by or not. So of several servers
   * each must know the cursors of the others, as gateways of one topic do. @default false
   */
  readonly strict?: boolean;
  /** Milliseconds for which the server gathers frames into one message; not with `peers`. @default one by one */
  readonly batch?: 50 | 100 | 250 | 1000;
  /** Batches come compressed; needs `batch`, and DecompressionStream, which all but old Bun have. @default false */
  readonly gzip?: boolean;
}

export interface PlainFeedOptions<K extends Kind = Kind> extends CommonOptions<K> {
  /**
   * Asks for nothing: for servers that know no parameters, such as Teranode's own. No position, so a connection that is lost is a `gap`; kinds and peers
   * are chosen here.
   */
  readonly plain: true;
}

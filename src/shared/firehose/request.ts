/** What a consumer of the feed asks for. */

/** Where the feed is had. `events` is a page of its history, `segments` its archive. */
export type FeedEndpoint = 'websocket' | 'sse' | 'events' | 'segments';

/** Where a stream begins. */
export type StartPoint =
  | { readonly type: 'cursor'; readonly text: string }
  | { readonly type: 'oldest' }
  | { readonly type: 'now' }
  /** Unix ms. */
  | { readonly type: 'since'; readonly ms: number };

/** @public */
export type BatchMs = 50 | 100 | 250 | 1000;

export interface FeedRequest {
  /** Ids of the kinds, ascending, each once; undefined: all. */
  readonly kinds?: readonly number[];
  /** Peer IDs in base58, sorted, each once; undefined: all. */
  readonly peers?: readonly string[];
  /** Undefined: live alone. */
  readonly start?: StartPoint;
  /** Whether a start that is no longer kept is refused. */
  readonly strict: boolean;
  /** Whether frames tell their place in the history, and control frames are sent. */
  readonly meta: boolean;
  /** For how long frames are gathered into one message. */
  readonly batchMs?: BatchMs;
  /** Whether a batch is compressed. */
  readonly gzip: boolean;
  /** SSE: whether every event is called `message`, whatever its kind. */
  readonly oneEvent: boolean;
  /** Of a page: frames at the most. */
  readonly limit: number;
  /** Of a page: whether the newest comes first. */
  readonly descending: boolean;
  /** As it was sent; never to be logged. */
  readonly token?: string;
}

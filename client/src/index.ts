/** Follows the feed of a Teranode's P2P server without a gap. */

export { FeedError, type FeedFailure } from './errors.js';
export type {
  EpochEvent,
  FeedEvent,
  FrameEvent,
  GapEvent,
  Kind,
  Notice,
  PlainEvent,
  SwitchedEvent,
  TooOldEvent,
} from './events.js';
export { feed } from './feed.js';
export type * from './frames.js';
export type { Abortable, FeedOpening, FeedOptions, PlainFeedOptions } from './options.js';
export type { CursorStore } from './store.js';
export type { WebSocketClass, WebSocketLike } from './web-socket.js';

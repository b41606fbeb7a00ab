/** What a feed gives. */

import type { Frames, Place } from './frames.js';

/** Name of a kind of frames. */
export type Kind = keyof Frames;

/** With the option `json`: the frame as it came. Numbers beyond 2^53 are only there as they are. */
interface Text {
  readonly json?: string;
}

/** Frames are missing between the event before this and the next, and cannot be had here any more. */
export interface GapEvent {
  readonly type: 'gap';
  readonly text: string;
  /** The first and the last sequence number missing, where the server knows. */
  readonly from?: number;
  readonly to?: number;
}

/** What follows the cursor is not all kept any more: it goes on with the oldest that is. Also of `since`. With `strict` this is a FeedError instead. */
export interface TooOldEvent {
  readonly type: 'too_old';
  readonly text: string;
}

/**
 * Numbers (`seq`) go on in another epoch: the server lost power, or was restored from a backup. What it lost with that it does not know: whoever had got further than what
 * came back is told a `gap` besides, whoever had not is told of none, though frames that others got may be missing.
 */
export interface EpochEvent {
  readonly type: 'epoch';
  readonly text: string;
  readonly epoch: string;
}

/**
 * The feed goes on at a server that knows nothing of the cursor: from `since` on by its clock, without what came already. What the one server heard and the other
 * did not is in nobody's count: two servers that share no journal promise no more than that. With
 * `strict` this is a FeedError instead.
 */
export interface SwitchedEvent {
  readonly type: 'switched';
  readonly text: string;
  readonly url: string;
  /** RFC 3339; undefined where no time was known either: then it begins with the oldest that the server has. */
  readonly since?: string;
}

/** What there is to know of the events that follow. */
export type Notice = GapEvent | TooOldEvent | EpochEvent | SwitchedEvent;

/** A frame with what the server knows of it, by kind. */
export type FrameEvent<K extends Kind = Kind> = { readonly [P in K]: Frames[P] & Place & Text }[K];

/** What a feed gives: `type` tells what it is. Kinds that are newer than this library come as they are, in the same shape. */
export type FeedEvent<K extends Kind = Kind> = FrameEvent<K> | Notice;

/** What a feed gives with `plain`: frames without position. A `PING` frame of the server's may be among them. */
export type PlainEvent<K extends Kind = Kind> = { readonly [P in K]: Frames[P] & Text }[K] | GapEvent;

/** A reader's share of what is rendered once for all. */

import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import type { View } from './view.js';

/** Whoever topics reach. */
export interface Subscriber {
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** What it is subscribed to cannot be made fast enough: it has left, as if by `leave`. */
  dropped(): void;
}

export interface Subscription {
  readonly view: View;
  /**
   * Of the first frame that would reach who joins now: nothing before it will. Undefined while the stream of frames was never reached. What was published
   * before it reaches who has joined, also when he leaves in the same turn.
   */
  seam(): Place | undefined;
  join(subscriber: Subscriber): void;
  leave(subscriber: Subscriber): void;
  /** When (monotonic) something was last published to it; 0: never. */
  publishedAt(): number;
  /** Gives back what was reserved for it. It must have been left. */
  release(): void;
}

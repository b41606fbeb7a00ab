/** What is kept of a client, and how a connection with one ends. */

import { CLOSINGS } from '../../shared/firehose/closings.js';
import type { StreamLimits } from '../../shared/firehose/control-frames.js';
import type { FeedProblem } from '../../shared/firehose/problems.js';
import type { Place } from './admission.js';
import type { Admitted } from './feed/live-feed.js';
import type { Reader } from './feed/reader.js';
import type { Subscriber, Subscription } from './feed/subscription.js';
import type { TransportSocket } from './transport/index.js';

/** Close codes of RFC 6455. */
export const CLOSE = {
  goingAway: CLOSINGS.goingAway.code,
  policy: CLOSINGS.policy.code,
  restart: CLOSINGS.restart.code,
  tryLater: CLOSINGS.tryLater.code,
} as const;

/** What a client is served. */
export type Service =
  /** Without parameters: every frame as it is, behind the greeting. */
  | { readonly type: 'whole' }
  /** Some of the frames, or many in a message, likewise. */
  | { readonly type: 'filtered'; readonly subscription: Subscription; readonly greeted: boolean }
  /** With its place in the history. */
  | { readonly type: 'placed'; readonly admitted: Admitted; readonly limits: StreamLimits }
  /** Nothing but why. */
  | { readonly type: 'refused'; readonly problem: FeedProblem };

export const WHOLE: Service = { type: 'whole' };

/** Gives back what was reserved for a service that comes to nothing. */
export function release(service: Service): void {
  if (service.type === 'filtered') service.subscription.release();
  else if (service.type === 'placed') service.admitted.release();
}

export interface Client {
  readonly place: Place;
  readonly service: Service;
  /** Name of the token by which it is served; empty: by none. */
  readonly token: string;
  /** While it is served with its place. */
  reader: Reader | undefined;
  /** What topics reach it by, where it is served some of the frames. */
  subscriber: Subscriber | undefined;
  /** It gets what is published. */
  subscribed: boolean;
  /** By when it must have drained (monotonic); 0 while it keeps up. */
  drainBy: number;
  windowStart: number;
  windowMessages: number;
  windowPings: number;
  /** Second of the ping period in which it is pinged, so that not all are at once. */
  readonly phase: number;
  /** Carried by a ping that it has not answered. */
  challenge: Buffer | undefined;
}

export type ClientSocket = TransportSocket<Client>;

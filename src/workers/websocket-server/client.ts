/** What is kept of a client, and how a connection with one ends. */

import { CLOSINGS } from '../../shared/firehose/closings.js';
import type { Place } from './admission.js';
import type { TransportSocket } from './transport/index.js';

/** Close codes of RFC 6455. */
export const CLOSE = {
  goingAway: CLOSINGS.goingAway.code,
  policy: CLOSINGS.policy.code,
  restart: CLOSINGS.restart.code,
  tryLater: CLOSINGS.tryLater.code,
} as const;

export interface Client {
  readonly place: Place;
  subscribed: boolean;
  /** By when it must have drained (monotonic); 0 while it keeps up. */
  drainBy: number;
  windowStart: number;
  windowMessages: number;
  windowPings: number;
  /** Second of the ping period in which it is pinged, so that not all are at once. */
  readonly phase: number;
  awaitsPong: boolean;
}

export type ClientSocket = TransportSocket<Client>;

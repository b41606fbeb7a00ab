/** WebSocket frames on their way from the publisher to the notification servers. */

/** One frame, stamped. */
export interface Frame {
  /** Without gaps within an epoch, surviving restarts; below 2^53. */
  readonly seq: number;
  /** Unix ms when the message reached this node. */
  readonly receivedAt: number;
  /** Id of the message kind. */
  readonly kind: number;
  /** The node's own message. */
  readonly own: boolean;
  /** Compact JSON, UTF-8. */
  readonly json: Uint8Array;
}

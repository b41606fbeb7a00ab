/** Why a connection ended. */

import type { FeedFailure } from './errors.js';

export interface Ending {
  readonly reason: FeedFailure['reason'];
  readonly text: string;
  readonly status?: number;
  readonly code?: number;
  readonly cause?: unknown;
  /** Milliseconds that the server asks to wait. */
  readonly retryAfterMs?: number;
  /** What the server told as `application/problem+json`. */
  readonly problem?: Problem;
}

/** Of an answer or an `error` frame: the code, a sentence, and what else was told. */
export interface Problem {
  readonly code: string;
  readonly text: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

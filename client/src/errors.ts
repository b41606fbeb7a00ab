/** What ends a feed for good. */

/**
 * Why a feed cannot go on, however often it is tried. `code` is the server's own where it told one (`bad_parameter`, `unknown_kind`, `token_unknown`,
 * `not_allowed`, `cursor_too_old`, …: docs/feed.md lists them), else `refused` for another HTTP status of 400 to 499, and `no_position` for a server that
 * knows no parameters (Teranode's own): such a one is followed with `plain: true`.
 */
export class FeedError extends Error {
  override readonly name = 'FeedError';

  constructor(
    readonly code: string,
    message: string,
    /** What the server's answer had besides, such as `oldest`, the oldest cursor that it has. */
    readonly detail: Readonly<Record<string, unknown>> = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** A connection that failed or ended, after which the feed tries again. */
export interface FeedFailure {
  /** Of the server, as it was given. */
  readonly url: string;
  /**
   * `unreachable`: no connection, or none within the time for opening; `refused`: an HTTP status in place of a WebSocket; `closed`: ended by the server or on
   * the way; `silent`: nothing came for too long; `slow`: the loop was too slow for what came, and this kind of WebSocket cannot stop reading, so the
   * connection was given up to go on later from where the loop is.
   */
  readonly reason: 'unreachable' | 'refused' | 'closed' | 'silent' | 'slow';
  /** A sentence for a person or a log. */
  readonly text: string;
  /** HTTP status of an answer in place of a WebSocket, where this kind of WebSocket shows it. */
  readonly status?: number;
  /** Close code of the WebSocket. */
  readonly code?: number;
  /** The server's own code for why, where it told one: `token_in_use`, `too_slow`, `too_many_connections`, … */
  readonly problem?: string;
  /** What the WebSocket said of it. */
  readonly cause?: unknown;
  /** Whether the WebSocket had been open. */
  readonly opened: boolean;
  /** Failures since the feed last worked, this one included. */
  readonly attempt: number;
  /** Milliseconds until the next attempt. */
  readonly retryInMs: number;
}

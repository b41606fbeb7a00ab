/** Frames of a stream with `meta` that are no announcements. What their members say is in `control-fields.ts`. */

import type { FeedProblem, ProblemCode, ProblemExtra } from './problems.js';

/** What a client is told that it may do. */
export interface StreamLimits {
  readonly peers: number;
  readonly message_bytes: number;
  readonly messages_per_minute: number;
  readonly buffer_bytes: number;
  readonly kinds?: readonly string[];
  readonly connections?: number;
}

/** The first frame of a stream. */
export interface HelloFrame {
  readonly type: 'hello';
  readonly cursor: string;
  readonly oldest: string;
  /** JSON of the newest `node_status` of this server's own node, as a plain frame; left out while there is none. */
  readonly node?: Uint8Array;
  readonly limits: StreamLimits;
}

export const INFO_CODES = {
  gap: 'Frames are missing here; `from` and `to` are the first and the last sequence number missing, where they are known.',
  epoch:
    'The epoch has changed: `epoch` is that of the frames that follow, and sequence numbers may begin anew. Whoever had got further than what the server still has is told a `gap` besides.',
  cursor_too_old:
    'What followed the cursor, or was received since the time asked for, is no longer all kept: the stream begins at the oldest that is.',
  cursor_unknown: 'The cursor is not of this history: the stream begins at the oldest that is kept.',
} as const;

export type InfoCode = keyof typeof INFO_CODES;

/** What a client has to know about the frames that follow. */
export interface InfoFrame {
  readonly type: 'info';
  readonly code: InfoCode;
  readonly text: string;
  readonly cursor?: string;
  readonly from?: number;
  readonly to?: number;
  readonly epoch?: string;
}

/** Tells a client whose filter lets nothing through how far it is. */
export interface CursorFrame {
  readonly type: 'cursor';
  readonly cursor: string;
}

/** The last frame where the server ends a stream for a reason of that stream's, not as it is stopped itself. */
export interface ErrorFrame extends ProblemExtra {
  readonly type: 'error';
  readonly code: ProblemCode;
  readonly text: string;
  readonly cursor?: string;
}

export type ControlFrame = HelloFrame | InfoFrame | CursorFrame | ErrorFrame;

/** An `info` frame; `detail` where the code's own text does not say all. */
export function infoFrame(
  code: InfoCode,
  { text = INFO_CODES[code].replaceAll('`', ''), ...rest }: Omit<Partial<InfoFrame>, 'type' | 'code'> = {},
): InfoFrame {
  return { type: 'info', code, text, ...rest };
}

/** The frame that tells `problem`, with the cursor from which the client may go on. */
export function errorFrame({ code, detail, extra }: FeedProblem, cursor?: string): ErrorFrame {
  return { type: 'error', code, text: detail, ...(cursor === undefined ? {} : { cursor }), ...extra };
}

/** Compact JSON of a control frame. */
export function encodeControl(frame: ControlFrame): string {
  if (frame.type !== 'hello') return JSON.stringify(frame);
  const { node, limits, ...rest } = frame as HelloFrame;
  const text = JSON.stringify(rest).slice(0, -1);
  // The frame goes in as it is: nobody parses it.
  const own = node === undefined ? '' : `,"node":${Buffer.from(node).toString()}`;
  return `${text}${own},"limits":${JSON.stringify(limits)}}`;
}

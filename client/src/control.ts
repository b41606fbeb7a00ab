/** Frames of the server that are no announcements. */

import type { Problem } from './ending.js';
import type { Notice } from './events.js';
import type { NodeStatusFrame } from './frames.js';

/** The first of a connection. */
export interface Hello {
  readonly type: 'hello';
  /** Where it begins: everything after this. */
  readonly cursor: string;
  readonly oldest: string;
  readonly node?: NodeStatusFrame;
  readonly limits: { readonly kinds?: readonly string[] };
}

export interface Info {
  readonly type: 'info';
  readonly code: string;
  readonly text: string;
  /** Where it goes on: everything after this. */
  readonly cursor?: string;
}

/** How far it is, told where a filter lets nothing through. */
interface CursorFrame {
  readonly type: 'cursor';
  readonly cursor: string;
}

/** The last before the server closes. */
export interface ErrorFrame {
  readonly type: 'error';
  readonly code: string;
  readonly text: string;
}

export type Control = Hello | Info | CursorFrame | ErrorFrame;

/** What an `info` frame has besides its text is handed on under the name that it has there. */
export function noticeOf({ type: _, code, ...rest }: Info): Notice {
  return { type: code === 'cursor_too_old' ? 'too_old' : code, ...rest } as unknown as Notice;
}

export function problemOf({ type: _, code, text, ...detail }: ErrorFrame): Problem {
  return { code, text, detail };
}

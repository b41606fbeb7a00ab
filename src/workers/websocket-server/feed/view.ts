/** What a reader sees of the feed, and how. */

import { authorOf, kindOf } from '../../../shared/journal/entry.js';
import type { Form } from './form.js';

export interface View {
  readonly form: Form;
  /** Ids, ascending, each once; undefined: all. */
  readonly kinds?: readonly number[] | undefined;
  /** Whose announcements, sorted, each once; undefined: everybody's. */
  readonly peers?: readonly string[] | undefined;
  /** Milliseconds for which frames are gathered into one message; undefined: one message each. Not with `peers`. */
  readonly batchMs?: number | undefined;
  /** Whether a batch is compressed. */
  readonly gzip: boolean;
}

/** Tells which entries, with a frame each, a view lets through. */
export function filterOf({ kinds, peers }: Pick<View, 'kinds' | 'peers'>): (entry: Uint8Array) => boolean {
  const ofKinds = kinds === undefined ? undefined : new Set(kinds);
  const ofPeers = peers === undefined ? undefined : new Set(peers);
  return (entry) =>
    (ofKinds === undefined || ofKinds.has(kindOf(entry))) &&
    (ofPeers === undefined || ofPeers.has(authorOf(entry)));
}

/** Frames as one message: a line each. */
export function linesOf(frames: readonly Uint8Array[]): Uint8Array {
  const [only] = frames;
  if (only !== undefined && frames.length === 1) return only;
  const lines = Buffer.allocUnsafe(frames.reduce((bytes, { length }) => bytes + length + 1, -1));
  let at = 0;
  for (const frame of frames) {
    if (at > 0) lines[at++] = LINE_FEED;
    lines.set(frame, at);
    at += frame.length;
  }
  return lines;
}

const LINE_FEED = 10;

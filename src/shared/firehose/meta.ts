/** Frames with what the server knows of them: keys appended to the plain frame, of which nothing is parsed. */

import { frameOf, headerOf, type JournalledEntry, receivedAtOf } from '../journal/entry.js';
import { frameTimestamp } from '../messages/frame.js';

/** Where a frame stands, as clients are told. */
export interface Told {
  /** Everything after this frame. */
  readonly cursor: string;
  readonly epoch: string;
  readonly seq: number;
}

/** In the header of a block, internal order. */
const PREVIOUS_HASH = { from: 4, to: 36 } as const;

/** The keys of a block's header. */
function headerKeys(header: Uint8Array): string {
  const bytes = Buffer.from(header);
  const { from, to } = PREVIOUS_HASH;
  const text = bytes.toString('hex');
  return `,"header":"${text}","previous_hash":"${bytes.subarray(from, to).reverse().toString('hex')}"`;
}

/** RFC 3339 in UTC, with milliseconds. */
function rfc3339(at: number): string {
  const second = frameTimestamp(at).slice(0, -1);
  return `${second}.${String(Math.floor(at) % 1000).padStart(3, '0')}Z`;
}

/**
 * The frame of `entry` with `cursor`, `epoch`, `seq` and `received_at` behind its own keys, and of a block whose header is known `header` and
 * `previous_hash`: a copy. `entry` has a frame.
 */
export function metaFrame({ bytes }: JournalledEntry, { cursor, epoch, seq }: Told): Uint8Array {
  const frame = frameOf(bytes);
  const at = rfc3339(receivedAtOf(bytes));
  const header = headerOf(bytes);
  const keys = `,"cursor":"${cursor}","epoch":"${epoch}","seq":${seq},"received_at":"${at}"${header === undefined ? '' : headerKeys(header)}}`;
  // Without its closing brace, which the keys bring along.
  const kept = frame.length - 1;
  const whole = Buffer.allocUnsafe(kept + keys.length);
  whole.set(frame);
  whole.write(keys, kept, 'latin1');
  return whole;
}

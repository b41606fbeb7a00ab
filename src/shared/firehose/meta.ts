/** Frames with what the server knows of them: keys appended to the plain frame, of which nothing is parsed. */

import { frameOf, type JournalledEntry, receivedAtOf } from '../journal/entry.js';

/** Where a frame stands, as clients are told. */
export interface Told {
  /** Everything after this frame. */
  readonly cursor: string;
  readonly epoch: string;
  readonly seq: number;
}

/** The frame of `entry` with `cursor`, `epoch`, `seq` and `received_at` behind its own keys, a copy. `entry` has a frame. */
export function metaFrame({ bytes }: JournalledEntry, { cursor, epoch, seq }: Told): Uint8Array {
  const frame = frameOf(bytes);
  const at = new Date(receivedAtOf(bytes)).toISOString();
  const keys = `,"cursor":"${cursor}","epoch":"${epoch}","seq":${seq},"received_at":"${at}"}`;
  // Without its closing brace, which the keys bring along.
  const kept = frame.length - 1;
  const whole = Buffer.allocUnsafe(kept + keys.length);
  whole.set(frame.subarray(0, kept));
  whole.write(keys, kept, 'latin1');
  return whole;
}

/** The memory in which a batch is put together before it is written. */

import { entryLengthAt, FRAME, REPEAT } from './entry.js';
import { BATCH_HEAD_BYTES, type BatchHead, MAX_BATCH_BYTES } from './layout.js';

const FIRST_BYTES = 64 * 1024;
/** What a batch of the usual size leaves of the memory that a large one took. */
const KEPT_BYTES = 1_048_576;

export class BatchBuffer {
  /** A batch: room for its head, and its entries. */
  bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);

  /** Puts `entries` behind the place of their head, and counts them. Throws RangeError where they are more than 32 MiB. */
  gather(entries: readonly Uint8Array[]): Pick<BatchHead, 'count' | 'frames' | 'repeats' | 'bytes'> {
    let bytes = 0;
    for (const entry of entries) bytes += entry.length;
    if (bytes > MAX_BATCH_BYTES) throw new RangeError(`a batch of ${bytes} bytes`);
    const length = BATCH_HEAD_BYTES + bytes;
    if (length > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(2 * length);
    const buffer = this.bytes;
    let at = BATCH_HEAD_BYTES;
    let frames = 0;
    let repeats = 0;
    for (const entry of entries) {
      buffer.set(entry, at);
      if (entryLengthAt(buffer, at) !== entry.length)
        throw new RangeError('an entry is not as long as it says');
      const flags = entry[5] as number;
      if ((flags & FRAME) !== 0) frames++;
      if ((flags & REPEAT) !== 0) repeats++;
      at += entry.length;
    }
    return { count: entries.length, frames, repeats, bytes };
  }

  /** Gives back the memory that a batch of `length` bytes took, where that was much. */
  shrink(length: number): void {
    if (length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }
}

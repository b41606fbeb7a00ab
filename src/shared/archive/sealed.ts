/** Which segments of a journal are written no more. */

import { join } from 'node:path';
import { isMissing } from '../journal/errors.js';
import { type FileCalls, withFile } from '../journal/files.js';
import { type SegmentHead, segmentName } from '../journal/layout.js';
import { JournalReader } from '../journal/reader.js';

export interface SealedSegment {
  readonly head: SegmentHead;
  /** Of the next that can be read: what lies between is damaged. */
  readonly next: SegmentHead;
  readonly bytes: number;
}

/** Those behind which another has been begun, ascending. Throws what the file system throws. */
export function sealedSegments(directory: string, files: FileCalls): SealedSegment[] {
  const heads = new JournalReader({ directory, files }).heads();
  return heads.slice(0, -1).flatMap((head, index) => {
    const next = heads[index + 1] as SegmentHead;
    try {
      const path = join(directory, segmentName(head.position));
      return { head, next, bytes: withFile(files, path, 'r', (fd) => files.stat(fd).size) };
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  });
}

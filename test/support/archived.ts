/** The archive of a journal, made within the test's own process. */

import { Archive } from '../../src/shared/archive/archive.js';
import { Archiver } from '../../src/shared/archive/archiver.js';
import type { ArchiveSegment } from '../../src/shared/archive/segment.js';

/** Has what is sealed of the journal in `directory` archived, and gives all there is of it. */
export async function archiveSealed(directory: string): Promise<readonly ArchiveSegment[]> {
  const archiver = new Archiver({ directory, by: process.pid, progress: () => {} });
  archiver.sweep();
  for (const segment of archiver.due()) await archiver.archive(segment);
  return new Archive({ directory }).list();
}

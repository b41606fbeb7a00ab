/** The segments of a journal, as its owner knows them. */

import { join } from 'node:path';
import type { Logger } from '../logging/logger.js';
import { archiveFolder, framesName, metadataName } from './archive-names.js';
import { isMissing } from './errors.js';
import { type FileCalls, readUpTo, withFile } from './files.js';
import {
  decodeSegmentHead,
  indexName,
  type Position,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
  segmentName,
  segmentsAmong,
} from './layout.js';

export interface Segment {
  readonly first: Position;
  /** Undefined where it is damaged. */
  readonly head: SegmentHead | undefined;
  bytes: number;
  /** Entries in it that have a repeat key. */
  repeats: number;
  /** Until when (monotonic) repeats in it are needed. */
  neededUntil: number;
}

/** A segment that is `bytes` long, and of which nothing else is known yet. */
export const segmentOf = (first: Position, head: SegmentHead | undefined, bytes: number): Segment => ({
  first,
  head,
  bytes,
  repeats: 0,
  neededUntil: Number.NEGATIVE_INFINITY,
});

export class Segments {
  readonly directory: string;
  /** First positions of those of which the disk may not have everything. */
  readonly unsynced = new Set<Position>();
  readonly #logger: Logger;
  readonly #files: FileCalls;
  #list: Segment[] = [];

  constructor({ logger, files }: { readonly logger: Logger; readonly files: FileCalls }, directory: string) {
    this.#logger = logger;
    this.#files = files;
    this.directory = directory;
  }

  /** Oldest first. */
  get list(): readonly Segment[] {
    return this.#list;
  }

  get newest(): Segment | undefined {
    return this.#list.at(-1);
  }

  get bytes(): number {
    return this.#list.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  pathOf(first: Position): string {
    return join(this.directory, segmentName(first));
  }

  indexPathOf(first: Position): string {
    return join(this.directory, indexName(first));
  }

  /** Looks which there are. Throws what the file system throws, and NewerVersionError. */
  find(): void {
    const files = this.#files;
    const firsts = segmentsAmong(files.list(this.directory));
    this.#list = firsts.flatMap((first, index) => {
      const path = this.pathOf(first);
      const { head, bytes } = withFile(files, path, 'r', (fd) => ({
        head: decodeSegmentHead(readUpTo(files, fd, SEGMENT_HEAD_BYTES, 0)),
        bytes: files.stat(fd).size,
      }));
      const isWhole = head !== undefined && bytes >= SEGMENT_HEAD_BYTES;
      if (!isWhole && bytes <= SEGMENT_HEAD_BYTES && index === firsts.length - 1) {
        // Whoever made it died before it was whole, so that nothing was ever in it.
        files.remove(path);
        return [];
      }
      return segmentOf(first, head?.position === first ? head : undefined, bytes);
    });
  }

  add(segment: Segment): void {
    this.#list.push(segment);
  }

  /** Forgets the oldest. */
  shift(): void {
    const oldest = this.#list.shift();
    if (oldest !== undefined) this.unsynced.delete(oldest.first);
  }

  /** Keeps the oldest `count`, and gives the others. */
  cut(count: number): Segment[] {
    return this.#list.splice(count);
  }

  /** Removes a file, whatever comes of it. */
  discard(path: string): void {
    try {
      this.#files.remove(path);
    } catch (error) {
      if (!isMissing(error))
        this.#logger.debug({ err: error, path }, 'a file of the journal was not removed');
    }
  }

  /** Removes what an archive has of the segment that begins at `first`. */
  discardArchive(first: Position): void {
    const folder = archiveFolder(this.directory);
    for (const name of [metadataName(first), framesName(first)]) this.discard(join(folder, name));
  }

  /** Has the disk take everything. Throws what the file system throws. */
  syncAll(): void {
    for (const first of this.unsynced) {
      try {
        withFile(this.#files, this.pathOf(first), 'r+', (fd) => this.#files.sync(fd));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    if (this.unsynced.size > 0) this.#files.syncDirectory(this.directory);
    this.unsynced.clear();
  }
}

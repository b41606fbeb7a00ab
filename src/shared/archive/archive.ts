/** The archive of a journal as it is read, in any process. */

import { join } from 'node:path';
import { archiveFolder, framesName, metadataName } from '../journal/archive-names.js';
import { isMissing } from '../journal/errors.js';
import { FILES, type FileCalls, readUpTo, withFile } from '../journal/files.js';
import { type Position, segmentName, segmentsAmong } from '../journal/layout.js';
import { type ArchiveMetadata, type ArchiveSegment, archivedFirst, decodeMetadata } from './segment.js';

const MAX_METADATA_BYTES = 16 * 1_048_576;

export class Archive {
  readonly #directory: string;
  readonly #files: FileCalls;
  /** By first position. They are written once. */
  readonly #known = new Map<Position, ArchiveSegment>();

  /** `directory`: of the journal. */
  constructor({ directory, files = FILES }: { readonly directory: string; readonly files?: FileCalls }) {
    this.#directory = directory;
    this.#files = files;
  }

  /** Sealed segments that are archived and kept, ascending. Throws what the file system throws. */
  list(): readonly ArchiveSegment[] {
    const kept = new Set(segmentsAmong(this.#files.list(this.#directory)));
    const firsts = new Set<Position>();
    for (const name of this.#names()) {
      const first = archivedFirst(name);
      // Where its segment has gone, it is about to go.
      if (first !== undefined && kept.has(first)) firsts.add(first);
    }
    for (const first of this.#known.keys()) if (!firsts.has(first)) this.#known.delete(first);
    return [...firsts].sort((a, b) => a - b).flatMap((first) => this.#read(first) ?? []);
  }

  /** The archived segment that begins at `first`. Throws what the file system throws. */
  find(first: Position): ArchiveSegment | undefined {
    return this.list().find((segment) => segment.first === first);
  }

  #names(): readonly string[] {
    try {
      return this.#files.list(archiveFolder(this.#directory));
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Undefined where it is not whole, or of a segment that has been written to since. */
  #read(first: Position): ArchiveSegment | undefined {
    const known = this.#known.get(first);
    if (known !== undefined) return known;
    const folder = archiveFolder(this.#directory);
    try {
      const metadata = this.#metadata(join(folder, metadataName(first)), first);
      const path = join(folder, framesName(first));
      if (metadata === undefined) return undefined;
      if (this.#size(path) !== metadata.bytes) return undefined;
      if (this.#size(join(this.#directory, segmentName(first))) !== metadata.segmentBytes) return undefined;
      const segment = { ...metadata, path };
      this.#known.set(first, segment);
      return segment;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #metadata(path: string, first: Position): ArchiveMetadata | undefined {
    const files = this.#files;
    return withFile(files, path, 'r', (fd) => {
      const size = Math.min(files.stat(fd).size, MAX_METADATA_BYTES);
      return decodeMetadata(readUpTo(files, fd, size, 0), first);
    });
  }

  #size(path: string): number {
    return withFile(this.#files, path, 'r', (fd) => this.#files.stat(fd).size);
  }
}

/** Makes the archive of a journal that another process writes. A death at any moment leaves what is whole, and what the next one removes. */

import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Place } from '../firehose/cursor-scheme.js';
import { History, type HistoryOptions } from '../firehose/history.js';
import { metaFrame } from '../firehose/meta.js';
import { archiveFolder, framesName, metadataName } from '../journal/archive-names.js';
import { isMissing } from '../journal/errors.js';
import { FILES, type FileCalls, withFile, writeAll } from '../journal/files.js';
import { segmentName, segmentsAmong } from '../journal/layout.js';
import { Archive } from './archive.js';
import { GzipWriter } from './gzip-writer.js';
import { type SealedSegment, sealedSegments } from './sealed.js';
import {
  ARCHIVE_FORMAT,
  type ArchiveGap,
  type ArchiveMetadata,
  archivedFirst,
  encodeMetadata,
  isPartial,
  partialName,
} from './segment.js';

const READ_BYTES = 1_048_576;

export interface ArchiverOptions extends HistoryOptions {
  /** Tells its partial files from another's. */
  readonly by: number;
  /** Called now and then while it gets on. */
  readonly progress?: () => void;
  readonly signal?: AbortSignal;
}

export class Archiver {
  readonly #options: ArchiverOptions;
  readonly #files: FileCalls;
  readonly #folder: string;
  readonly #archive: Archive;

  constructor(options: ArchiverOptions) {
    const { directory, files = FILES } = options;
    this.#options = options;
    this.#files = files;
    this.#folder = archiveFolder(directory);
    this.#archive = new Archive({ directory, files });
  }

  /** Sealed segments that are not archived yet, ascending. Throws what the file system throws. */
  due(): SealedSegment[] {
    const archived = new Set(this.#archive.list().map(({ first }) => first));
    return sealedSegments(this.#options.directory, this.#files).filter(
      ({ head }) => !archived.has(head.position),
    );
  }

  /** Removes what an earlier archiver left half made, and what is of segments that have gone or in the form of another version. Throws what the file system throws. */
  sweep(): void {
    const { directory, by } = this.#options;
    const files = this.#files;
    files.makeDirectory(this.#folder);
    const kept = new Set(segmentsAmong(files.list(directory)));
    const archived = new Set(this.#archive.list().map(({ first }) => first));
    for (const name of files.list(this.#folder)) {
      const first = archivedFirst(name);
      const isLeft = isPartial(name) && !name.endsWith(partialName('', by));
      const isStray = first !== undefined && !(kept.has(first) && archived.has(first));
      if (isLeft || isStray) this.#remove(name);
    }
  }

  /**
   * Archives a segment. Gives nothing where it has gone meanwhile, or grown. Rejects with what the file system throws, and what the signal says: then nothing is left
   * of it.
   */
  async archive({ head, next, bytes: segmentBytes }: SealedSegment): Promise<ArchiveMetadata | undefined> {
    const first = head.position;
    const { by } = this.#options;
    const [frames, metadata] = [framesName(first), metadataName(first)];
    const [framesPartial, metadataPartial] = [partialName(frames, by), partialName(metadata, by)];
    const at = (name: string): string => join(this.#folder, name);
    try {
      this.#remove(framesPartial);
      const fd = this.#files.open(at(framesPartial), 'wx+');
      let made: Omit<ArchiveMetadata, 'segmentBytes'>;
      try {
        made = await this.#write(fd, { head, next });
      } finally {
        this.#files.close(fd);
      }
      if (this.#size(first) !== segmentBytes) return undefined;
      const whole = { ...made, segmentBytes };
      this.#remove(metadataPartial);
      withFile(this.#files, at(metadataPartial), 'wx+', (file) => {
        const text = encodeMetadata(whole);
        writeAll(this.#files, file, text, text.length, 0);
        this.#files.sync(file);
      });
      this.#files.rename(at(framesPartial), at(frames));
      this.#files.syncDirectory(this.#folder);
      // Where this is, the other is.
      this.#files.rename(at(metadataPartial), at(metadata));
      this.#files.syncDirectory(this.#folder);
      return whole;
    } finally {
      this.#remove(framesPartial);
      this.#remove(metadataPartial);
    }
  }

  async #write(
    fd: number,
    { head, next }: Pick<SealedSegment, 'head' | 'next'>,
  ): Promise<Omit<ArchiveMetadata, 'segmentBytes'>> {
    const { signal, progress } = this.#options;
    const history = new History(this.#options);
    const writer = new GzipWriter(this.#files, fd);
    const { epoch, position, seq } = head;
    const start: Place = { epoch, position, seq };
    const end: Place = { epoch: next.epoch, position: next.position, seq: next.seq };
    const gaps: ArchiveGap[] = [];
    const seqs: number[] = [];
    let frames = 0;
    let at = start;
    try {
      while (at.position < end.position) {
        const read = history.read(at, { end, maxBytes: READ_BYTES });
        for (const { code, from, to } of [...read.before, ...read.after]) {
          if (code === 'gap')
            gaps.push({ ...(from !== undefined && { from }), ...(to !== undefined && { to }) });
        }
        for (const entry of read.entries) {
          const told = history.tell(entry, epoch);
          seqs[frames === 0 ? 0 : 1] = told.seq;
          frames++;
          if (!writer.add(metaFrame(entry, told))) continue;
          writer.flush();
          progress?.();
          await nextTurn();
          signal?.throwIfAborted();
        }
        at = read.next;
      }
      const written = writer.end();
      const [firstSeq, lastSeq = firstSeq] = seqs;
      return {
        format: ARCHIVE_FORMAT,
        first: position,
        end: end.position,
        epoch,
        cursor: history.cursorAt(start),
        next: history.cursorAt(at),
        ...(firstSeq !== undefined && lastSeq !== undefined && { firstSeq, lastSeq }),
        from: head.time,
        to: next.time,
        frames,
        gaps,
        ...written,
      };
    } finally {
      history.close();
    }
  }

  /** Bytes of the segment that begins at `first`; undefined where it has gone. */
  #size(first: number): number | undefined {
    const path = join(this.#options.directory, segmentName(first));
    try {
      return withFile(this.#files, path, 'r', (fd) => this.#files.stat(fd).size);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #remove(name: string): void {
    try {
      this.#files.remove(join(this.#folder, name));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

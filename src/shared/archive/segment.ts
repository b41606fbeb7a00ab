/**
 * What there is of a sealed segment of the journal in the archive, for whoever fetches history in bulk: two files in `archive` beside the segments.
 *
 * `<first position, 16 digits>.ndjson.gz`: its frames as the feed has them with `meta`, a line each, as one gzip member of chunks of about 256 KiB of text,
 * each of whole lines and readable alone. `<first position>.json`: what is said of it here; where that is, the other is whole and on the disk. Neither is written again.
 */

import type { Position } from '../journal/layout.js';

export const ARCHIVE_FORMAT = 2;

/** Sequence numbers of the first and the last frame missing, as consumers see them; neither where they do not see the journal's. */
export interface ArchiveGap {
  readonly from?: number;
  readonly to?: number;
}

/** A part of the compressed file that can be decompressed alone, by a raw inflate. */
export interface ArchiveChunk {
  /** Of its first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** Of those bytes. */
  readonly crc32c: number;
  /** Of its first byte when all before is decompressed. */
  readonly plainOffset: number;
}

/** What is written down of an archived segment. */
export interface ArchiveMetadata {
  readonly format: typeof ARCHIVE_FORMAT;
  /** Positions of the first entry, and of the first behind the last. */
  readonly first: Position;
  readonly end: Position;
  /** Of its frames. */
  readonly epoch: string;
  /** Cursors: everything of it and after it, everything after it. */
  readonly cursor: string;
  readonly next: string;
  /** Sequence numbers of the first and last frame, as consumers see them; neither where there is no frame. */
  readonly firstSeq?: number;
  readonly lastSeq?: number;
  /** Unix ms: nothing in it was stored earlier or later. */
  readonly from: number;
  readonly to: number;
  readonly frames: number;
  /** Frames that are missing in it: the segment was damaged when it was archived. */
  readonly gaps: readonly ArchiveGap[];
  /** Of the compressed file. */
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  /** The same when it is decompressed. */
  readonly plainBytes: number;
  readonly plainSha256: string;
  /** One behind the other, in the order of the text; none where there is no frame. */
  readonly chunks: readonly ArchiveChunk[];
  /** Bytes of the segment of which it was made. */
  readonly segmentBytes: number;
}

export interface ArchiveSegment extends ArchiveMetadata {
  /** Of the compressed file. */
  readonly path: string;
}

const PARTIAL = '.partial';
const NAME = /^(\d{16})\.(?:ndjson\.gz|json)$/;

/** While it is written. `by`: whoever writes it, as another may still be about to end. */
export const partialName = (name: string, by: number): string => `${name}.${by}${PARTIAL}`;

export const isPartial = (name: string): boolean => name.endsWith(PARTIAL);

/** First position of the segment whose file in the archive is called `name`; undefined where it is no such file. */
export function archivedFirst(name: string): Position | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function encodeMetadata(metadata: ArchiveMetadata): Buffer {
  return Buffer.from(`${JSON.stringify(metadata)}\n`);
}

/** What `bytes` say of the segment that begins at `first`; undefined where they are damaged, or of a format that this version does not know. */
export function decodeMetadata(bytes: Buffer, first: Position): ArchiveMetadata | undefined {
  try {
    const metadata = JSON.parse(bytes.toString()) as ArchiveMetadata;
    return metadata.format === ARCHIVE_FORMAT && metadata.first === first ? metadata : undefined;
  } catch {
    return undefined;
  }
}

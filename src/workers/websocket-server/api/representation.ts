/** A segment of the archive as it is sent: compressed, as it is stored, or not. */

import type { ArchiveSegment } from '../../../shared/archive/segment.js';
import type { Range } from '../http/range.js';
import type { Headers } from '../http/resource.js';
import type { FilePart } from './transfer.js';

export interface Representation {
  /** A strong entity tag. */
  readonly tag: string;
  /** Bytes of it. */
  readonly size: number;
  readonly headers: Headers;
  /** What of the segment's file a part of it is made from. */
  part(range: Range): Omit<FilePart, 'fd'>;
}

export function representationOf(segment: ArchiveSegment, compressed: boolean): Representation {
  return compressed ? stored(segment) : unpacked(segment);
}

function stored({ sha256, bytes }: ArchiveSegment): Representation {
  return {
    tag: `"${sha256}"`,
    size: bytes,
    headers: [['content-encoding', 'gzip']],
    part: (range) => {
      // Of a part nobody knows what it was.
      const isAll = range.from === 0 && range.to === bytes;
      return { pieces: [{ bytes: range, ...(isAll && { sha256 }) }], plain: undefined };
    },
  };
}

function unpacked({ plainSha256, plainBytes, chunks }: ArchiveSegment): Representation {
  return {
    tag: `"${plainSha256}"`,
    size: plainBytes,
    headers: [],
    part({ from, to }) {
      const first = chunks.findLastIndex(({ plainOffset }) => plainOffset <= from);
      const behind = chunks.findIndex(({ plainOffset }) => plainOffset >= to);
      const base = chunks[first]?.plainOffset ?? 0;
      return {
        pieces: chunks
          .slice(first, behind === -1 ? undefined : behind)
          .map(({ offset, bytes, crc32c }) => ({ bytes: { from: offset, to: offset + bytes }, crc32c })),
        plain: { from: from - base, to: to - base },
      };
    },
  };
}

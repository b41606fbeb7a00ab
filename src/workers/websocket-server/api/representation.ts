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
    part: (range) => ({
      bytes: range,
      plain: undefined,
      // Of a part nobody knows what it was.
      sha256: range.from === 0 && range.to === bytes ? sha256 : '',
    }),
  };
}

function unpacked({ sha256, plainSha256, bytes, plainBytes, members }: ArchiveSegment): Representation {
  return {
    tag: `"${plainSha256}"`,
    size: plainBytes,
    headers: [],
    part({ from, to }) {
      const first = members.findLast(({ plainOffset }) => plainOffset <= from) ?? {
        offset: 0,
        plainOffset: 0,
      };
      const behind = members.find(({ plainOffset }) => plainOffset >= to)?.offset ?? bytes;
      return {
        bytes: { from: first.offset, to: behind },
        plain: { from: from - first.plainOffset, to: to - first.plainOffset },
        sha256: first.offset === 0 && behind === bytes ? sha256 : '',
      };
    },
  };
}

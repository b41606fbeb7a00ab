/** `/api/v1/segments`: the archive, whole segments of the history, which never change. */

import type { Archive } from '../../../shared/archive/archive.js';
import type { ArchiveSegment } from '../../../shared/archive/segment.js';
import { PATHS } from '../../../shared/firehose/paths.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { parseFeedQuery } from '../../../shared/firehose/query.js';
import type { ToldSegment } from '../../../shared/firehose/segment-fields.js';
import { headerOf } from '../handshake.js';
import { takesGzip } from '../http/accept.js';
import { preconditionOf, wantsPart } from '../http/preconditions.js';
import { rangeOf } from '../http/range.js';
import {
  type Answer,
  type Asked,
  type Headers,
  NOT_STORED,
  type Resource,
  refuseAsProblem,
} from '../http/resource.js';
import type { Tokens } from '../tokens.js';
import type { HttpRequest, ResponseStream } from '../transport/index.js';
import { type Representation, representationOf } from './representation.js';
import type { Transfers } from './transfers.js';

const NDJSON = 'application/x-ndjson';
/** It never changes; but for how long it is kept is the operator's. */
const LASTING_SECONDS = 86_400;
const NAME = /^([0-9a-f]{16})\/(\d{1,16})$/;

/** The archive; undefined while it is not known where it is. */
type ArchiveSource = () => Archive | undefined;

export interface SegmentsComponents {
  readonly archive: ArchiveSource;
  readonly tokens: Tokens;
  readonly transfers: Transfers;
}

/** The name of the token of the request, empty where nobody needs one. Throws FeedProblem, as where the token allows some kinds alone: a segment has all. */
function admitted(tokens: Tokens, request: HttpRequest): string {
  const { token } = tokens.admit({
    request: parseFeedQuery(request.query, 'segments'),
    authorization: headerOf(request, 'authorization'),
    endpoint: 'segments',
  });
  return token;
}

function archiveOf(source: ArchiveSource): Archive {
  const archive = source();
  if (archive === undefined) throw new FeedProblem('unavailable');
  return archive;
}

/** The list of what there is, with where to go on behind it. */
export function segmentListResource({ archive, tokens }: SegmentsComponents): Resource {
  return {
    path: PATHS.segments,
    refuse: refuseAsProblem,
    answer({ request }) {
      admitted(tokens, request);
      const segments = archiveOf(archive).list();
      const next = segments.at(-1)?.next;
      const body = JSON.stringify({ segments: segments.map(listed), next });
      return { status: 200, contentType: 'application/json', body, headers: NOT_STORED };
    },
  };
}

function listed(segment: ArchiveSegment): ToldSegment {
  const { first, end, epoch, cursor, next, firstSeq, lastSeq, frames, gaps } = segment;
  const { bytes, sha256, plainBytes, plainSha256 } = segment;
  return {
    first,
    last: end - 1,
    epoch,
    cursor,
    next,
    first_seq: firstSeq,
    last_seq: lastSeq,
    from: new Date(segment.from).toISOString(),
    to: new Date(segment.to).toISOString(),
    frames,
    gaps,
    bytes,
    sha256,
    plain_bytes: plainBytes,
    plain_sha256: plainSha256,
    url: `${PATHS.segments}/${epoch}/${first}`,
  };
}

/** Positions are each journal's own: the epoch tells whose. */
function named(name: string, archive: Archive): ArchiveSegment | undefined {
  const [, epoch, first] = NAME.exec(name) ?? [];
  const segment = first === undefined ? undefined : archive.find(Number(first));
  return segment?.epoch === epoch ? segment : undefined;
}

/** One of them, as lines of JSON. */
export function segmentResource({ archive, tokens, transfers }: SegmentsComponents): Resource {
  return {
    path: `${PATHS.segments}/`,
    refuse: refuseAsProblem,
    exposed: 'accept-ranges, content-encoding, content-range, etag',
    answer({ request, client, rest }: Asked): Answer {
      const token = admitted(tokens, request);
      const segment = named(rest, archiveOf(archive));
      if (segment === undefined) throw new FeedProblem('not_found', 'there is no such segment, or no longer');
      const representation = representationOf(segment, takesGzip(request));
      const headers = headersOf(representation, token);
      switch (preconditionOf(request, representation.tag)) {
        case 'failed':
          throw new FeedProblem('precondition_failed');
        case 'not_modified':
          return { status: 304, contentType: NDJSON, headers, stream: () => {} };
        case 'none':
      }
      const { size } = representation;
      const range = partOf(request, representation);
      if (range === 'unsatisfiable') {
        const refusal = refuseAsProblem(new FeedProblem('range_not_satisfiable'), request);
        return { ...refusal, headers: [...NOT_STORED, ['content-range', `bytes */${size}`]] };
      }
      const { from, to } = range ?? { from: 0, to: size };
      const head = { status: 200, contentType: NDJSON, headers, length: to - from };
      if (request.method === 'HEAD') return { ...head, stream: () => {} };
      const send = transfers.open(segment, client);
      const stream: (out: ResponseStream) => void = (out) =>
        void send(representation.part({ from, to }), out);
      if (range === undefined) return { ...head, stream };
      const where = ['content-range', `bytes ${from}-${to - 1}/${size}`] as const;
      return { ...head, status: 206, headers: [...headers, where], stream };
    },
  };
}

/** `token`: whose, empty for nobody's. */
const headersOf = ({ tag, headers }: Representation, token: string): Headers => [
  ['etag', tag],
  ['cache-control', `${token === '' ? 'public' : 'private'}, max-age=${LASTING_SECONDS}, immutable`],
  ['vary', 'accept-encoding'],
  ['accept-ranges', 'bytes'],
  ...headers,
];

/** A range is of a GET alone. */
const partOf = (request: HttpRequest, { tag, size }: Representation) =>
  request.method === 'GET' && wantsPart(request, tag) ? rangeOf(headerOf(request, 'range'), size) : undefined;

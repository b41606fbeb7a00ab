/** What is told of a segment of the archive, as data: what its schema and its documentation are written from. */

import type { JsonSchema } from '../messages/frame-fields.js';

interface SegmentField {
  readonly schema: JsonSchema;
  /** For a page. */
  readonly type: string;
  /** What it says, for a client. */
  readonly doc: string;
  /** When it is left out; never unless told. */
  readonly leftOut?: string;
}

const COUNT = { schema: { type: 'integer', minimum: 0 }, type: 'whole number' };
const CURSOR = { schema: { type: 'string', pattern: '^[0-9A-Za-z._-]{1,128}$' }, type: 'text' };
const SHA256 = { schema: { type: 'string', pattern: '^[0-9a-f]{64}$' }, type: '64 hex digits' };
const TIME = {
  schema: { type: 'string', format: 'date-time' },
  type: 'time of RFC 3339, UTC, milliseconds',
};
const NO_FRAME = 'where it has no frame';

export const SEGMENT_FIELDS = {
  first: {
    ...COUNT,
    doc: 'Position of its first entry in this server’s journal; with `epoch` it names the segment.',
  },
  last: { ...COUNT, doc: 'Position of its last.' },
  epoch: {
    schema: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    type: '16 hex digits',
    doc: 'That of its frames.',
  },
  cursor: { ...CURSOR, doc: 'Stands for everything in it and after it.' },
  next: { ...CURSOR, doc: 'Stands for everything after it.' },
  first_seq: { ...COUNT, doc: 'Sequence number of its first frame.', leftOut: NO_FRAME },
  last_seq: { ...COUNT, doc: 'Of its last.', leftOut: NO_FRAME },
  from: { ...TIME, doc: 'Nothing in it was stored before.' },
  to: { ...TIME, doc: 'Nothing in it was stored later.' },
  frames: { ...COUNT, doc: 'How many frames it has: lines of its text.' },
  gaps: {
    schema: {
      type: 'array',
      items: { type: 'object', properties: { from: COUNT.schema, to: COUNT.schema } },
    },
    type: 'array',
    doc: 'Frames that are missing in it: `from` and `to`, the first and the last sequence number of each run, where they are known.',
  },
  bytes: { ...COUNT, doc: 'How many it has, compressed.' },
  sha256: { ...SHA256, doc: 'SHA-256 of it, compressed.' },
  plain_bytes: { ...COUNT, doc: 'How many its text has.' },
  plain_sha256: { ...SHA256, doc: 'SHA-256 of its text.' },
  url: { schema: { type: 'string' }, type: 'path', doc: 'Where on this server it is.' },
} as const satisfies Readonly<Record<string, SegmentField>>;

/** What a segment in the list has. */
export type ToldSegment = Readonly<Record<keyof typeof SEGMENT_FIELDS, unknown>>;

const entries: readonly (readonly [string, SegmentField])[] = Object.entries(SEGMENT_FIELDS);

export const SEGMENT_SCHEMA: JsonSchema = {
  type: 'object',
  properties: Object.fromEntries(
    entries.map(([name, { schema, doc }]) => [name, { ...schema, description: doc }]),
  ),
  required: entries.flatMap(([name, { leftOut }]) => (leftOut === undefined ? [name] : [])),
};

export const SEGMENT_LIST: JsonSchema = {
  type: 'object',
  properties: {
    segments: { type: 'array', items: { $ref: '#/components/schemas/segment' } },
    next: { type: 'string', description: 'Everything after the last of them; left out where there is none.' },
  },
  required: ['segments'],
};

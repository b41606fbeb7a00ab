/** What is told of a segment of the archive. */

import type { JsonSchema } from '../../../shared/messages/frame-fields.js';

const NUMBER: JsonSchema = { type: 'integer', minimum: 0 };
const SHA256: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const TIME: JsonSchema = { type: 'string', format: 'date-time' };

const MEMBERS = {
  first: { ...NUMBER, description: 'Names it: position of its first entry.' },
  last: { ...NUMBER, description: 'Position of its last.' },
  epoch: { type: 'string', pattern: '^[0-9a-f]{16}$' },
  cursor: { type: 'string', description: 'Everything in it and after it.' },
  next: { type: 'string', description: 'Everything after it.' },
  first_seq: { ...NUMBER, description: 'Sequence number of its first frame; left out where it has none.' },
  last_seq: { ...NUMBER, description: 'Of its last; left out likewise.' },
  from: { ...TIME, description: 'Nothing in it was stored before.' },
  to: { ...TIME, description: 'Nothing in it was stored later.' },
  frames: { ...NUMBER, description: 'How many frames it has.' },
  bytes: { ...NUMBER, description: 'Compressed.' },
  plain_bytes: { ...NUMBER, description: 'Not compressed.' },
  sha256: { ...SHA256, description: 'Of the compressed bytes, in hex.' },
  plain_sha256: { ...SHA256, description: 'Of the bytes when they are not compressed.' },
  gaps: {
    type: 'array',
    description:
      'Frames that are missing in it: sequence numbers of the first and the last of each run, where they are known.',
    items: { type: 'object', properties: { from: NUMBER, to: NUMBER } },
  },
  url: { type: 'string', description: 'Where it is.' },
} as const satisfies Readonly<Record<string, JsonSchema>>;

/** Of a segment without frames. */
const LEFT_OUT = ['first_seq', 'last_seq'];

export const SEGMENT_SCHEMA: JsonSchema = {
  type: 'object',
  properties: MEMBERS,
  required: Object.keys(MEMBERS).filter((name) => !LEFT_OUT.includes(name)),
};

export const SEGMENT_LIST: JsonSchema = {
  type: 'object',
  properties: {
    segments: { type: 'array', items: { $ref: '#/components/schemas/segment' } },
    next: { type: 'string', description: 'Everything after the last of them; left out where there is none.' },
  },
  required: ['segments'],
};

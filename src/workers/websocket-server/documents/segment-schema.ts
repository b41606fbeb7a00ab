/** What is told of a segment of the archive. */

import type { JsonSchema } from '../../../shared/messages/frame-fields.js';

const NUMBER: JsonSchema = { type: 'integer', minimum: 0 };
const TIME: JsonSchema = { type: 'string', format: 'date-time' };

/** Every member is always there. */
const MEMBERS = {
  first: { ...NUMBER, description: 'Names it: position of its first entry.' },
  last: { ...NUMBER, description: 'Position of its last.' },
  epoch: { type: 'string', pattern: '^[0-9a-f]{16}$' },
  cursor: { type: 'string', description: 'Everything in it and after it.' },
  next: { type: 'string', description: 'Everything after it.' },
  first_seq: { ...NUMBER, description: 'Sequence number of its first frame.' },
  last_seq: { ...NUMBER, description: 'Of its last.' },
  from: { ...TIME, description: 'When its first frame was received.' },
  to: { ...TIME, description: 'When its last was.' },
  frames: { ...NUMBER, description: 'How many frames it has.' },
  bytes: { ...NUMBER, description: 'Compressed.' },
  plain_bytes: { ...NUMBER, description: 'Not compressed.' },
  sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Of the compressed bytes, in hex.' },
  gaps: {
    type: 'array',
    description: 'Sequence numbers that are missing in it, the first and the last of each run.',
    items: { type: 'object', properties: { from: NUMBER, to: NUMBER }, required: ['from', 'to'] },
  },
  url: { type: 'string', description: 'Where it is.' },
} as const satisfies Readonly<Record<string, JsonSchema>>;

export const SEGMENT_SCHEMA: JsonSchema = {
  type: 'object',
  properties: MEMBERS,
  required: Object.keys(MEMBERS),
};

export const SEGMENT_LIST: JsonSchema = {
  type: 'object',
  properties: {
    segments: { type: 'array', items: { $ref: '#/components/schemas/segment' } },
    next: { type: 'string', description: 'Everything after the last of them; left out where there is none.' },
  },
  required: ['segments'],
};

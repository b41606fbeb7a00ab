/** JSON Schemas (2020-12) of the feed's frames, from the tables that the frames are made of. */

import type { JsonSchema } from '../messages/frame-fields.js';
import { FRAME_TYPES, type FrameField } from '../messages/frame-fields.js';
import { FRAME_KINDS } from '../messages/index.js';
import { PING, ping } from '../messages/ping.js';
import type { WireField } from '../messages/wire-fields.js';
import { CONTROL_LAYOUTS, type ControlField } from './control-fields.js';

/** A field as a schema and a page tell of it. */
export interface DescribedField {
  readonly name: string;
  readonly schema: JsonSchema;
  /** For a page. */
  readonly type: string;
  readonly doc: string;
  readonly example: unknown;
  /** When it is left out; empty: never. */
  readonly leftOut: string;
  /** Whether the example of the frame is without it. */
  readonly rare?: boolean;
}

export interface DescribedFrame {
  /** What it has as its `type`. */
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly DescribedField[];
}

const TIMESTAMP: DescribedField = {
  name: 'timestamp',
  schema: { type: 'string', format: 'date-time', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' },
  type: 'time of RFC 3339, UTC, whole seconds',
  doc: 'When this server received it.',
  example: '2026-11-30T01:02:03Z',
  leftOut: '',
};

const typeField = (name: string): DescribedField => ({
  name: 'type',
  schema: { const: name },
  type: 'text',
  doc: 'Says what frame it is.',
  example: name,
  leftOut: '',
});

/** Header of the main network's first block. */
const GENESIS =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c';

/** What `meta` appends, in this order. */
export const META_FIELDS: readonly DescribedField[] = [
  {
    name: 'cursor',
    schema: { type: 'string', pattern: '^[0-9A-Za-z._-]{1,128}$' },
    type: 'text',
    doc: 'Stands for everything after this frame; opaque.',
    example: '4f9c0a1b2d3e4f56.1742',
    leftOut: '',
  },
  {
    name: 'epoch',
    schema: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    type: '16 hex digits',
    doc: 'Within it no sequence number is given twice; each server’s own, of a gateway too.',
    example: '4f9c0a1b2d3e4f56',
    leftOut: '',
  },
  {
    name: 'seq',
    schema: { type: 'integer', minimum: 0 },
    type: 'whole number',
    doc: 'Sequence number of the frame within its epoch; on a node without gaps.',
    example: 1742,
    leftOut: '',
  },
  {
    name: 'received_at',
    schema: { type: 'string', format: 'date-time' },
    type: 'time of RFC 3339, UTC, milliseconds',
    doc: 'When this server received it.',
    example: '2026-11-30T01:02:03.004Z',
    leftOut: '',
  },
];

const NO_HEADER = 'where the announcement has no header';

/** What it appends besides to frames of announcements that may bring a block's header. */
export const HEADER_FIELDS: readonly DescribedField[] = [
  {
    name: 'header',
    schema: { type: 'string', pattern: '^[0-9a-f]{160}$' },
    type: '160 hex digits',
    doc: 'The block’s header, whose hash is `hash`, checked for its work.',
    example: GENESIS,
    leftOut: NO_HEADER,
  },
  {
    name: 'previous_hash',
    schema: FRAME_TYPES.hash.schema,
    type: FRAME_TYPES.hash.text,
    doc: 'Of the block before, from the header.',
    example: '0'.repeat(64),
    leftOut: NO_HEADER,
  },
];

/** What `meta` appends to frames of this kind. */
export function metaFieldsOf(kind: string): readonly DescribedField[] {
  const hasHeader = FRAME_KINDS.some(({ name, header }) => name === kind && header !== undefined);
  return hasHeader ? [...META_FIELDS, ...HEADER_FIELDS] : META_FIELDS;
}

const leftOutOf = ({ keepsZero, currentOnly, always, type }: FrameField): string => {
  if (always) return '';
  if (keepsZero === true) return 'where the node does not tell it';
  const zero = type === 'object' ? 'where the node does not tell it' : isText(type) ? 'when empty' : 'when 0';
  if (keepsZero === 'current') return `${zero}, in the first generation`;
  return currentOnly ? `${zero}, and in the first generation` : zero;
};

const isText = (type: FrameField['type']): boolean => FRAME_TYPES[type].schema.type === 'string';

/** A member of an object that a node sends as Go has it: always there. */
function memberSchema({ type, members }: WireField): JsonSchema {
  switch (type) {
    case 'text':
    case 'bytes':
      return { type: 'string' };
    case 'float':
    case 'optional float':
      return { type: 'number' };
    case 'object':
    case 'optional object':
      return objectSchema(members);
    default:
      return FRAME_TYPES[type].schema;
  }
}

function objectSchema(members: readonly WireField[]): JsonSchema {
  return {
    type: 'object',
    properties: Object.fromEntries(members.map((member) => [member.direct, memberSchema(member)])),
  };
}

function describe(field: FrameField): DescribedField {
  const { name, type, doc, example, members } = field;
  const { schema, text } = FRAME_TYPES[type];
  return {
    name,
    schema: type === 'object' ? objectSchema(members) : schema,
    type: text,
    doc,
    example,
    leftOut: leftOutOf(field),
  };
}

/** Frames of announcements, by kind, without what `meta` appends. */
export const KIND_FRAMES: readonly DescribedFrame[] = FRAME_KINDS.flatMap(({ name, frame }) =>
  frame === undefined
    ? []
    : [{ name, doc: frame.doc, fields: [TIMESTAMP, typeField(name), ...frame.fields.map(describe)] }],
);

/** What the feed says of itself to who takes it as it is. */
export const PING_FRAME: DescribedFrame = {
  name: PING,
  doc: ping.doc,
  fields: [{ ...TIMESTAMP, doc: 'When it was sent.' }, typeField(PING), ...ping.fields.map(describe)],
};

const describeControl = ([name, { schema, doc, leftOut = '', example, rare }]: [
  string,
  ControlField,
]): DescribedField => ({
  name,
  schema,
  type: typeof schema.type === 'string' ? schema.type : 'text',
  doc,
  example,
  leftOut,
  ...(rare && { rare }),
});

export const CONTROL_FRAMES: readonly DescribedFrame[] = Object.entries(CONTROL_LAYOUTS).map(
  ([name, { doc, fields }]) => ({
    name,
    doc,
    fields: [typeField(name), ...Object.entries(fields).map(describeControl)],
  }),
);

/** The schema of a frame; with `meta` of one that has what `meta` appends, else of one that may have it. */
export function frameSchema(
  { name, doc, fields }: DescribedFrame,
  meta: readonly DescribedField[] = [],
): JsonSchema {
  const all = [...fields, ...meta];
  return {
    title: name,
    description: doc,
    type: 'object',
    properties: Object.fromEntries(
      all.map(({ name: key, schema, doc: description, example }) => [
        key,
        { ...schema, description, examples: [example] },
      ]),
    ),
    required: all.filter(({ leftOut }) => leftOut === '').map(({ name: key }) => key),
  };
}

/** A frame as it may look: every field that is never left out, and those that usually are not. */
export function exampleOf(
  { fields }: DescribedFrame,
  meta: readonly DescribedField[] = [],
): Readonly<Record<string, unknown>> {
  const shown = [...fields, ...meta].filter(({ rare }) => rare !== true);
  return Object.fromEntries(shown.map(({ name, example }) => [name, example]));
}

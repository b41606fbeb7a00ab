/** The fields of control frames, as data: what their schemas and their documentation are written from. The compiler holds them to the types of the frames. */

import type { JsonSchema } from '../messages/frame-fields.js';
import type { CursorFrame, ErrorFrame, HelloFrame, InfoFrame, StreamLimits } from './control-frames.js';
import { INFO_CODES } from './control-frames.js';
import { PROBLEMS, type ProblemExtra } from './problems.js';

export interface ControlField {
  readonly schema: JsonSchema;
  /** What it says, for a client. */
  readonly doc: string;
  /** When it is left out; never unless told. */
  readonly leftOut?: string;
  readonly example: unknown;
  /** Whether the example of the frame is without it. */
  readonly rare?: true;
}

interface ControlLayout {
  /** What the frame says. */
  readonly doc: string;
  readonly fields: Readonly<Record<string, ControlField>>;
}

/** A row for each member of a frame; when it is left out just where it can be. */
type FieldsOf<F> = {
  readonly [K in keyof F as K extends 'type' ? never : K]-?: undefined extends F[K]
    ? ControlField & { readonly leftOut: string }
    : ControlField & { readonly leftOut?: never };
};

const CURSOR: JsonSchema = { type: 'string', pattern: '^[0-9A-Za-z._-]{1,128}$' };
const COUNT: JsonSchema = { type: 'integer', minimum: 0 };
const TEXT: JsonSchema = { type: 'string' };
const EPOCH: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{16}$' };

const EXAMPLE = { cursor: '4f9c0a1b2d3e4f56.1742', oldest: '4f9c0a1b2d3e4f56.0' };

const LIMITS = {
  peers: { schema: COUNT, doc: 'Peer IDs in `peers` at the most.', example: 100 },
  message_bytes: {
    schema: COUNT,
    doc: 'Bytes of one message of the client’s at the most; 0 where it can send none.',
    example: 1024,
  },
  messages_per_minute: { schema: COUNT, doc: 'Messages of the client’s a minute at the most.', example: 100 },
  buffer_bytes: {
    schema: COUNT,
    doc: 'Bytes that may wait for the client before it goes on from the history instead of live.',
    example: 1_048_576,
  },
  kinds: {
    schema: { type: 'array', items: TEXT },
    doc: 'Kinds that the token allows.',
    leftOut: 'where it allows all',
    example: ['block', 'subtree'],
  },
  connections: {
    schema: COUNT,
    doc: 'Connections that the token allows at once.',
    leftOut: 'where it allows any number',
    example: 10,
  },
} as const satisfies FieldsOf<StreamLimits>;

const HELLO = {
  cursor: { schema: CURSOR, doc: 'Where the stream begins: everything after this.', example: EXAMPLE.cursor },
  oldest: {
    schema: CURSOR,
    doc: 'The oldest cursor there is; at a gateway the word `oldest`, which is one there.',
    example: EXAMPLE.oldest,
  },
  node: {
    schema: { type: 'object', properties: { type: { const: 'node_status' } }, required: ['type'] },
    doc: 'The newest `node_status` of the server’s own node, as a plain frame.',
    leftOut: 'while the node has said nothing yet, and where the token does not allow the kind',
    example: { timestamp: '2026-11-30T01:02:03Z', type: 'node_status', best_height: 921_337 },
  },
  limits: {
    schema: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(LIMITS).map(([name, { schema }]) => [name, schema])),
      required: Object.entries(LIMITS).flatMap(([name, field]) => ('leftOut' in field ? [] : [name])),
    },
    doc: 'What this client may do.',
    example: Object.fromEntries(Object.entries(LIMITS).map(([name, { example }]) => [name, example])),
  },
} as const satisfies FieldsOf<HelloFrame>;

const INFO = {
  code: { schema: { enum: Object.keys(INFO_CODES) }, doc: 'What happened, see below.', example: 'gap' },
  text: { schema: TEXT, doc: 'The same for a person.', example: '12 frames are missing (1743 to 1754)' },
  cursor: {
    schema: CURSOR,
    doc: 'Where the stream goes on: everything after this.',
    leftOut: 'where the next frame tells',
    example: EXAMPLE.cursor,
  },
  from: {
    schema: COUNT,
    doc: 'First sequence number missing.',
    leftOut: 'where it is not known',
    example: 1743,
  },
  to: {
    schema: COUNT,
    doc: 'Last sequence number missing.',
    leftOut: 'where it is not known',
    example: 1754,
  },
  epoch: {
    schema: EPOCH,
    doc: 'That of the frames that follow.',
    leftOut: 'but with code `epoch`',
    example: '4f9c0a1b2d3e4f56',
    rare: true,
  },
} as const satisfies FieldsOf<InfoFrame>;

const CURSOR_FRAME = {
  cursor: { schema: CURSOR, doc: 'How far the stream is: everything after this.', example: EXAMPLE.cursor },
} as const satisfies FieldsOf<CursorFrame>;

const DETAILS = {
  parameter: {
    schema: TEXT,
    doc: 'The parameter that is wrong.',
    leftOut: 'but with code `bad_parameter`, where it is one',
    example: 'since',
    rare: true,
  },
  parameters: {
    schema: { type: 'array', items: TEXT },
    doc: 'Those that there are.',
    leftOut: 'but with code `unknown_parameter`',
    example: ['kinds', 'cursor'],
    rare: true,
  },
  kinds: {
    schema: { type: 'array', items: TEXT },
    doc: 'Those that there are, or that the token allows.',
    leftOut: 'but with the codes `unknown_kind` and `not_allowed`',
    example: ['block', 'subtree'],
    rare: true,
  },
  oldest: {
    schema: CURSOR,
    doc: 'The oldest cursor there is.',
    leftOut: 'but with the codes `cursor_too_old` and `cursor_unknown`',
    example: EXAMPLE.oldest,
    rare: true,
  },
} as const satisfies FieldsOf<ProblemExtra>;

const ERROR = {
  code: { schema: { enum: Object.keys(PROBLEMS) }, doc: 'What is wrong, see below.', example: 'too_slow' },
  text: { schema: TEXT, doc: 'The same for a person.', example: PROBLEMS.too_slow.text },
  cursor: {
    schema: CURSOR,
    doc: 'From where the client may go on: everything after this.',
    leftOut: 'where it had nothing yet',
    example: EXAMPLE.cursor,
  },
  ...DETAILS,
} as const satisfies FieldsOf<ErrorFrame>;

/** By `type`. */
export const CONTROL_LAYOUTS: Readonly<Record<string, ControlLayout>> = {
  hello: { doc: 'The first frame of every stream with `meta`.', fields: HELLO },
  info: { doc: 'What a client has to know about the frames that follow.', fields: INFO },
  cursor: {
    doc: 'Every 30 s while a filter lets nothing through: how far the stream is, for the next `cursor=`.',
    fields: CURSOR_FRAME,
  },
  error: {
    doc: 'Why the server ends the stream: its last frame before a close with 1013 or 44xx. The other close codes, and the end of an event stream of a server that is stopped, come without one.',
    fields: ERROR,
  },
};

/** What a problem has besides, in an answer too. */
export const PROBLEM_FIELDS: Readonly<Record<string, ControlField>> = DETAILS;

/** What `limits` of `hello` has. */
export const LIMIT_FIELDS: Readonly<Record<string, ControlField>> = LIMITS;

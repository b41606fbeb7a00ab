/** The OpenAPI document: what the port answers to HTTP. */

import { PROBLEM_FIELDS } from '../../../shared/firehose/control-fields.js';
import {
  CONTROL_FRAMES,
  frameSchema,
  KIND_FRAMES,
  metaFieldsOf,
} from '../../../shared/firehose/frame-schemas.js';
import { PARAMETERS, type Parameter } from '../../../shared/firehose/parameters.js';
import { DOCUMENT_PATHS, PATHS } from '../../../shared/firehose/paths.js';
import { PROBLEM_TYPE, PROBLEMS } from '../../../shared/firehose/problems.js';
import type { FeedEndpoint } from '../../../shared/firehose/request.js';
import { SEGMENT_FIELDS, SEGMENT_LIST, SEGMENT_SCHEMA } from '../../../shared/firehose/segment-fields.js';
import type { JsonSchema } from '../../../shared/messages/frame-fields.js';
import { STATUS_SCHEMA } from './status-schema.js';

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: JsonSchema) => ({ 'application/json': { schema } });
const text = (schema: JsonSchema = { type: 'string' }) => ({ 'text/plain': { schema } });

const metaName = (kind: string): string => `${kind}_meta`;

const FRAMES: Readonly<Record<string, JsonSchema>> = Object.fromEntries([
  ...KIND_FRAMES.map((frame) => [metaName(frame.name), frameSchema(frame, metaFieldsOf(frame.name))]),
  ...CONTROL_FRAMES.map((frame) => [frame.name, frameSchema(frame)]),
]);

const EVENTS: JsonSchema = {
  type: 'object',
  properties: {
    events: {
      type: 'array',
      description: 'Frames, and where some are missing an `info` frame in their place.',
      items: { anyOf: [...KIND_FRAMES.map(({ name }) => ref(metaName(name))), ref('info')] },
    },
    next: {
      type: 'string',
      description: '`cursor` of the next page; left out where nothing older is kept.',
    },
    more: { type: 'boolean', description: 'Whether the next page has something by now.' },
  },
  required: ['events', 'more'],
};

const PROBLEM: JsonSchema = {
  description: 'Problem details of RFC 9457, with a `code`.',
  type: 'object',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(PROBLEMS) },
    ...Object.fromEntries(
      Object.entries(PROBLEM_FIELDS).map(([name, { schema, doc, leftOut }]) => [
        name,
        { ...schema, description: `${doc} Left out ${leftOut}.` },
      ]),
    ),
  },
  required: ['type', 'title', 'status', 'detail', 'code'],
};

/** What stands in a query, as JSON. */
const jsonOf = (text: string, { type }: JsonSchema): unknown =>
  type === 'boolean' || type === 'integer' ? JSON.parse(text) : text;

function queryParameter({ name, doc, schema, list, example }: Parameter): object {
  return {
    name,
    in: 'query',
    description: doc,
    schema,
    ...(list
      ? { style: 'form', explode: false, example: example.split(',') }
      : { example: jsonOf(example, schema) }),
  };
}

const parametersOf = (endpoint: FeedEndpoint): readonly object[] =>
  PARAMETERS.filter(({ endpoints }) => endpoints.includes(endpoint)).map(queryParameter);

const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  description: 'The cursor that an EventSource comes back with; beats `cursor` and `since`.',
  schema: { type: 'string' },
};

/** Answers besides the good ones, of a resource for programs: what is wrong, as problem details. */
const REFUSED = {
  default: {
    description: Object.entries(PROBLEMS)
      .filter(([, { status }]) => status !== 0)
      .map(([code, { status, text: why }]) => `- ${status} \`${code}\`: ${why}`)
      .join('\n'),
    content: { [PROBLEM_TYPE]: { schema: ref('problem') } },
  },
} as const;

/** Of a resource for people and probes: a line of text. */
const REFUSED_PLAINLY = {
  default: { description: '429: too many requests from this address.', content: text() },
} as const;

const PARTIAL_HEADERS = {
  etag: { description: 'Of the bytes as they are sent.', schema: { type: 'string' } },
  'accept-ranges': { schema: { const: 'bytes' } },
};

/** What a client may say of a segment that it has, or of the part that it wants (RFC 9110, sections 13 and 14). What is none of these is passed over. */
const CONDITIONS = Object.entries({
  Range:
    'A part of the bytes as they are sent, such as `bytes=0-65535`. More than one part is answered with all of it.',
  'If-Range': 'The part alone where this is the `ETag` still, else all of it.',
  'If-None-Match': 'Nothing where one of these is the `ETag` still.',
  'If-Match': 'An error unless one of these is the `ETag` still.',
}).map(([name, description]) => ({ name, in: 'header', description, schema: { type: 'string' } }));

const SAME_SEGMENT = { 'path.epoch': '$request.path.epoch', 'path.first': '$request.path.first' };

/** How one answer leads to the next request. */
const LINKS = {
  behind: {
    operationId: 'listEvents',
    description: 'What is in no segment yet; or the stream of `streamEvents` with the same cursor.',
    parameters: { cursor: '$response.body#/next' },
  },
  segment: {
    operationId: 'getSegment',
    description: 'The oldest of them, and each of the others likewise.',
    parameters: {
      epoch: '$response.body#/segments/0/epoch',
      first: '$response.body#/segments/0/first',
    },
  },
  unchanged: {
    operationId: 'getSegment',
    description: 'Whether it is there still.',
    parameters: { ...SAME_SEGMENT, 'header.If-None-Match': '$response.header.etag' },
  },
  rest: {
    operationId: 'getSegment',
    description: 'What is left of it, where it broke off behind 1,024 bytes.',
    parameters: {
      ...SAME_SEGMENT,
      'header.Range': 'bytes=1024-',
      'header.If-Range': '$response.header.etag',
    },
  },
} as const;

const LINES = {
  'application/x-ndjson': {
    schema: { type: 'string', description: 'A line each: frames as `events` has them.' },
  },
};

export function openApiDocument(): object {
  const get = (operationId: string, operation: object) => ({ get: { operationId, ...operation } });
  const document = (operationId: string, what: string) =>
    get(operationId, {
      summary: what,
      responses: { 200: { description: what, content: json({ type: 'object' }) }, ...REFUSED },
    });
  return {
    openapi: '3.1.0',
    info: {
      title: 'HTTP of a Teranode P2P server',
      version: '1.0.0',
      description: `The feed beside its WebSocket, which ${DOCUMENT_PATHS.asyncApi} describes.`,
    },
    servers: [{ url: '/' }],
    // Where the operator gave out tokens.
    security: [{}, { bearer: [] }],
    paths: {
      [PATHS.sse]: get('streamEvents', {
        summary: 'The feed as server-sent events: `id` is the cursor, `event` the kind, `data` the frame.',
        parameters: [...parametersOf('sse'), LAST_EVENT_ID],
        responses: {
          200: {
            description: 'An endless stream; a comment when nothing came for 15 s.',
            content: { 'text/event-stream': { schema: { type: 'string' } } },
          },
          ...REFUSED,
        },
      }),
      [PATHS.events]: get('listEvents', {
        summary: 'The history, a page at a time.',
        parameters: parametersOf('events'),
        responses: {
          200: { description: 'A page.', content: json(ref('events')) },
          ...REFUSED,
        },
      }),
      [PATHS.segments]: get('listSegments', {
        summary: 'Whole segments of the history, which never change, oldest first.',
        parameters: parametersOf('segments'),
        responses: {
          200: {
            description: 'Those there are.',
            content: json(ref('segments')),
            links: { segment: LINKS.segment, behind: LINKS.behind },
          },
          ...REFUSED,
        },
      }),
      [`${PATHS.segments}/{epoch}/{first}`]: get('getSegment', {
        summary: 'One segment: its frames, a line each, compressed where the client takes gzip.',
        parameters: [
          {
            name: 'epoch',
            in: 'path',
            required: true,
            description: '`epoch` of the list.',
            schema: SEGMENT_FIELDS.epoch.schema,
          },
          {
            name: 'first',
            in: 'path',
            required: true,
            description: '`first` of the list.',
            schema: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
          },
          ...CONDITIONS,
          ...parametersOf('segments'),
        ],
        responses: {
          200: {
            description: 'All of it.',
            headers: PARTIAL_HEADERS,
            content: LINES,
            links: { unchanged: LINKS.unchanged, rest: LINKS.rest },
          },
          206: {
            description: 'The part that `Range` asked for.',
            headers: { ...PARTIAL_HEADERS, 'content-range': { schema: { type: 'string' } } },
            content: LINES,
          },
          304: { description: 'As the client has it.' },
          ...REFUSED,
        },
      }),
      '/api/status': get('getStatus', {
        summary: 'What the page shows of the node.',
        security: [],
        responses: {
          200: { description: 'The node.', content: json(ref('status')) },
          503: {
            description: 'It is starting.',
            content: json({
              type: 'object',
              properties: { starting: { const: true } },
              required: ['starting'],
            }),
          },
          ...REFUSED_PLAINLY,
        },
      }),
      '/health': get('getHealth', {
        summary: 'Whether this port answers.',
        security: [],
        responses: { 200: { description: 'It does.', content: text({ const: 'OK' }) }, ...REFUSED_PLAINLY },
      }),
      [DOCUMENT_PATHS.openApi]: document('getOpenApi', 'This document.'),
      [DOCUMENT_PATHS.asyncApi]: document(
        'getAsyncApi',
        'The WebSocket endpoint and its frames, as AsyncAPI.',
      ),
    },
    components: {
      schemas: {
        ...FRAMES,
        events: EVENTS,
        segment: SEGMENT_SCHEMA,
        segments: SEGMENT_LIST,
        status: STATUS_SCHEMA,
        problem: PROBLEM,
      },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

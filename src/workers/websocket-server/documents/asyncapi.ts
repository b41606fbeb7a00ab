/** The AsyncAPI document: the WebSocket endpoint, its parameters, every frame and every close code. */

import { CLOSE_CODES } from '../../../shared/firehose/closings.js';
import {
  CONTROL_FRAMES,
  type DescribedField,
  type DescribedFrame,
  exampleOf,
  frameSchema,
  KIND_FRAMES,
  metaFieldsOf,
  PING_FRAME,
} from '../../../shared/firehose/frame-schemas.js';
import { PARAMETERS } from '../../../shared/firehose/parameters.js';
import { PATHS } from '../../../shared/firehose/paths.js';
import type { JsonSchema } from '../../../shared/messages/frame-fields.js';

const DESCRIPTION = `Frames of the feed, one JSON object a WebSocket message, or with \`batch\` a line each. Without parameters they are Teranode's own, the newest
\`node_status\` of the server's own node first. With \`meta\` they tell their place in the history, and control frames stand between them. What a client sends means nothing.`;

type Message = readonly [name: string, message: object];

function message(frame: DescribedFrame, meta: readonly DescribedField[] = []): object {
  return {
    name: frame.name,
    title: frame.name,
    summary: frame.doc,
    contentType: 'application/json',
    payload: frameSchema(frame, meta),
    examples: [{ payload: exampleOf(frame, meta) }],
  };
}

const MESSAGES: readonly Message[] = [
  ...KIND_FRAMES.map((frame): Message => [frame.name, message(frame)]),
  ...KIND_FRAMES.map((frame): Message => [`${frame.name}_meta`, message(frame, metaFieldsOf(frame.name))]),
  ...[PING_FRAME, ...CONTROL_FRAMES].map((frame): Message => [frame.name, message(frame)]),
];

const QUERY: JsonSchema = {
  type: 'object',
  properties: Object.fromEntries(
    PARAMETERS.filter(({ endpoints }) => endpoints.includes('websocket')).map(
      ({ name, schema, doc, list, example }) => [
        name,
        // A list is one text, its members separated by commas.
        { ...(list ? { type: 'string' } : schema), description: doc, examples: [example] },
      ],
    ),
  ),
  additionalProperties: false,
};

export function asyncApiDocument(): object {
  const references = (where: string) =>
    Object.fromEntries(MESSAGES.map(([name]) => [name, { $ref: `#/${where}/${name}` }]));
  return {
    asyncapi: '3.0.0',
    info: { title: 'The feed of a Teranode P2P server', version: '1.0.0', description: DESCRIPTION },
    defaultContentType: 'application/json',
    servers: {
      here: { host: 'localhost:9906', protocol: 'ws', description: 'Where this document was had from.' },
    },
    channels: {
      feed: {
        address: PATHS.websocket,
        description: CLOSE_CODES.map(({ code, text, remedy }) => `- ${code}: ${text} ${remedy}`).join('\n'),
        messages: references('components/messages'),
        bindings: { ws: { method: 'GET', query: QUERY, bindingVersion: '0.1.0' } },
        'x-close-codes': CLOSE_CODES,
      },
    },
    operations: {
      sendFrames: {
        action: 'send',
        channel: { $ref: '#/channels/feed' },
        summary: 'The server sends frames; it listens to nothing.',
        messages: MESSAGES.map(([name]) => ({ $ref: `#/channels/feed/messages/${name}` })),
      },
    },
    components: { messages: Object.fromEntries(MESSAGES) },
  };
}

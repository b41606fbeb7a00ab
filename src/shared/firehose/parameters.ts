/**
 * The parameters of the feed: a row each, from which requests are read and the documentation, the OpenAPI and the AsyncAPI document are written. A new
 * one is a row here, and a member of `FeedRequest` where it asks for something new.
 */

import type { JsonSchema } from '../messages/frame-fields.js';
import {
  choice,
  cursorText,
  flag,
  instant,
  kindList,
  matching,
  type ParameterType,
  peerList,
  wholeNumber,
} from './parameter-types.js';
import type { FeedEndpoint, FeedRequest } from './request.js';

export interface Parameter {
  /** As it is spelled in the query. */
  readonly name: string;
  readonly endpoints: readonly FeedEndpoint[];
  /** What it means, for a consumer. */
  readonly doc: string;
  readonly example: string;
  readonly expects: string;
  readonly schema: JsonSchema;
  readonly list: boolean;
  /** What it asks for; undefined where `text` is no value of it. Throws FeedProblem where there is more to say of that. */
  read(text: string): Partial<FeedRequest> | undefined;
}

interface Row<T> {
  readonly endpoints: readonly FeedEndpoint[];
  readonly doc: string;
  readonly example: string;
  readonly type: ParameterType<T>;
  readonly ask: (value: T) => Partial<FeedRequest>;
}

/** Peers in one filter at the most. */
export const MAX_PEERS = 100;
/** Frames of a page, unless told, and at the most. */
export const PAGE = { preset: 100, maximum: 1000 } as const;

function parameter<T>(name: string, { type, ask, ...row }: Row<T>): Parameter {
  return {
    name,
    ...row,
    expects: type.expects,
    schema: type.schema,
    list: type.list === true,
    read(text) {
      const value = type.read(text);
      return value === undefined ? undefined : ask(value);
    },
  };
}

const STREAMS = ['websocket', 'sse'] as const;
const FRAMES = [...STREAMS, 'events'] as const;
const ALL = [...FRAMES, 'segments'] as const;

export const PARAMETERS: readonly Parameter[] = [
  parameter('kinds', {
    endpoints: FRAMES,
    doc: 'These kinds alone.',
    example: 'block,subtree',
    type: kindList,
    ask: (kinds) => ({ kinds }),
  }),
  parameter('peers', {
    endpoints: FRAMES,
    doc: 'What these peers announced alone: those who signed it.',
    example: '12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ',
    type: peerList(MAX_PEERS),
    ask: (peers) => ({ peers }),
  }),
  parameter('cursor', {
    endpoints: FRAMES,
    doc: 'Everything after this, then live, without a gap or a repeat where they meet. `oldest`: all that is kept; `now`: what comes from now on. Not with `since`.',
    example: '4f9c0a1b2d3e4f56.1742',
    type: cursorText,
    ask: (text) => ({
      start: text === 'oldest' || text === 'now' ? { type: text } : { type: 'cursor', text },
    }),
  }),
  parameter('since', {
    endpoints: FRAMES,
    doc: 'From the first frame on that was received at this time or later, then live; with a time to come from the next frame on, as `now`. Not with `cursor`.',
    example: '2026-11-30T01:00:00Z',
    type: instant,
    ask: (ms) => ({ start: { type: 'since', ms } }),
  }),
  parameter('strict', {
    endpoints: FRAMES,
    doc: 'Whether it is refused (`cursor_too_old`, `cursor_unknown`) where what follows the `cursor`, or what was received since the time of `since`, was kept here and no longer is, or where the cursor is not known here. Otherwise the stream tells so and begins at the oldest that is kept. A time before the server had anything is no reason, but at a gateway whose topic had begun before.',
    example: 'true',
    type: flag,
    ask: (strict) => ({ strict }),
  }),
  parameter('meta', {
    endpoints: FRAMES,
    doc: 'Whether frames tell their place in the history, and control frames are sent. `cursor`, `since` and every endpoint but the WebSocket imply it.',
    example: 'true',
    type: flag,
    ask: (meta) => ({ meta }),
  }),
  parameter('batch', {
    endpoints: ['websocket'],
    doc: 'Milliseconds: the frames of that time come in one message, a line each. Not with `peers`.',
    example: '100',
    type: choice(50, 100, 250, 1000),
    ask: (batchMs) => ({ batchMs }),
  }),
  parameter('encoding', {
    endpoints: ['websocket'],
    doc: 'With `batch`: a batch is one binary message, compressed.',
    example: 'gzip',
    type: choice('gzip'),
    ask: () => ({ gzip: true }),
  }),
  parameter('event', {
    endpoints: ['sse'],
    doc: 'Every event is called so, whatever its kind: one listener hears all.',
    example: 'message',
    type: choice('message'),
    ask: () => ({ oneEvent: true }),
  }),
  parameter('limit', {
    endpoints: ['events'],
    doc: 'Frames of a page at the most.',
    example: '50',
    type: wholeNumber(1, PAGE.maximum, PAGE.preset),
    ask: (limit) => ({ limit }),
  }),
  parameter('order', {
    endpoints: ['events'],
    doc: 'Whether the oldest or the newest comes first; `asc` unless told.',
    example: 'desc',
    type: choice('asc', 'desc'),
    ask: (order) => ({ descending: order === 'desc' }),
  }),
  parameter('token', {
    endpoints: ALL,
    doc: 'Where the operator gave out tokens: yours. `Authorization: Bearer` does as well and is in nobody’s log.',
    example: 'p2p_2bH0uJ4QqT8mXn1c',
    type: matching('[0-9A-Za-z._~+/=-]{1,256}', 'a token that the operator gave out'),
    ask: (token) => ({ token }),
  }),
];

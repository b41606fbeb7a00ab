/** Where on its port the server has the feed. */

import type { FeedEndpoint } from './request.js';

export const PATHS = {
  websocket: '/p2p-ws',
  sse: '/events',
  events: '/api/v1/events',
  segments: '/api/v1/segments',
} as const satisfies Readonly<Record<FeedEndpoint, string>>;

export const DOCUMENT_PATHS = { openApi: '/api/v1/openapi.json', asyncApi: '/api/v1/asyncapi.json' } as const;

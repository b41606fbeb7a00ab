/** The feed as server-sent events: what a notification server needs of it. */

import { MAX_PEERS } from '../../../shared/firehose/parameters.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Admission } from '../admission.js';
import type { DescriptorPolicy } from '../descriptor-policy.js';
import type { LiveFeed } from '../feed/live-feed.js';
import type { Resource } from '../http/resource.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { AllowedOrigins } from '../origins.js';
import type { Tokens } from '../tokens.js';
import { SseHub } from './hub.js';
import { EventsResource } from './resource.js';
import { EventStreams } from './streams.js';

export interface SseComponents {
  readonly feed: LiveFeed;
  readonly admission: Admission;
  readonly descriptors: DescriptorPolicy;
  readonly origins: AllowedOrigins;
  readonly tokens: Tokens;
  /** Bytes that may wait for a stream that is live. */
  readonly clientBuffer: number;
  readonly metrics: NotificationServerMetrics;
  readonly logger: Logger;
}

export interface Sse {
  readonly streams: EventStreams;
  readonly resource: Resource;
}

export function createSse({ clientBuffer, ...components }: SseComponents): Sse {
  const { feed, metrics } = components;
  // What a client may send concerns WebSockets alone.
  const limits = { peers: MAX_PEERS, message_bytes: 0, messages_per_minute: 0, buffer_bytes: clientBuffer };
  const hub = new SseHub();
  const streams = new EventStreams({ metrics });
  const renderings = feed.renderings((topic, message) => hub.publish(topic, message));
  return { streams, resource: new EventsResource({ ...components, hub, streams, renderings, limits }) };
}

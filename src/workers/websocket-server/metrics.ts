import { Counter, Gauge, type Registry } from 'prom-client';
import { INFO_CODES, type InfoCode } from '../../shared/firehose/control-frames.js';
import { PROBLEMS, type ProblemCode } from '../../shared/firehose/problems.js';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

/** What a message to many is: a frame in a form, a batch of them, or one compressed. */
const RENDERINGS = ['plain', 'meta', 'sse', 'sse_message', 'batch', 'gzip'] as const;
export type RenderingName = (typeof RENDERINGS)[number];

export function createNotificationServerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    clients: new Gauge({
      name: 'teranode_p2p_websocket_clients',
      help: 'WebSocket clients connected.',
      registers,
    }),
    connections: zeroedCounter({
      name: 'teranode_p2p_websocket_connections_total',
      help: 'WebSocket upgrades by what became of them.',
      labels: { outcome: ['accepted', 'limit', 'origin', 'rate', 'handshake', 'descriptors', 'refused'] },
      registers,
    }),
    http: zeroedCounter({
      name: 'teranode_p2p_websocket_http_requests_total',
      help: 'Plain HTTP requests to the WebSocket port by what became of them, and connections refused before any.',
      labels: { outcome: ['answered', 'refused', 'rate', 'connection_refused'] },
      registers,
    }),
    frames: new Counter({
      name: 'teranode_p2p_websocket_frames_total',
      help: 'Frames published to clients, each counted once however many clients there are.',
      registers,
    }),
    deliveries: new Counter({
      name: 'teranode_p2p_websocket_deliveries_total',
      help: 'Frames times the clients each was published to.',
      registers,
    }),
    bytes: new Counter({
      name: 'teranode_p2p_websocket_frame_bytes_total',
      help: 'Bytes of the frames published, each counted once.',
      registers,
    }),
    rendered: zeroedCounter({
      name: 'teranode_p2p_websocket_rendered_frames_total',
      help: 'Frames published to clients who asked for them with parameters, each counted once for all who get the same message, by what the message is.',
      labels: { rendering: RENDERINGS },
      registers,
    }),
    replaying: new Gauge({
      name: 'teranode_p2p_websocket_replaying_clients',
      help: 'Clients who are served from the journal, as they began in the past or fell behind.',
      registers,
    }),
    cached: new Gauge({
      name: 'teranode_p2p_websocket_replay_cache_bytes',
      help: 'Bytes of the journal, and of what was made of them, that are kept for clients who replay the same.',
      registers,
    }),
    replayed: new Counter({
      name: 'teranode_p2p_websocket_replayed_frames_total',
      help: 'Frames sent to clients from the journal.',
      registers,
    }),
    demotions: new Counter({
      name: 'teranode_p2p_websocket_slow_demotions_total',
      help: 'Clients taken off the live feed because they did not keep up, to be served from the journal.',
      registers,
    }),
    refusals: zeroedCounter({
      name: 'teranode_p2p_websocket_feed_refusals_total',
      help: 'Requests for the feed that were refused, and streams that were ended, by the code that the client was told.',
      labels: { code: Object.keys(PROBLEMS) as ProblemCode[] },
      registers,
    }),
    infos: zeroedCounter({
      name: 'teranode_p2p_websocket_feed_infos_total',
      help: 'Info frames told to readers, over WebSockets, in event streams and in pages of the history, by their code.',
      labels: { code: Object.keys(INFO_CODES) as InfoCode[] },
      registers,
    }),
    evictions: zeroedCounter({
      name: 'teranode_p2p_websocket_evictions_total',
      help: 'Clients closed by the server, by reason.',
      labels: { reason: ['gap', 'silent', 'slow', 'slow_cut', 'history', 'token', 'messages', 'pings'] },
      registers,
    }),
    latency: new Gauge({
      name: 'teranode_p2p_websocket_frame_age_seconds',
      help: 'Age of the newest frame when it was published: from its arrival at this node.',
      registers,
    }),
    eventStreams: new Gauge({
      name: 'teranode_p2p_event_streams',
      help: 'Event streams (SSE) open.',
      registers,
    }),
    eventStreamRequests: zeroedCounter({
      name: 'teranode_p2p_event_stream_requests_total',
      help: 'Requests for an event stream by what became of them.',
      labels: { outcome: ['accepted', 'limit', 'refused'] },
      registers,
    }),
    pages: zeroedCounter({
      name: 'teranode_p2p_history_pages_total',
      help: 'Pages of the history by what became of them.',
      labels: { outcome: ['made', 'failed', 'refused'] },
      registers,
    }),
    transfers: zeroedCounter({
      name: 'teranode_p2p_segment_transfers_total',
      help: 'Segments of the archive, or parts of one, by what became of their sending; cut: the client left before all of it was handed on, took too little, or the server closed its connections.',
      labels: { outcome: ['ended', 'cut', 'failed', 'refused'] },
      registers,
    }),
    certificate: zeroedCounter({
      name: 'teranode_p2p_websocket_certificate_reloads_total',
      help: 'Changes of the certificate files by what became of them.',
      labels: { outcome: ['reloaded', 'refused'] },
      registers,
    }),
  };
}

export type NotificationServerMetrics = ReturnType<typeof createNotificationServerMetrics>;

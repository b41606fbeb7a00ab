import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

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
      labels: { outcome: ['accepted', 'limit', 'origin', 'rate', 'handshake', 'descriptors'] },
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
    evictions: zeroedCounter({
      name: 'teranode_p2p_websocket_evictions_total',
      help: 'Clients closed by the server, by reason.',
      labels: { reason: ['gap', 'silent', 'slow', 'slow_cut', 'messages', 'pings'] },
      registers,
    }),
    latency: new Gauge({
      name: 'teranode_p2p_websocket_frame_age_seconds',
      help: 'Age of the newest frame when it was published: from its arrival at this node.',
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

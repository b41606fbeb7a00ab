import { Counter, Gauge, type Registry } from 'prom-client';

export function createNotificationServerMetrics(registry: Registry) {
  const registers = [registry];
  const metrics = {
    clients: new Gauge({
      name: 'teranode_p2p_websocket_clients',
      help: 'WebSocket clients connected.',
      registers,
    }),
    connections: new Counter({
      name: 'teranode_p2p_websocket_connections_total',
      help: 'WebSocket upgrades by what became of them.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    http: new Counter({
      name: 'teranode_p2p_websocket_http_requests_total',
      help: 'Plain HTTP requests to the WebSocket port by what became of them, and connections refused before any.',
      labelNames: ['outcome'] as const,
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
    evictions: new Counter({
      name: 'teranode_p2p_websocket_evictions_total',
      help: 'Clients closed by the server, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    latency: new Gauge({
      name: 'teranode_p2p_websocket_frame_age_seconds',
      help: 'Age of the newest frame when it was published: from its arrival at this node.',
      registers,
    }),
    certificate: new Counter({
      name: 'teranode_p2p_websocket_certificate_reloads_total',
      help: 'Changes of the certificate files by what became of them.',
      labelNames: ['outcome'] as const,
      registers,
    }),
  };
  for (const outcome of ['accepted', 'limit', 'origin', 'rate', 'handshake'])
    metrics.connections.inc({ outcome }, 0);
  for (const outcome of ['answered', 'refused', 'rate', 'connection_refused'])
    metrics.http.inc({ outcome }, 0);
  for (const reason of ['gap', 'silent', 'slow', 'slow_cut', 'messages', 'pings'])
    metrics.evictions.inc({ reason }, 0);
  for (const outcome of ['reloaded', 'refused']) metrics.certificate.inc({ outcome }, 0);
  return metrics;
}

export type NotificationServerMetrics = ReturnType<typeof createNotificationServerMetrics>;

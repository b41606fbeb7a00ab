import { Counter, Gauge, type Registry } from 'prom-client';

export function createNotificationsMetrics(registry: Registry) {
  const registers = [registry];
  return {
    serving: new Gauge({
      name: 'teranode_p2p_notification_servers_serving',
      help: 'Notification server processes that listen.',
      registers,
    }),
    restarts: new Counter({
      name: 'teranode_p2p_notification_server_restarts_total',
      help: 'Notification server processes that ended unasked and were started again.',
      registers,
    }),
    hangs: new Counter({
      name: 'teranode_p2p_notification_server_hangs_total',
      help: 'Notification server processes that no longer answered and were killed.',
      registers,
    }),
    transport: new Gauge({
      name: 'teranode_p2p_websocket_transport_info',
      help: 'What serves WebSockets, package and version, in a label. Always 1.',
      labelNames: ['build'] as const,
      registers,
    }),
    connections: new Gauge({
      name: 'teranode_p2p_websocket_connections_counted',
      help: 'WebSocket connections counted against the limits, over all processes.',
      registers,
    }),
    refused: new Counter({
      name: 'teranode_p2p_websocket_connections_refused_total',
      help: 'WebSocket connections refused because of the limits.',
      registers,
    }),
  };
}

export type NotificationsMetrics = ReturnType<typeof createNotificationsMetrics>;

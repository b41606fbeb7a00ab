/** The snapshot behind a gateway's `/api/status`: it has no peers and no chain. */

import { wall } from '../../shared/clock.js';
import type { HealthReport } from '../../shared/health.js';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import type { Settings } from '../../shared/settings/table.js';
import type { NodeStatusReport } from '../../shared/status.js';

export interface GatewayStatusSources {
  readonly settings: Settings;
  /** Told where the setting is empty. */
  readonly version: string;
  /** Unix ms. */
  readonly startedAt: number;
}

/** What the page shows and `/api/status` answers now. */
export function gatewayStatus(
  { settings, version, startedAt }: GatewayStatusSources,
  {
    uptimeMs,
    health,
    clients,
  }: { readonly uptimeMs: number; readonly health: HealthReport; readonly clients: number },
): NodeStatusReport {
  return {
    node: {
      id: settings.p2p_gateway_node,
      name: settings.clientName,
      version: settings.version || version,
      network: settings.network,
      generation: settings.p2p_generation,
      listenMode: settings.listen_mode,
      startedAt,
      uptime: Math.floor(uptimeMs / 1000),
      height: 0,
      bestBlock: '',
      fsmState: '',
      textPing: settings.p2p_websocket_text_ping,
    },
    peers: [],
    kinds: FRAME_KINDS.map(({ name, shown }) => ({ name, ...shown })),
    health: {
      status: health.status,
      dependencies: health.dependencies.map(({ resource, status }) => ({ resource, status })),
    },
    counters: { 'WebSocket clients': clients },
    at: wall.told(),
  };
}

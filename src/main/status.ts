/** The snapshot behind `/api/status`: who this node is, its peers, its health. No addresses of peers are in it. */

import type { HealthReport } from '../shared/health.js';
import type { NodeStatusReport } from '../shared/status.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import type { ServerParts } from './parts.js';
import { listPeers } from './peers/peer-list.js';

export interface StatusSources {
  readonly dependencies: ServerDependencies;
  readonly options: ServerOptions;
  readonly parts: ServerParts;
  /** Unix ms. */
  readonly startedAt: number;
  readonly health: HealthReport;
}

/** What the page shows and `/api/status` answers now. */
export function statusReport({
  dependencies,
  options,
  parts,
  startedAt,
  health,
}: StatusSources): NodeStatusReport {
  const { settings } = dependencies;
  const at = Date.now();
  return {
    node: {
      id: parts.node.peerId,
      name: settings.clientName,
      version: settings.version || (options.version ?? ''),
      network: settings.network,
      generation: settings.p2p_generation,
      listenMode: settings.listen_mode,
      startedAt,
      uptime: Math.floor((at - startedAt) / 1000),
      height: parts.best?.height ?? 0,
      bestBlock: parts.best?.hash ?? '',
      fsmState: parts.announcer.fsmState ?? '',
    },
    peers: listPeers({
      node: parts.node,
      knownPeers: parts.registry.known,
      scores: parts.scores,
      bootstrapPeers: parts.bootstrapPeers,
    }).map(({ connection, known, banScore }) => ({
      id: connection.id,
      name: known?.name ?? '',
      height: known?.height ?? 0,
      banScore,
      inbound: connection.inbound,
      connectedAt: connection.connectedAt,
      messagesReceived: connection.messagesReceived,
      ...(connection.pingMs === undefined ? {} : { pingMs: connection.pingMs }),
    })),
    health,
    counters: {
      bans: parts.bans.size,
      'WebSocket clients': parts.notifications.connections,
    },
    at,
  };
}

/** The snapshot behind `/api/status`: who this node or gateway is, its peers, its health, for everybody to read. */

import { dateOf, libraryTime, wall } from '../../shared/clock.js';
import type { HealthReport } from '../../shared/health.js';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import type { Settings } from '../../shared/settings/table.js';
import type { NodeStatusReport } from '../../shared/status.js';
import type { BanList } from '../bans/list.js';
import type { ChainView } from '../chain/follower.js';
import type { PeerView } from '../peers/peer-view.js';
import type { SyncCoordinator } from '../sync/coordinator.js';
import type { NotificationServers } from '../websocket/index.js';

interface NodeSources {
  readonly chain: ChainView;
  readonly peers: PeerView;
  readonly sync: SyncCoordinator | undefined;
  readonly bans: Pick<BanList, 'size'>;
}

export interface StatusSources {
  readonly settings: Settings;
  /** Told where the setting is empty. */
  readonly version: string;
  /** Base58 ID of this node, or of the one that a gateway speaks for. */
  readonly peerId: string;
  /** Undefined of a gateway, which has neither chain nor peers. */
  readonly node: NodeSources | undefined;
  readonly notifications: Pick<NotificationServers, 'connections'>;
  /** Unix ms. */
  readonly startedAt: number;
}

/** What the page shows and `/api/status` answers now. */
export function statusReport(
  { settings, version, peerId, node, notifications, startedAt }: StatusSources,
  { uptimeMs, health }: { readonly uptimeMs: number; readonly health: HealthReport },
): NodeStatusReport {
  const now = libraryTime();
  const sync = node?.sync?.syncPeer;
  return {
    node: {
      id: peerId,
      name: settings.clientName,
      version: settings.version || version,
      network: settings.network,
      generation: settings.p2p_generation,
      listenMode: settings.listen_mode,
      startedAt,
      uptime: Math.floor(uptimeMs / 1000),
      height: node?.chain.best?.height ?? 0,
      bestBlock: node?.chain.best?.hash ?? '',
      fsmState: node?.chain.fsmState ?? '',
      textPing: settings.p2p_websocket_text_ping,
    },
    // Bootstrap peers among them: Go's GetPeers leaves them out, but whoever looks at the page asks whether anybody is connected.
    peers: (node?.peers.connected() ?? []).map(({ id, name, known, connection, banScore }) => ({
      id,
      name,
      height: known?.height ?? 0,
      banScore,
      inbound: connection.inbound,
      connectedAt: dateOf(connection.connectedAt, now),
      messagesReceived: connection.messagesReceived,
      ...(connection.pingMs === undefined ? {} : { pingMs: connection.pingMs }),
    })),
    kinds: FRAME_KINDS.map(({ name, shown }) => ({ name, ...shown })),
    ...(sync === undefined
      ? {}
      : {
          sync: {
            id: sync.id,
            name: node?.peers.get(sync.id)?.name ?? '',
            height: sync.height,
            since: sync.connectedAt * 1000,
          },
        }),
    health: {
      status: health.status,
      dependencies: health.dependencies.map(({ resource, status }) => ({ resource, status })),
    },
    counters: {
      ...(node === undefined ? {} : { bans: node.bans.size }),
      'WebSocket clients': notifications.connections,
    },
    at: wall.told(),
  };
}

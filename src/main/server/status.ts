/** The snapshot behind `/api/status`: who this node is, its peers, its health, for everybody to read. */

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

export interface StatusSources {
  readonly settings: Settings;
  /** Told where the setting is empty. */
  readonly version: string;
  /** Base58 ID of this node. */
  readonly peerId: string;
  readonly chain: ChainView;
  readonly peers: PeerView;
  readonly sync: SyncCoordinator | undefined;
  readonly bans: Pick<BanList, 'size'>;
  readonly notifications: Pick<NotificationServers, 'connections'>;
  /** Unix ms. */
  readonly startedAt: number;
}

/** What the page shows and `/api/status` answers now. */
export function statusReport(
  { settings, version, peerId, chain, peers, bans, notifications, startedAt, ...sources }: StatusSources,
  { uptimeMs, health }: { readonly uptimeMs: number; readonly health: HealthReport },
): NodeStatusReport {
  const now = libraryTime();
  const sync = sources.sync?.syncPeer;
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
      height: chain.best?.height ?? 0,
      bestBlock: chain.best?.hash ?? '',
      fsmState: chain.fsmState ?? '',
      textPing: settings.p2p_websocket_text_ping,
    },
    // Bootstrap peers among them: Go's GetPeers leaves them out, but whoever looks at the page asks whether anybody is connected.
    peers: peers.connected().map(({ id, name, known, connection, banScore }) => ({
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
            name: peers.get(sync.id)?.name ?? '',
            height: sync.height,
            since: sync.connectedAt * 1000,
          },
        }),
    health: {
      status: health.status,
      dependencies: health.dependencies.map(({ resource, status }) => ({ resource, status })),
    },
    counters: {
      bans: bans.size,
      'WebSocket clients': notifications.connections,
    },
    at: wall.told(),
  };
}

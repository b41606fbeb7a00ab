/** PeerService over gRPC. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Bans } from '../bans/part.js';
import { olderBootstrapIds } from '../node/addresses/configured-peers.js';
import type { Connections } from '../node/connections/index.js';
import type { P2PNode } from '../node/types.js';
import type { Peers } from '../peers/part.js';
import type { AdminKey } from './admin-key.js';
import { GrpcConnections } from './connections.js';
import { createPeerServiceMetrics } from './metrics.js';
import { createPeerService } from './peer-service.js';
import { GrpcServer, type GrpcServerComponents } from './server.js';

export interface GrpcNeighbours {
  readonly adminKey: AdminKey;
  readonly tls: GrpcServerComponents['tls'];
  readonly node: P2PNode;
  readonly connections: Connections;
  readonly bans: Bans;
  readonly peers: Peers;
}

export function createGrpc(
  { settings, loggers, registry, tracing }: PartContext,
  { adminKey, tls, node, connections: nodeConnections, bans, peers }: GrpcNeighbours,
): { readonly preparation: Part; readonly serving: Part } {
  const logger = loggers.of('grpc');
  const metrics = createPeerServiceMetrics(registry);
  const connections = new GrpcConnections({ metrics });
  // Those of p2p_bootstrapAddresses are left out in both generations.
  const older = olderBootstrapIds(settings);
  const bootstrapPeers = {
    has: (peer: PeerIdText) => nodeConnections.bootstrapPeers.has(peer) || older.has(peer),
  };
  const service = createPeerService(
    {
      logger,
      metrics,
      connections,
      adminKey,
      tracers: tracing,
      node,
      list: bans.list,
      scores: bans.scores,
      peers: peers.view,
      records: peers.registry.records,
      ...(peers.client === undefined ? {} : { service: peers.client }),
    },
    { banDurationMs: settings.p2p_ban_duration, bootstrapPeers },
  );
  const server = new GrpcServer({ logger, connections, tls, service }, settings);
  return {
    preparation: { name: 'preparation of gRPC', start: () => server.prepare() },
    serving: {
      name: 'gRPC',
      start: () => server.start(),
      stop: () => server.stop(),
      health: [{ resource: 'admin key', check: async () => adminKey.health() }],
      ports: () => ({ grpc: server.port }),
    },
  };
}

/** A PeerService on a free port over a real libp2p peer, a real LevelDB and a real socket. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../../../src/main/bans/level-store.js';
import { BanList } from '../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { BanScores } from '../../../src/main/bans/scores.js';
import type { BanStore } from '../../../src/main/bans/types.js';
import { AdminKey } from '../../../src/main/grpc/admin-key.js';
import { GrpcConnections } from '../../../src/main/grpc/connections.js';
import { createPeerServiceMetrics } from '../../../src/main/grpc/metrics.js';
import { createPeerService } from '../../../src/main/grpc/peer-service.js';
import { GrpcServer, type GrpcServerSettings } from '../../../src/main/grpc/server.js';
import type { ConnectedPeer, P2PNode } from '../../../src/main/node/types.js';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { PeerView } from '../../../src/main/peers/peer-view.js';
import { PeerRegistry } from '../../../src/main/peers/registry.js';
import { PeerServiceClient } from '../../../src/shared/grpc/peer-service-client.js';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { peerIdText } from '../../../src/shared/net/peer-id.js';
import { asPeer } from '../../support/branded.js';
import { keptLog } from '../../support/logger.js';
import { createPeer, type Peer } from '../../support/peer.js';
import { temporaryDirectory } from '../../support/temporary.js';

export const ADMIN_KEY = 'the-key-of-this-test';
export const BAN_MS = 3_600_000;

export type SmallNode = Pick<
  P2PNode,
  'peers' | 'peer' | 'peerId' | 'connect' | 'disconnect' | 'closeMatching'
>;

/** As much of a node as the service asks for, over a real peer. Figures that libp2p does not keep are made up. */
export function nodeOf(peer: Peer, changes: Partial<ConnectedPeer> = {}): SmallNode {
  const { libp2p } = peer;
  return {
    peerId: peer.id,
    peers: () =>
      libp2p.getConnections().map((connection) => ({
        id: peerIdText(connection.remotePeer),
        address: connection.remoteAddr.toString(),
        inbound: connection.direction === 'inbound',
        connectedAt: connection.timeline.open,
        lastSend: 1_700_000_001_500,
        lastReceive: 1_700_000_002_500,
        bytesSent: 12n,
        bytesReceived: 2n ** 60n,
        messagesReceived: 3,
        messagesSent: 4,
        pingMs: 1.5,
        agent: 'agent/1',
        protocolVersion: '/teranode/1',
        trusted: false,
        configured: false,
        score: 0,
        ...changes,
      })),
    peer(peerId) {
      return this.peers().find(({ id }) => id === peerId);
    },
    async connect(address, signal) {
      let target: ReturnType<typeof multiaddr>;
      try {
        target = multiaddr(address);
      } catch {
        throw new RangeError('not a multiaddr');
      }
      await libp2p.dial(target, signal === undefined ? {} : { signal });
    },
    async disconnect(peerId) {
      return (await this.closeMatching((remote) => remote.peerId === peerId)) > 0;
    },
    async closeMatching(matches) {
      const matching = libp2p.getConnections().filter(({ remoteAddr, remotePeer }) => {
        const [first] = remoteAddr.getComponents();
        const address = first?.name.startsWith('ip') ? (first.value ?? '') : '';
        return matches({ address, peerId: asPeer(remotePeer.toString()) });
      });
      for (const connection of matching) connection.abort(new Error('closed by the test'));
      return matching.length;
    },
  };
}

export const PLAIN: GrpcServerSettings = {
  p2p_grpcListenAddress: parseListenAddress('localhost:0'),
  security_level_grpc: 0,
  server_certFile: '',
  server_keyFile: '',
  grpc_ca_file: '',
};

export interface ServiceOptions {
  readonly settings?: Partial<GrpcServerSettings>;
  readonly changes?: Partial<ConnectedPeer>;
  readonly wrap?: (store: BanStore) => BanStore;
  readonly bootstrapPeers?: ReadonlySet<string>;
}

export async function startService(context: TestContext, options: ServiceOptions = {}) {
  const { logger, lines } = keptLog();
  const registry = new Registry();
  const level = new ClassicLevel<string, Uint8Array>(join(temporaryDirectory(context), 'level'), {
    valueEncoding: 'view',
  });
  const embedded = new LevelBanStore({ level, logger });
  const metrics = createBanMetrics(registry);
  const list = new BanList({ store: options.wrap?.(embedded) ?? embedded, logger, metrics });
  await list.open();
  list.start();
  const scores = new BanScores(
    { list, logger, metrics, isProtected: () => false },
    { threshold: 100, durationMs: BAN_MS, generation: 'current' },
  );
  const peerRegistry = new PeerRegistry(
    { level, logger, metrics: createPeerMetrics(registry), ownHeight: () => 100 },
    { maxHeightLead: 50 },
  );
  await peerRegistry.open();
  const peer = await createPeer({ context });
  const node = nodeOf(peer, options.changes);
  const grpcMetrics = createPeerServiceMetrics(registry);
  const connections = new GrpcConnections({ metrics: grpcMetrics });
  const service = createPeerService(
    {
      node,
      list,
      scores,
      peers: new PeerView(
        { node, list, scores, registry: peerRegistry },
        { blacklistedHosts: ['blacklisted.example'] },
      ),
      records: peerRegistry.records,
      logger,
      metrics: grpcMetrics,
      connections,
      adminKey: new AdminKey(ADMIN_KEY),
    },
    {
      banDurationMs: BAN_MS,
      bootstrapPeers: options.bootstrapPeers ?? new Set(),
    },
  );
  const server = new GrpcServer({ service, connections, logger }, { ...PLAIN, ...options.settings });
  await server.start();
  // Nobody is there when it does not listen.
  const address = `127.0.0.1:${server.port ?? 1}`;
  const client = new PeerServiceClient(address, { adminKey: ADMIN_KEY });
  context.after(async () => {
    client.close();
    await server.stop();
    await list.stop();
    await peerRegistry.stop();
    await level.close();
  });
  return {
    server,
    client,
    address,
    list,
    scores,
    peerRegistry,
    peer,
    node,
    registry,
    lines,
    logger,
    metrics,
  };
}

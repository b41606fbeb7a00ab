/** What is known of peers: here, and in the registry that the blockchain service keeps for all services of a node. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { checkContextOf } from '../../shared/pipeline/check-context.js';
import type { Bans } from '../bans/part.js';
import type { ChainView } from '../chain/follower.js';
import type { PeerRegistryCalls } from '../chain/peer-registry-calls.js';
import type { Connections } from '../node/connections/index.js';
import type { P2PNode } from '../node/types.js';
import { createPeerMetrics } from './metrics.js';
import { PeerView } from './peer-view.js';
import { PeerRegistry } from './registry.js';
import { RegistryClient } from './service/client.js';
import { createRegistryClientMetrics } from './service/metrics.js';
import type { Level } from './write-behind.js';

export interface PeersNeighbours {
  /** Open for as long as the parts live. */
  readonly store: Level;
  /** The blockchain service's registry; undefined where there is none. */
  readonly calls: PeerRegistryCalls | undefined;
  readonly chain: ChainView;
  readonly connections: Connections;
  readonly bans: Bans;
}

export interface Peers {
  readonly registry: PeerRegistry;
  /** Of the blockchain service's registry. */
  readonly client: RegistryClient | undefined;
  /** Both, joined with connections and bans. */
  readonly view: PeerView;
  readonly storing: Part;
  readonly telling: Part;
}

export function createPeers(
  { settings, loggers, registry: metrics }: PartContext,
  { store, calls, chain, connections, bans }: PeersNeighbours,
  { peerId }: { readonly peerId: PeerIdText },
): Peers {
  const logger = loggers.of('peers');
  const registry = new PeerRegistry(
    {
      level: store,
      logger,
      metrics: createPeerMetrics(metrics),
      ownHeight: () => chain.best?.height,
      connections: () => connections.peers(),
    },
    {
      maxHeightLead: settings.p2p_max_unvalidated_advertised_height_lead,
      storageDoubtMs: settings.p2p_full_storage_penalty_duration,
      isConfigured: (peer) => connections.isNamed(peer),
    },
  );
  const clientMetrics = createRegistryClientMetrics(metrics);
  const client =
    calls &&
    new RegistryClient(
      {
        calls,
        logger,
        metrics: clientMetrics,
        registry,
        list: bans.list,
        level: store,
        ownPeer: () => peerId,
        connections: () => connections.peers(),
        isConfigured: (peer) => connections.isNamed(peer),
        isProtected: (peer) => bans.protection.isProtected(peer),
      },
      {
        intervalMs: settings.p2p_peer_registry_batch_interval,
        banDurationMs: settings.p2p_ban_duration,
      },
    );
  if (client !== undefined) {
    registry.records.on('report', (report) => client.reported(report));
    bans.scores.on('offence', (peer, reason, points) => client.offended(peer, reason, points));
  }
  const view = new PeerView(
    {
      registry,
      node: { peerId, peers: () => connections.peers(), peer: (id) => connections.peer(id) },
      list: bans.list,
      scores: bans.scores,
      ...(client === undefined ? {} : { service: client }),
    },
    { blacklistedHosts: checkContextOf(settings).blacklistedHosts },
  );
  return {
    registry,
    client,
    view,
    storing: { name: 'peer registry', start: () => registry.open(), stop: () => registry.stop() },
    telling: {
      name: 'peer registry of the blockchain service',
      start: () => client?.start(),
      stop: (deadline) => client?.stop(deadline),
      // Shown; never a reason to take a node out of service.
      health:
        client === undefined ? [] : [{ resource: 'PeerRegistryClient', check: async () => client.health() }],
    },
  };
}

/** Has `peers` know who is connected to `node`. */
export function followConnections(
  { registry, client }: Pick<Peers, 'registry' | 'client'>,
  node: Pick<P2PNode, 'on'>,
): void {
  node.on('connected', (peer) => registry.known.connected(peer));
  node.on('disconnected', (peer, bytes) => {
    registry.known.disconnected(peer, bytes);
    client?.disconnected(peer, bytes);
  });
}

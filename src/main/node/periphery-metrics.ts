/** Metrics of what surrounds the gossip core: gater, static peers, peer cache, lookup, discovery, direct stream. */

import { Counter, Gauge, type Registry } from 'prom-client';

export function createPeripheryMetrics(registry: Registry) {
  const registers = [registry];
  return {
    connectionsRefused: new Counter({
      name: 'teranode_p2p_node_connections_refused_total',
      help: 'Connections that the gater refused',
      labelNames: ['direction', 'reason'] as const,
      registers,
    }),
    connectionsTrimmed: new Counter({
      name: 'teranode_p2p_node_connections_trimmed_total',
      help: 'Connections closed because there were more than p2p_max_connections',
      registers,
    }),
    keyMismatches: new Counter({
      name: 'teranode_p2p_node_key_mismatches_total',
      help: 'Connections whose first bytes look as if one end alone had a pre-shared key, by whose',
      labelNames: ['key'] as const,
      registers,
    }),
    configuredPeers: new Gauge({
      name: 'teranode_p2p_node_configured_peers',
      help: 'Static and bootstrap peers by whether they are connected',
      labelNames: ['kind', 'state'] as const,
      registers,
    }),
    peerCachePeers: new Gauge({
      name: 'teranode_p2p_peer_cache_peers',
      help: 'Peers in the peer cache',
      registers,
    }),
    addressLookups: new Counter({
      name: 'teranode_p2p_node_address_lookups_total',
      help: 'Peer address requests asked and answered',
      labelNames: ['role', 'version', 'outcome'] as const,
      registers,
    }),
    discoveryRounds: new Counter({
      name: 'teranode_p2p_node_discovery_rounds_total',
      help: 'Topic names advertised and searched in the DHT',
      labelNames: ['action', 'outcome'] as const,
      registers,
    }),
    discoveredPeers: new Counter({
      name: 'teranode_p2p_node_discovered_peers_total',
      help: 'Unconnected peers found in the DHT and dialled',
      labelNames: ['outcome'] as const,
      registers,
    }),
    directMessages: new Counter({
      name: 'teranode_p2p_node_direct_messages_total',
      help: 'Messages on the direct stream',
      labelNames: ['direction', 'outcome'] as const,
      registers,
    }),
  };
}

export type PeripheryMetrics = ReturnType<typeof createPeripheryMetrics>;

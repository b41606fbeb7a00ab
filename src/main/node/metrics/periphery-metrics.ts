/** Metrics of what surrounds the gossip core: gater, static peers, peer cache, lookup, discovery, direct stream. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../../shared/metrics/zeroed-counter.js';

/** Why a connection that came in got no slot, or gave it up. */
const ADMISSION_REASONS = [
  'handshake_silent',
  'handshake_timeout',
  'handshake_share',
  'handshake_places',
  'address_connections',
  'connection_places',
] as const;
export type AdmissionReason = (typeof ADMISSION_REASONS)[number];
/** Why a connection was refused. */
const REFUSAL_REASONS = [
  'no_host',
  'banned_address',
  'banned_peer',
  'private_address',
  'reserved_address',
  'address_rate',
  ...ADMISSION_REASONS,
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

const READ_OUTCOMES = ['ok', 'limited', 'oversized', 'silent', 'displaced', 'failed'] as const;
const LOOKUP_OUTCOMES = [...READ_OUTCOMES, 'unknown', 'malformed', 'timeout'] as const;
const DIRECT_OUTCOMES = [...READ_OUTCOMES, 'empty'] as const;
export type LookupOutcome = (typeof LOOKUP_OUTCOMES)[number];
export type DirectOutcome = (typeof DIRECT_OUTCOMES)[number];

export function createPeripheryMetrics(registry: Registry) {
  const registers = [registry];
  return {
    connectionsRefused: zeroedCounter({
      name: 'teranode_p2p_node_connections_refused_total',
      help: 'Connections that the gater refused',
      labels: { direction: ['inbound', 'outbound'], reason: REFUSAL_REASONS },
      registers,
    }),
    connectionsTrimmed: new Counter({
      name: 'teranode_p2p_node_connections_trimmed_total',
      help: 'Connections closed because there were more than p2p_max_connections',
      registers,
    }),
    keyMismatches: zeroedCounter({
      name: 'teranode_p2p_node_key_mismatches_total',
      help: 'Connections whose first bytes look as if one end alone had a pre-shared key, by whose',
      labels: { key: ['theirs', 'ours'] },
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
    addressLookups: zeroedCounter({
      name: 'teranode_p2p_node_address_lookups_total',
      help: 'Peer address requests asked and answered',
      labels: { role: ['asker', 'answerer'], version: ['1.0.0', '1.1.0'], outcome: LOOKUP_OUTCOMES },
      registers,
    }),
    discoveryRounds: zeroedCounter({
      name: 'teranode_p2p_node_discovery_rounds_total',
      help: 'Topic names advertised and searched in the DHT',
      labels: { action: ['advertise', 'search'], outcome: ['ok', 'failed'] },
      registers,
    }),
    discoveredPeers: zeroedCounter({
      name: 'teranode_p2p_node_discovered_peers_total',
      help: 'Unconnected peers found in the DHT and dialled',
      labels: { outcome: ['connected', 'failed'] },
      registers,
    }),
    directMessages: zeroedCounter({
      name: 'teranode_p2p_node_direct_messages_total',
      help: 'Messages on the direct stream',
      labels: { direction: ['sent', 'received'], outcome: DIRECT_OUTCOMES },
      registers,
    }),
  };
}

export type PeripheryMetrics = ReturnType<typeof createPeripheryMetrics>;

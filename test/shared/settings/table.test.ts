import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from '../../../src/shared/settings/table.js';
import { settingsOf } from '../../support/settings.js';

/** What Teranode ships, in both generations. */
const SHIPPED: Partial<Settings> = {
  listen_mode: 'full',
  p2p_port: 9905,
  p2p_grpcListenAddress: 'localhost:9904',
  p2p_httpListenAddress: ':9906',
  health_check_httpListenAddress: ':8000',
  profilerAddr: ':9091',
  prometheusEndpoint: '/metrics',
  p2p_bestblock_topic: 'bestblock',
  p2p_block_topic: 'block',
  p2p_subtree_topic: 'subtree',
  p2p_mining_on_topic: 'miningon',
  p2p_rejected_tx_topic: 'rejected_tx',
  p2p_node_status_topic: 'node_status',
  p2p_handshake_topic: 'handshake',
  p2p_ban_threshold: 100,
  p2p_ban_duration: 86_400_000,
  p2p_rejected_tx_publish_rate: 10,
  p2p_rejected_tx_publish_burst: 100,
  p2p_max_unvalidated_advertised_height_lead: 10_000,
  p2p_node_status_interval: 10_000,
  p2p_websocket_max_connections: 1000,
  p2p_websocket_text_ping: true,
  p2p_websocket_allowed_origins: [],
  p2p_share_private_addresses: true,
  p2p_enable_nat: false,
  p2p_max_connections: 35,
  securityLevelHTTP: 0,
  security_level_grpc: 0,
  shutdown_timeout: 10_000,
};

/** What the generation decides. */
const BY_GENERATION = {
  first: {
    p2p_dht_use_private: true,
    p2p_bootstrap_peers: [],
    p2p_dht_protocol_id: '/teranode',
    p2p_dht_mode: 'server',
    p2p_payload_framing: 'direct',
    kafka_record_format: 'raw',
  },
  current: {
    p2p_dht_use_private: false,
    p2p_bootstrap_peers: ['/dnsaddr/mainnet.bootstrap.teranode.bsvb.tech'],
    p2p_dht_protocol_id: '/ipfs',
    p2p_dht_mode: 'off',
    p2p_payload_framing: 'message-bus',
    kafka_record_format: 'protobuf',
  },
} as const satisfies Record<string, Partial<Settings>>;

for (const generation of ['first', 'current'] as const) {
  test(`the ${generation} generation's defaults are those that Teranode ships`, () => {
    const settings: Readonly<Record<string, unknown>> = settingsOf({}, generation);
    const expected = { ...SHIPPED, ...BY_GENERATION[generation] };
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(settings[key], value, key);
  });
}

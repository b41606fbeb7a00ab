import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { loadSettings } from '../../../src/shared/settings/load.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

/** Teranode's shipped settings of 2026, written out as its files and its reference have them. */
const TERANODE_2026 = {
  p2p_bootstrap_peers: ['/dnsaddr/mainnet.bootstrap.teranode.bsvb.tech'],
  p2p_dht_mode: 'off',
  p2p_enable_peer_scoring: true,
  p2p_enable_peer_exchange: true,
  p2p_peer_score_ip_colocation_threshold: 10,
  p2p_health_check_enabled: true,
  p2p_peer_registry_batch_interval: 1_000,
  p2p_peer_map_max_size: 10_000,
  p2p_peer_map_ttl: 600_000,
  p2p_websocket_max_connections: 1000,
  p2p_websocket_max_connections_per_source: 0,
  p2p_websocket_trusted_source_cidrs: ['127.0.0.1/32', '::1/128'],
  p2p_websocket_allowed_origins: [],
  p2p_full_storage_penalty_duration: 3_600_000,
  p2p_sync_peer_no_progress_timeout: 300_000,
  p2p_grpcListenAddress: parseListenAddress('localhost:9904'),
  p2p_port: 9905,
  p2p_ban_threshold: 100,
  p2p_ban_duration: 86_400_000,
  p2p_share_private_addresses: true,
  p2p_allow_pruned_node_fallback: true,
  p2p_enable_nat: false,
  p2p_enable_mdns: false,
  p2p_allow_private_ips: false,
  p2p_static_peers: [],
  p2p_listen_addresses: [],
  p2p_advertise_addresses: [],
  listen_mode: 'full',
  p2p_sync_coordinator_periodic_evaluation_interval: 30_000,
  p2p_max_unproven_sync_probes_per_backoff_window: 3,
  p2p_full_delivery_freshness_window: 86_400_000,
};

/** Teranode's too, of what this server does not have: a file with them is taken without a word. */
const TERANODE_2026_ELSEWHERE = [
  'p2p_gossip_handler_concurrency',
  'p2p_peer_map_cleanup_interval',
  'p2p_dht_cleanup_interval',
  'p2p_peer_id',
];

test('without a word from the operator every setting is as Teranode ships it', (context) => {
  const directory = temporaryDirectory(context);
  const load = (env: Record<string, string>) =>
    loadSettings({ env, cwd: directory, programDirectory: directory });
  const { settings, warnings }: { settings: Readonly<Record<string, unknown>>; warnings: readonly string[] } =
    load({});
  const keys = Object.keys(TERANODE_2026);
  assert.deepEqual(Object.fromEntries(keys.map((key) => [key, settings[key]])), TERANODE_2026);
  assert.deepEqual(warnings, []);
  const others = Object.fromEntries(TERANODE_2026_ELSEWHERE.map((key) => [key, '1']));
  assert.deepEqual(load(others).warnings, []);
});

/** What Teranode ships, in both generations. */
const SHIPPED: SettingChanges = {
  listen_mode: 'full',
  p2p_port: 9905,
  p2p_grpcListenAddress: parseListenAddress('localhost:9904'),
  p2p_httpListenAddress: parseListenAddress(':9906'),
  health_check_httpListenAddress: parseListenAddress(':8000'),
  profilerAddr: parseListenAddress(':9091'),
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
} as const satisfies Record<string, SettingChanges>;

for (const generation of ['first', 'current'] as const) {
  test(`the ${generation} generation's defaults are those that Teranode ships`, () => {
    const settings: Readonly<Record<string, unknown>> = settingsOf({}, generation);
    const expected = { ...SHIPPED, ...BY_GENERATION[generation] };
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(settings[key], value, key);
  });
}

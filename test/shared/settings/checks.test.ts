import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSettings } from '../../../src/shared/settings/checks.js';
import type { Settings } from '../../../src/shared/settings/table.js';
import { settingsOf } from '../../support/settings.js';

const PEER = '12D3KooWJ6kQHAR65xkA34NABsNVAJyVxPWh8JUSo1vtZsTyw4GD';

const BAD: readonly (readonly [string, Partial<Settings>])[] = [
  ['server_keyFile', { server_certFile: 'a.pem' }],
  ['server_certFile', { server_keyFile: 'a.pem' }],
  ['server_certFile', { securityLevelHTTP: 1 }],
  ['KAFKA_TLS_KEY_FILE', { KAFKA_TLS_CERT_FILE: 'a.pem' }],
  ['grpc_cert_file', { security_level_grpc: 3 }],
  ['p2p_shared_key', { p2p_private_network: true, p2p_shared_key: 'ab' }],
  ['p2p_shared_key', { p2p_private_network: true }],
  ['p2p_private_key', { p2p_private_key: 'zz' }],
  ['p2p_private_key', { p2p_private_key: `${'a'.repeat(128)}${'b'.repeat(64)}` }],
  ['p2p_static_peers', { p2p_static_peers: ['/ip4/127.0.0.1/tcp/9905'] }],
  ['p2p_bootstrap_peers', { p2p_bootstrap_peers: ['127.0.0.1:9905'] }],
  ['p2p_listen_addresses', { p2p_listen_addresses: ['/ip4/0.0.0.0/tcp/1'] }],
  ['p2p_httpListenAddress', { p2p_httpListenAddress: '9906' }],
  ['p2p_grpcListenAddress', { p2p_grpcListenAddress: 'localhost:99999' }],
  ['profilerAddr', { profilerAddr: ':9906' }],
  ['p2p_httpListenAddress', { p2p_httpListenAddress: 'localhost:9905' }],
  ['blockchain_grpcAddress', { blockchain_grpcAddress: 'http://localhost:8087' }],
  ['blockvalidation_grpcAddress', { blockvalidation_grpcAddress: ':0' }],
  ['kafka_blocksConfig', { kafka_blocksConfig: 'localhost:9092/blocks' }],
  ['kafka_subtreesConfig', { kafka_subtreesConfig: '' }],
  ['logLevel', { logLevel: 'loud' }],
  ['asset_httpAddress', { asset_httpAddress: 'ftp://x' }],
  ['p2p_subtree_topic', { p2p_subtree_topic: 'block' }],
  ['p2p_block_topic', { p2p_block_topic: '' }],
  ['p2p_topic_prefix', { p2p_topic_prefix: 'a b' }],
  ['p2p_enable_peer_exchange', { p2p_enable_peer_scoring: false }],
  ['p2p_allowed_addresses', { p2p_allowed_addresses: ['10.0.0.0/33'] }],
  ['p2p_websocket_trusted_source_cidrs', { p2p_websocket_trusted_source_cidrs: ['everyone'] }],
  ['prometheusEndpoint', { prometheusEndpoint: 'metrics' }],
  ['p2p_force_sync_peer', { p2p_force_sync_peer: 'me!' }],
  ['p2p_advertise_addresses', { p2p_advertise_addresses: ['/ip4/1.2.3'] }],
];

for (const [key, changes] of BAD) {
  test(`${JSON.stringify(changes).slice(0, 90)} is a problem of ${key} alone`, () => {
    const problems = checkSettings(settingsOf(changes));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.ok(problems[0]?.startsWith(`${key}: `), problems[0]);
  });
}

test('what the current generation does not follow may be anything, and is checked where it is followed', () => {
  const leftovers = { p2p_ip: 'localhost', p2p_dht_protocol_id: '', p2p_shared_key: 'ab' };
  assert.deepEqual(checkSettings(settingsOf(leftovers)), []);
  const keysOf = (lines: readonly string[]) => lines.map((line) => line.split(':', 1)[0]).sort();
  const first = settingsOf({ ...leftovers, p2p_topic_prefix: 'bitcoin' }, 'first');
  assert.deepEqual(keysOf(checkSettings(first)), Object.keys(leftovers).sort());
  const own = settingsOf({ ...leftovers, p2p_private_network: true });
  assert.deepEqual(keysOf(checkSettings(own)), ['p2p_dht_protocol_id', 'p2p_shared_key']);
});

test('what Teranode deploys is accepted', () => {
  const problems = checkSettings(
    settingsOf({
      p2p_listen_addresses: ['0.0.0.0', '::'],
      p2p_bootstrap_peers: [
        `/dns4/bootstrap.example.org/tcp/9901/p2p/${PEER}`,
        '/dnsaddr/bootstrap.example.org',
      ],
      p2p_static_peers: [`/ip4/10.1.2.3/tcp/9905/p2p/${PEER}`],
      p2p_advertise_addresses: [
        'node.example.org',
        'node.example.org:9905',
        '203.0.113.7',
        '/ip4/203.0.113.7/tcp/1',
      ],
      p2p_grpcListenAddress: ':9904',
      blockchain_grpcAddress: 'k8s:///blockchain:8087',
      kafka_blocksConfig:
        'kafka://a:9092,b:9092/blocks?partitions=1&replication=1&retention=60000&flush_bytes=64',
      blockchain_store: 'sqlite:///blockchain',
      asset_httpAddress: 'http://localhost:8090/api/v1',
      server_certFile: 'certs/teranode.crt',
      server_keyFile: 'certs/teranode.key',
      securityLevelHTTP: 1,
      p2p_websocket_trusted_source_cidrs: ['10.0.0.0/8', '::1', 'none'],
      p2p_force_sync_peer: PEER,
    }),
  );
  assert.deepEqual(problems, []);
});

test('port 0 collides with nothing', () => {
  const zero = {
    p2p_port: 0,
    p2p_httpListenAddress: ':0',
    p2p_grpcListenAddress: 'localhost:0',
    profilerAddr: ':0',
  };
  assert.deepEqual(checkSettings(settingsOf({ ...zero, health_check_httpListenAddress: ':0' })), []);
});

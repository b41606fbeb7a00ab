import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { checkSettings } from '../../../src/shared/settings/checks.js';
import { loadSettings } from '../../../src/shared/settings/load.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

const PEER = '12D3KooWJ6kQHAR65xkA34NABsNVAJyVxPWh8JUSo1vtZsTyw4GD';

/** What is set, as it stands in the environment, and the setting that is at fault. */
const BAD: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['server_keyFile', { server_certFile: 'a.pem' }],
  ['server_certFile', { server_keyFile: 'a.pem' }],
  ['server_certFile', { securityLevelHTTP: '1' }],
  ['KAFKA_TLS_KEY_FILE', { KAFKA_TLS_CERT_FILE: 'a.pem' }],
  ['grpc_cert_file', { security_level_grpc: '3' }],
  ['p2p_shared_key', { p2p_private_network: 'true', p2p_shared_key: 'ab' }],
  ['p2p_shared_key', { p2p_private_network: 'true' }],
  ['p2p_private_key', { p2p_private_key: 'zz' }],
  ['p2p_private_key', { p2p_private_key: `${'a'.repeat(128)}${'b'.repeat(64)}` }],
  // The public half of another secret half.
  ['p2p_private_key', { p2p_private_key: 'a'.repeat(128) }],
  ['p2p_static_peers', { p2p_static_peers: '/ip4/127.0.0.1/tcp/9905' }],
  ['p2p_static_peers', { p2p_static_peers: '/dnsaddr/boot.example' }],
  ['p2p_static_peers', { p2p_static_peers: `/p2p/${PEER}` }],
  ['p2p_static_peers', { p2p_static_peers: '/ip4/192.0.2.1/tcp/1/p2p/x' }],
  ['p2p_bootstrap_peers', { p2p_bootstrap_peers: '127.0.0.1:9905' }],
  ['p2p_relay_peers', { p2p_relay_peers: '/ip4/127.0.0.1/tcp/9905/p2p/1111' }],
  ['p2p_bootstrapAddresses', { p2p_bootstrapAddresses: '/ip4/127.0.0.1/tcp/9905' }],
  ['p2p_listen_addresses', { p2p_listen_addresses: '/ip4/0.0.0.0/tcp/1' }],
  ['p2p_listen_addresses', { p2p_listen_addresses: '300.1.1.1' }],
  ['p2p_listen_addresses', { p2p_listen_addresses: 'localhost' }],
  ['p2p_httpListenAddress', { p2p_httpListenAddress: '9906' }],
  ['p2p_httpListenAddress', { p2p_httpListenAddress: '' }],
  ['p2p_grpcListenAddress', { p2p_grpcListenAddress: 'localhost:99999' }],
  ['profilerAddr', { profilerAddr: ':9906' }],
  ['p2p_httpListenAddress', { p2p_httpListenAddress: 'localhost:9905' }],
  ['blockchain_grpcAddress', { blockchain_grpcAddress: 'http://localhost:8087' }],
  ['blockvalidation_grpcAddress', { blockvalidation_grpcAddress: ':0' }],
  ['blockassembly_grpcAddress', { blockassembly_grpcAddress: ':8085' }],
  ['kafka_blocksConfig', { kafka_blocksConfig: 'localhost:9092/blocks' }],
  ['kafka_subtreesConfig', { kafka_subtreesConfig: '' }],
  ['logLevel', { logLevel: 'loud' }],
  ['asset_httpAddress', { asset_httpAddress: 'ftp://x' }],
  ['p2p_subtree_topic', { p2p_subtree_topic: 'block' }],
  ['p2p_block_topic', { p2p_block_topic: '' }],
  ['p2p_topic_prefix', { p2p_topic_prefix: 'a b' }],
  ['p2p_enable_peer_exchange', { p2p_enable_peer_scoring: 'false' }],
  ['p2p_allowed_addresses', { p2p_allowed_addresses: '10.0.0.0/33' }],
  ['p2p_allowed_addresses', { p2p_allowed_addresses: '127.1' }],
  ['p2p_websocket_trusted_source_cidrs', { p2p_websocket_trusted_source_cidrs: 'everyone' }],
  ['p2p_websocket_trusted_proxies', { p2p_websocket_trusted_proxies: 'none' }],
  ['p2p_websocket_trusted_proxies', { p2p_websocket_trusted_proxies: '10.0.0.0/33' }],
  ['prometheusEndpoint', { prometheusEndpoint: 'metrics' }],
  ['p2p_force_sync_peer', { p2p_force_sync_peer: 'me!' }],
  ['blockchain_store', { blockchain_store: 'postgres://u:p@h:port/db' }],
  ['grpc_admin_api_key', { grpc_admin_api_key: 'two words' }],
  ...['/ip4/1.2.3', 'no host', '1.2.3', 'host:port', '[x]:5', 'a:b:c', '/nonsense/1', '/tcp/80', '-.-'].map(
    (address) => ['p2p_advertise_addresses', { p2p_advertise_addresses: address }] as const,
  ),
  ['p2p_advertise_addresses', { p2p_advertise_addresses: '203.0.113.1', p2p_port: '0' }],
];

/** The problems of an environment. */
function problemsOf(context: TestContext, env: Readonly<Record<string, string>>): readonly string[] {
  const directory = temporaryDirectory(context);
  try {
    loadSettings({ env, cwd: directory, programDirectory: directory });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
}

for (const [key, env] of BAD) {
  test(`${JSON.stringify(env).slice(0, 90)} is a problem of ${key} alone`, (context) => {
    const problems = problemsOf(context, env);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.ok(problems[0]?.startsWith(`${key}: `), problems[0]);
  });
}

test('a secret is not told with what is wrong with it', (context) => {
  const secret: readonly Readonly<Record<string, string>>[] = [
    { blockchain_store: 'postgres://user:hush@[' },
    { p2p_private_key: 'hush' },
    { grpc_admin_api_key: 'hush hush' },
    { p2p_private_network: 'true', p2p_shared_key: 'hush' },
    { kafka_blocksConfig: 'kafka://user:hush@one:9092/blocks' },
  ];
  for (const env of secret) {
    const told = problemsOf(context, env).join();
    assert.ok(told !== '' && !told.includes('hush'), told);
  }
});

test('each bad entry of a list is told, and what could not be read collides with nothing', (context) => {
  const problems = problemsOf(context, {
    p2p_static_peers: `nonsense|/ip4/192.0.2.1/tcp/1|/ip4/192.0.2.1/tcp/1/p2p/${PEER}`,
    p2p_httpListenAddress: 'x',
    profilerAddr: ':9906',
  });
  assert.deepEqual(
    problems.map((problem) => /^\w+: "[^"]*"/.exec(problem)?.[0]),
    [
      'p2p_static_peers: "nonsense"',
      'p2p_static_peers: "/ip4/192.0.2.1/tcp/1"',
      'p2p_httpListenAddress: "x"',
    ],
  );
});

test('what the current generation does not follow may be anything, and is checked where it is followed', () => {
  const leftovers = { p2p_ip: 'localhost', p2p_dht_protocol_id: '', p2p_shared_key: 'ab' };
  assert.deepEqual(checkSettings(settingsOf(leftovers)), []);
  const keysOf = (lines: readonly string[]) => lines.map((line) => line.split(':', 1)[0]).sort();
  const first = settingsOf({ ...leftovers, p2p_topic_prefix: 'bitcoin' }, 'first');
  assert.deepEqual(keysOf(checkSettings(first)), Object.keys(leftovers).sort());
  const own = settingsOf({ ...leftovers, p2p_private_network: true });
  assert.deepEqual(keysOf(checkSettings(own)), ['p2p_dht_protocol_id', 'p2p_shared_key']);
});

test('what Teranode deploys is accepted', (context) => {
  const problems = problemsOf(context, {
    p2p_listen_addresses: '0.0.0.0|::',
    p2p_bootstrap_peers: `/dns4/bootstrap.example.org/tcp/9901/p2p/${PEER}|/dnsaddr/bootstrap.example.org`,
    p2p_static_peers: `/ip4/10.1.2.3/tcp/9905/p2p/${PEER}`,
    p2p_advertise_addresses: 'node.example.org|node.example.org:9905|203.0.113.7|/ip4/203.0.113.7/tcp/1',
    p2p_grpcListenAddress: ':9904',
    blockchain_grpcAddress: 'k8s:///blockchain:8087',
    kafka_blocksConfig:
      'kafka://a:9092,b:9092/blocks?partitions=1&replication=1&retention=60000&flush_bytes=64',
    blockchain_store: 'sqlite:///blockchain',
    asset_httpAddress: 'http://localhost:8090/api/v1',
    server_certFile: 'certs/teranode.crt',
    server_keyFile: 'certs/teranode.key',
    securityLevelHTTP: '1',
    p2p_websocket_trusted_source_cidrs: '10.0.0.0/8|::1|none',
    p2p_force_sync_peer: PEER,
  });
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

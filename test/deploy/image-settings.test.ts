/** The image's own settings, by the contexts in which Teranode's nodes are started. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConf } from '../../src/shared/settings/conf-file.js';
import { type LoadedSettings, loadSettings } from '../../src/shared/settings/load.js';
import { temporaryDirectory } from '../support/temporary.js';

const DIRECTORY = fileURLToPath(new URL('../../../deploy/image/', import.meta.url));

function load(context: TestContext, env: Record<string, string>): LoadedSettings {
  const loaded = loadSettings({ env, cwd: temporaryDirectory(context), programDirectory: DIRECTORY });
  assert.deepEqual(loaded.warnings, []);
  return loaded;
}

/** `kafka://host/topic` of a setting, without its parameters. */
const topicOf = (url: string) => url.replace(/\?.*/, '');

test('docker.m, with the quickstart’s environment: the other services by their containers’ names', (context) => {
  const { settings } = load(context, {
    SETTINGS_CONTEXT: 'docker.m',
    network: 'testnet',
    clientName: 'teranode-ab12',
    listen_mode: 'listen_only',
    asset_httpPublicAddress: '',
    p2p_advertise_addresses: '',
    p2p_health_check_enabled: 'false',
    p2p_dht_mode: 'off',
    minminingtxfee: '0.00000001',
    logLevel: 'INFO',
  });
  assert.equal(settings.network, 'testnet');
  assert.equal(settings.blockchain_grpcAddress?.text, 'blockchain:8087');
  assert.equal(settings.blockvalidation_grpcAddress?.text, 'blockvalidation:8088');
  assert.equal(settings.blockassembly_grpcAddress?.text, 'blockassembly:8085');
  assert.equal(settings.asset_httpAddress, 'http://asset:8090/api/v1');
  assert.equal(settings.asset_httpPublicAddress, '');
  for (const [url, topic] of [
    [settings.kafka_blocksConfig, 'blocks?partitions=1&replication=1&retention=60000'],
    [
      settings.kafka_subtreesConfig,
      'subtrees?partitions=32&replication=1&retention=1800000&segment_bytes=33554432',
    ],
    [settings.kafka_rejectedTxConfig, 'rejectedtx?partitions=1&replication=1&retention=600000&replay=0'],
    [
      settings.kafka_invalidBlocksConfig,
      'invalid-blocks?partitions=1&replication=1&retention=600000&replay=0',
    ],
    [
      settings.kafka_invalidSubtreesConfig,
      'invalid-subtrees?partitions=32&replication=1&retention=60000&segment_bytes=33554432&replay=0',
    ],
  ] as const)
    assert.equal(url?.text, `kafka://kafka-shared:9092/${topic}`);
  assert.match(settings.blockchain_store, /^postgres:\/\/.*@postgres:5432\/teranode$/);
  assert.equal(settings.DATADIR, './data/p2p');
  assert.equal(settings.p2p_peer_cache_dir, './data');
  assert.equal(settings.shutdown_timeout, 5_000);
  assert.deepEqual(ports(settings), [9905, ':9904', ':9906', ':8000', ':9091']);
});

test('docker.m, beside a node of before November 2025: its topics are named in the environment', (context) => {
  const env = { SETTINGS_CONTEXT: 'docker.m', KAFKA_BLOCKS: 'blocks-node', KAFKA_SUBTREES: 'subtrees-node' };
  const { settings } = load(context, env);
  assert.equal(topicOf(settings.kafka_blocksConfig?.text ?? ''), 'kafka://kafka-shared:9092/blocks-node');
  assert.equal(topicOf(settings.kafka_subtreesConfig?.text ?? ''), 'kafka://kafka-shared:9092/subtrees-node');
});

test('docker.ss.teranode1: the first of several nodes', (context) => {
  const { settings } = load(context, { SETTINGS_CONTEXT: 'docker.ss.teranode1' });
  assert.equal(settings.blockchain_grpcAddress?.text, 'blockchain-1:8087');
  assert.equal(settings.blockvalidation_grpcAddress?.text, 'blockvalidation-1:8088');
  assert.equal(topicOf(settings.kafka_blocksConfig?.text ?? ''), 'kafka://kafka-shared:9092/blocks1');
  assert.equal(settings.asset_httpAddress, 'http://asset-1:8090/api/v1');
  assert.equal(settings.clientName, 'teranode1');
  assert.equal(settings.network, 'regtest');
});

test('operator, with its config map: services in the cluster, topics of the node, the cluster’s volume', (context) => {
  const { settings } = load(context, {
    SETTINGS_CONTEXT: 'operator',
    SERVICE_NAME: 'p2p-service',
    network: 'mainnet',
    clientName: 'node-1',
    KAFKA_HOSTS: 'kafka-a:9092,kafka-b:9092',
    KAFKA_PARTITIONS_HIGH: '16',
    blockchain_store: 'postgres://u:p@db:5432/teranode',
  });
  assert.equal(settings.blockchain_grpcAddress?.text, 'k8s:///blockchain.node-1.svc.cluster.local:8087');
  assert.equal(
    settings.blockvalidation_grpcAddress?.text,
    'k8s:///block-validation.node-1.svc.cluster.local:8088',
  );
  assert.equal(
    settings.blockassembly_grpcAddress?.text,
    'k8s:///block-assembly.node-1.svc.cluster.local:8085',
  );
  assert.match(
    settings.kafka_blocksConfig?.text ?? '',
    /^kafka:\/\/kafka-a:9092,kafka-b:9092\/blocks-node-1\?partitions=1&replication=3&/,
  );
  assert.match(
    settings.kafka_invalidSubtreesConfig?.text ?? '',
    /\/invalid-subtrees-node-1\?partitions=16&replication=3&/,
  );
  assert.equal(settings.DATADIR, '/data/node-1/p2p');
  assert.equal(settings.p2p_peer_cache_dir, '/data/node-1');
  assert.equal(settings.p2p_dht_mode, 'server');
  assert.equal(settings.tracing_enabled, false);
  assert.equal(settings.tracing_collector_url, 'jaeger-agent.jaeger.svc.cluster.local:4318');
  assert.deepEqual(ports(settings), [9905, ':9904', ':9906', ':8000', ':9091']);
  assert.equal(load(context, { SETTINGS_CONTEXT: 'operator.teratestnet' }).settings.network, 'teratestnet');
});

test('dev: this machine alone, and no Kafka', (context) => {
  const { settings } = load(context, { SETTINGS_CONTEXT: 'dev' });
  assert.equal(settings.network, 'regtest');
  assert.equal(settings.listen_mode, 'listen_only');
  assert.equal(settings.blockchain_grpcAddress?.text, 'localhost:8087');
  assert.match(settings.kafka_blocksConfig?.text ?? '', /^memory:\/\//);
  assert.deepEqual(settings.p2p_listen_addresses, ['127.0.0.1']);
  assert.deepEqual(ports(settings), [9905, 'localhost:9904', 'localhost:9906', ':8000', 'localhost:9091']);
});

test('standalone: a server with nothing beside it, which others reach', (context) => {
  const { settings } = load(context, { SETTINGS_CONTEXT: 'standalone' });
  assert.equal(settings.network, 'mainnet');
  for (const key of [
    'blockchain_grpcAddress',
    'blockvalidation_grpcAddress',
    'blockassembly_grpcAddress',
  ] as const)
    assert.equal(settings[key], undefined, key);
  for (const key of ['blockchain_store', 'asset_httpAddress', 'asset_httpPublicAddress'] as const)
    assert.equal(settings[key], '', key);
  assert.match(settings.kafka_blocksConfig?.text ?? '', /^memory:\/\//);
  assert.equal(settings.DATADIR, '/data');
  assert.deepEqual(ports(settings), [9905, 'localhost:9904', ':9906', ':8000', ':9091']);
});

test('no key and no placeholder of one is in the file', () => {
  const { lines, odd } = parseConf(readFileSync(`${DIRECTORY}settings.conf`, 'utf8'));
  assert.deepEqual(odd, []);
  for (const [key, value] of lines) {
    assert.doesNotMatch(key, /key|password|secret/i);
    assert.doesNotMatch(value, /[0-9a-f]{32}/i, key);
  }
});

function ports(settings: LoadedSettings['settings']): readonly (string | number | undefined)[] {
  return [
    settings.p2p_port,
    settings.p2p_grpcListenAddress?.text,
    settings.p2p_httpListenAddress.text,
    settings.health_check_httpListenAddress?.text,
    settings.profilerAddr?.text,
  ];
}

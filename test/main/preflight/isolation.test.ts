import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  islandHealth,
  islandProblems,
  islandsOf,
  islandWarning,
} from '../../../src/main/preflight/isolation.js';
import { settingsProblems } from '../../../src/main/preflight/settings.js';
import type { SettingsOrigin } from '../../../src/shared/settings/load.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';

/** As Teranode's own settings have it. */
const SERVICES: SettingChanges = {
  network: 'mainnet',
  blockchain_grpcAddress: 'blockchain:8087',
  kafka_blocksConfig: 'kafka://kafka-shared:9092/blocks',
  kafka_subtreesConfig: 'kafka://kafka-shared:9092/subtrees',
  kafka_rejectedTxConfig: 'kafka://kafka-shared:9092/rejectedtx',
  p2p_bootstrap_peers: ['/dnsaddr/mainnet.bootstrap.teranode.bsvb.tech'],
};
const IN_CONTEXT: SettingsOrigin = { context: 'docker.m', files: ['/app/settings.conf'] };

const signs = (changes: SettingChanges, origin: SettingsOrigin = IN_CONTEXT): string[] =>
  islandsOf(settingsOf({ ...SERVICES, ...changes }), origin).map(({ sign }) => sign);

test('beside the services of a node there is nothing to say', () => {
  assert.deepEqual(signs({}), []);
  assert.deepEqual(signs({}, {}), []);
  assert.equal(islandWarning([]), undefined);
  assert.equal(islandHealth([]), undefined);
});

test('on a real network each sign of an island is told, with the setting first', () => {
  assert.deepEqual(signs({ blockchain_grpcAddress: '' }), ['embedded_chain']);
  for (const key of ['kafka_blocksConfig', 'kafka_subtreesConfig', 'kafka_rejectedTxConfig'] as const) {
    assert.deepEqual(signs({ [key]: 'memory://embedded/x' }), ['memory_topics'], key);
    const [island] = islandsOf(settingsOf({ ...SERVICES, [key]: ' MEMORY://embedded/x' }));
    assert.ok(island?.message.startsWith(`${key}: `), island?.message);
  }
  assert.deepEqual(signs({ p2p_bootstrap_peers: [] }), ['no_bootstrap']);
  assert.deepEqual(signs({ p2p_bootstrap_peers: [], p2p_enable_mdns: true }), []);
  const peer = '/ip4/203.0.113.7/tcp/9905/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  assert.deepEqual(signs({ p2p_bootstrap_peers: [], p2p_static_peers: [peer] }), []);
  assert.deepEqual(signs({ p2p_bootstrap_peers: [], p2p_bootstrapAddresses: [peer] }), ['no_bootstrap']);
  assert.deepEqual(
    signs({ p2p_generation: 'first', p2p_bootstrap_peers: [], p2p_bootstrapAddresses: [peer] }),
    [],
  );
  const all = signs(
    { blockchain_grpcAddress: '', kafka_blocksConfig: 'memory://embedded/blocks', p2p_bootstrap_peers: [] },
    { context: 'operator', files: [] },
  );
  assert.deepEqual(all, ['no_settings_file', 'embedded_chain', 'memory_topics', 'no_bootstrap']);
});

test('a context of a real node tells of it too, on a network of development, where nobody is to be called', () => {
  const alone: SettingChanges = {
    network: 'regtest',
    blockchain_grpcAddress: '',
    kafka_blocksConfig: 'memory://embedded/blocks',
    p2p_bootstrap_peers: [],
  };
  assert.deepEqual(signs(alone), ['embedded_chain', 'memory_topics']);
  assert.deepEqual(signs({ network: 'regtest', p2p_bootstrap_peers: [] }), []);
  assert.deepEqual(signs({ network: 'regtest' }, { context: 'docker.m', files: [] }), ['no_settings_file']);
  for (const context of ['dev', 'dev.system.test', 'test']) {
    assert.deepEqual(signs(alone, { context, files: [] }), [], context);
  }
  assert.deepEqual(signs(alone, {}), []);
  assert.deepEqual(signs(alone, { context: 'developer', files: ['x'] }), ['embedded_chain', 'memory_topics']);
});

test('p2p_require_services: true is one line that refuses, false says nothing', () => {
  const alone: SettingChanges = { ...SERVICES, blockchain_grpcAddress: '', p2p_bootstrap_peers: [] };
  const problems = settingsProblems(settingsOf({ ...alone, p2p_require_services: 'true' }));
  assert.equal(problems.length, 1);
  assert.match(
    String(problems),
    /^p2p_require_services: is true, .*blockchain_grpcAddress.*p2p_bootstrap_peers/,
  );
  assert.deepEqual(islandProblems(settingsOf({ ...SERVICES, p2p_require_services: 'true' }), IN_CONTEXT), []);
  assert.deepEqual(islandProblems(settingsOf(alone), IN_CONTEXT), []);
  assert.deepEqual(signs({ ...alone, p2p_require_services: 'false' }), []);
  // What could not be read is at its default, and of that nothing is concluded.
  const unread = new Set(['blockchain_grpcAddress']);
  assert.deepEqual(settingsProblems(settingsOf({ ...alone, p2p_require_services: 'true' }), unread), []);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsProblems } from '../../../src/main/preflight/settings.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { loadSettings } from '../../../src/shared/settings/load.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

const PEER = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
const problemsOf = (changes: SettingChanges) => settingsProblems(settingsOf(changes));

test('the files of gRPC are read before anything is built, and must fit', async (context) => {
  const directory = temporaryDirectory(context);
  const garbage = join(directory, 'garbage.pem');
  writeFileSync(garbage, 'nonsense');
  assert.deepEqual(problemsOf({ security_level_grpc: 1 }), [
    'server_certFile: needed at security_level_grpc 1',
    'server_keyFile: needed at security_level_grpc 1',
  ]);
  assert.deepEqual(problemsOf({ security_level_grpc: 1, p2p_grpcListenAddress: '' }), [], 'not offered');
  const bad = problemsOf({ security_level_grpc: 1, server_certFile: garbage, server_keyFile: garbage });
  assert.deepEqual(
    bad.map((line) => line.split(':', 1)[0]),
    ['server_certFile', 'server_keyFile'],
  );
});

test('each bad entry of a list is told once, and the good ones are not', (context) => {
  const directory = temporaryDirectory(context);
  const env = {
    p2p_bootstrap_peers: `/ip4/203.0.113.7/tcp/1|nonsense|/ip4/203.0.113.7/tcp/1/p2p/${PEER}`,
    p2p_advertise_addresses: '/ip4/203.0.113.7|203.0.113.7|203.0.113.7:1',
    p2p_port: '0',
  };
  assert.throws(
    () => loadSettings({ env, cwd: directory, programDirectory: directory }, settingsProblems),
    (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.deepEqual(
        error.problems.map((line) => /^[^:]*: "[^"]*"/.exec(line)?.[0]),
        [
          'p2p_bootstrap_peers: "/ip4/203.0.113.7/tcp/1"',
          'p2p_bootstrap_peers: "nonsense"',
          'p2p_advertise_addresses: "203.0.113.7"',
        ],
      );
      return true;
    },
  );
});

test('of a key that could not be read nothing is concluded', () => {
  const settings = settingsOf({ network: 'mainnet', p2p_embedded_mining_interval: 1000 });
  assert.match(settingsProblems(settings).join(), /^p2p_embedded_mining_interval: .* not on mainnet$/);
  assert.deepEqual(settingsProblems(settings, new Set(['network'])), []);
});

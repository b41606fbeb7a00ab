import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { openChannel } from '../../../src/shared/grpc/channel.js';
import { parseServiceAddress } from '../../../src/shared/net/listen-address.js';
import { settingsOf } from '../../support/settings.js';

const targetOf = (address: string) => openChannel(parseServiceAddress(address), settingsOf()).target;

test('host:port and k8s:/// addresses become names to resolve', () => {
  assert.equal(targetOf('blockchain:8087'), 'dns:///blockchain:8087');
  assert.equal(targetOf('k8s:///blockchain.ns:8087'), 'dns:///blockchain.ns:8087');
  assert.equal(targetOf('[::1]:8087'), 'dns:///[::1]:8087');
});

test('the schemes and forms of Go’s resolvers become the name that the cluster answers for', () => {
  const pod = 'dns:///blockchain.node.svc.cluster.local:8087';
  for (const address of [
    'k8s:///blockchain.node.svc.cluster.local:8087',
    'k8s://blockchain.node.svc.cluster.local:8087',
    'kubernetes:///blockchain.node.svc.cluster.local:8087',
    'dns:///blockchain.node.svc.cluster.local:8087',
    'passthrough:///blockchain.node.svc.cluster.local:8087',
  ])
    assert.equal(targetOf(address), pod, address);
  assert.equal(targetOf('k8s://node/blockchain:8087'), 'dns:///blockchain.node:8087');
  // A host of that name, not a scheme.
  assert.equal(targetOf('dns:8087'), 'dns:///dns:8087');
});

test('an address that is none is refused', () => {
  for (const address of [
    '',
    'host',
    ':8087',
    'host:0',
    'host:65536',
    'http://host:1',
    'a b:1',
    '::1:80',
    'h:1/x',
    'k8s:///blockchain.node',
    'k8s:///blockchain.node:grpc',
    'dns://9.9.9.9/blockchain:8087',
    'unix:///run/blockchain.sock',
  ]) {
    assert.throws(() => targetOf(address), RangeError, address);
  }
});

test('every TLS file that is missing is named at once', () => {
  const settings = settingsOf({ security_level_grpc: 3, grpc_ca_file: '/nowhere/ca.pem' });
  assert.throws(
    () => openChannel(parseServiceAddress('blockchain:8087'), settings),
    (error) => {
      assert.ok(error instanceof ConfigurationError);
      const keys = error.problems.map((problem) => problem.split(':')[0]);
      assert.deepEqual(keys, ['grpc_cert_file', 'grpc_key_file', 'grpc_ca_file']);
      return true;
    },
  );
});

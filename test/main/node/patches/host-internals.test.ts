import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestNode } from '../../../support/node.js';

test('what is patched of a host is what its libraries use', async (context) => {
  const { node } = await createTestNode(context, { settings: { p2p_dht_mode: 'server' } });
  const host = node.inspect().host as any;
  const { components, services } = host;
  assert.equal(components.peerStore, host.peerStore, 'the addresses of a peer are bounded for everybody');
  assert.equal(typeof components.addressManager.confirmObservedAddr, 'function');
  for (const method of ['addProvider', 'getProviders', 'removeProvider']) {
    assert.equal(typeof services.dht.providers[method], 'function', method);
  }
  for (const part of ['contentFetching', 'contentRouting', 'rpc']) assert.ok(services.dht[part], part);
  assert.equal(services.dht.contentRouting.providers, services.dht.providers);
  assert.equal(services.identify.host.protocolVersion, '/teranode/bitcoin/regtest/1.0.0');
  assert.equal(services.identifyPush.host.protocolVersion, '/teranode/bitcoin/regtest/1.0.0');
});

/** What else reaches into a library, beside the patches that have a test of their own: each fails here when its ground shifts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestsOf, libraryFolder } from '../../../support/library-source.js';
import { createTestNode } from '../../../support/node.js';

test('what gossip.ts and peer-exchange.ts lean on is as it was', () => {
  assert.deepEqual(
    digestsOf(libraryFolder('@chainsafe/libp2p-gossipsub'), {
      handleReceivedRpc: ['gossipsub.js', 'async handleReceivedRpc('],
      sendRpc: ['gossipsub.js', 'sendRpc('],
      acceptFrom: ['gossipsub.js', 'acceptFrom('],
      createInboundStream: ['gossipsub.js', 'createInboundStream('],
      handlePeerReadStreamError: ['gossipsub.js', 'handlePeerReadStreamError('],
      messageCache: ['message-cache.js'],
      promises: ['tracer.js'],
    }),
    {
      handleReceivedRpc: '419bda9088e6b0d3',
      sendRpc: '22a73e17f08dcbff',
      acceptFrom: 'f6b691261e8c9e2b',
      createInboundStream: 'b02d02e700cce0f1',
      handlePeerReadStreamError: 'ed969137c04195dc',
      messageCache: 'a01755c5db810a2c',
      promises: '31113e048dd09dbd',
    },
  );
});

test('what host.ts, its addresses, traffic.ts and admission.ts lean on is as it was', () => {
  assert.deepEqual(
    {
      ...digestsOf(libraryFolder('libp2p'), {
        confirmObservedAddr: ['address-manager/index.js', 'confirmObservedAddr('],
        getAddresses: ['address-manager/index.js', 'getAddresses('],
        upgrader: ['upgrader.js'],
        connection: ['connection.js'],
        onDisconnect: ['connection-manager/index.js', 'onDisconnect('],
      }),
      ...digestsOf(libraryFolder('@libp2p/peer-store'), { peerStore: ['index.js'] }),
    },
    {
      confirmObservedAddr: '87ca594612922a38',
      getAddresses: '85eb37d2be56f02f',
      upgrader: '7384461023cee236',
      connection: 'c372d958d88994c1',
      onDisconnect: 'f2eb204d696fb588',
      peerStore: 'a0cc5ac1a25783a5',
    },
  );
});

test('what dht-bounds.ts leans on is as it was', () => {
  assert.deepEqual(
    digestsOf(libraryFolder('@libp2p/kad-dht'), {
      providers: ['providers.js'],
      onIncomingStream: ['rpc/index.js', 'async onIncomingStream('],
    }),
    {
      providers: 'ce6ccc040b7a5162',
      onIncomingStream: 'c43ae834281bca97',
    },
  );
});

test('what hole-punching.ts, port-mapping.ts and router-discovery.ts lean on is as it was', () => {
  assert.deepEqual(
    {
      ...digestsOf(libraryFolder('@libp2p/dcutr'), { dcutr: ['dcutr.js'] }),
      ...digestsOf(libraryFolder('@libp2p/tcp'), { tcp: ['tcp.js'] }),
      ...digestsOf(libraryFolder('@achingbrain/nat-port-mapper'), {
        gateway: ['upnp/device.js'],
        discovery: ['upnp/discovery.js'],
      }),
      ...digestsOf(libraryFolder('@achingbrain/ssdp'), { ssdp: ['index.js'] }),
    },
    {
      dcutr: '48e32f29bac36a00',
      tcp: 'ba287da9bcab600e',
      gateway: 'bbb2b6e18a5e2a35',
      discovery: '0c4261c6b359f3a0',
      ssdp: 'bcc7a32145b66f9c',
    },
  );
});

test('what is laid on the host’s parts is laid on those that the libraries use', async (context) => {
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

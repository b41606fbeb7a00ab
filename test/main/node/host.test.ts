import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { passthroughMapper } from '@libp2p/kad-dht';
import { peerIdFromString } from '@libp2p/peer-id';
import { topicNames } from '../../../src/main/node/gossip/service.js';
import { discoverers, type Host } from '../../../src/main/node/host.js';
import { messageId, messageIdText } from '../../../src/main/node/messages/message-id.js';
import { block, MESSAGE_KINDS, subtree } from '../../../src/shared/messages/index.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY, type TestNode } from '../../support/node.js';
import { createPeer } from '../../support/peer.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

/** The node's libp2p, to look at what was set. */
function hostOf({ node }: TestNode): Host & { components: Record<string, any> } {
  const { host } = node.inspect();
  return host as never;
}

test('everything that libp2p needs to be told is told', async (context) => {
  const test = await createTestNode(context, { settings: { p2p_dht_mode: 'server' } });
  const { components, services } = hostOf(test);
  const { reconnectQueue, maxConnections } = components.connectionManager;
  assert.equal(reconnectQueue.retries, Number.POSITIVE_INFINITY);
  assert.equal(reconnectQueue.retryInterval, 1000);
  assert.equal(reconnectQueue.backoffFactor, 1);
  // What comes in is limited by the gater, which knows who is exempt and counts.
  const { inboundConnectionRateLimiter, maxIncomingPendingConnections } = components.connectionManager;
  for (const limit of [maxConnections, maxIncomingPendingConnections, inboundConnectionRateLimiter.points]) {
    assert.equal(limit, Number.POSITIVE_INFINITY);
  }
  assert.throws(() => components.connectionMonitor, /not set/, 'peer-pings.ts does its work');
  const [muxer] = [...components.upgrader.streamMuxers.values()];
  assert.equal(muxer._init.streamOptions.maxStreamWindowSize, 262_144);
  assert.equal(components.peerStore.store.maxAddressAge, 7 * 86_400_000);
  assert.equal(components.peerStore.store.maxPeerAge, 30 * 86_400_000);
  const gossip = services.pubsub as any;
  assert.equal(gossip.globalSignaturePolicy, 'StrictSign');
  assert.deepEqual([gossip.msgIdFn, gossip.msgIdToStrFn], [messageId, messageIdText]);
  assert.deepEqual([gossip.opts.allowPublishToZeroTopicPeers, gossip.opts.fallbackToFloodsub], [true, false]);
  assert.equal(gossip.opts.asyncValidation, true);
  assert.equal(gossip.opts.doPX, true);
  assert.deepEqual(
    Object.keys(gossip.opts.scoreParams.topics),
    topicNames(test.node.inspect().settings, MESSAGE_KINDS),
  );
  assert.deepEqual(
    [
      gossip.opts.scoreThresholds.gossipThreshold,
      gossip.opts.scoreThresholds.publishThreshold,
      gossip.opts.scoreThresholds.graylistThreshold,
    ],
    [-2000, -4000, -8000],
  );
  assert.equal(await services.dht?.getMode(), 'server');
  assert.deepEqual(test.node.addresses().length, 1);
});

test('the first generation joins a private network with a DHT of its own prefix and no peer exchange', async (context) => {
  const test = await createTestNode(context, { generation: 'first' });
  const { components, services } = hostOf(test);
  assert.ok(components.connectionProtector);
  assert.equal((services.pubsub as any).opts.doPX, false);
  const dht = services.dht as any;
  assert.deepEqual([await dht.getMode(), dht.peerInfoMapper], ['server', passthroughMapper]);
  const peer = await createPeer({ context, topics: [], sharedKey: SHARED_KEY });
  await peer.dial(test.address);
  // A stream tells its own protocol before identify tells the rest.
  const wanted = ['/meshsub/1.2.0', '/teranode/kad/1.0.0'];
  await waitFor(
    async () => {
      const { protocols } = await peer.libp2p.peerStore.get(peerIdFromString(test.node.peerId));
      return wanted.every((protocol) => protocols.includes(protocol));
    },
    { what: wanted.join(' and ') },
  );
});

test('identify tells the network, agent and protocols', async (context) => {
  const test = await createTestNode(context, { userAgent: 'teranode-p2p/9' });
  const peer = await createPeer({ context });
  await peer.dial(test.address);
  const { metadata, protocols } = await waitFor(async () => {
    const known = await peer.libp2p.peerStore.get(peerIdFromString(test.node.peerId));
    return known.metadata.has('ProtocolVersion') ? known : undefined;
  });
  assert.equal(Buffer.from(metadata.get('ProtocolVersion')!).toString(), '/teranode/bitcoin/regtest/1.0.0');
  assert.equal(Buffer.from(metadata.get('AgentVersion')!).toString(), 'teranode-p2p/9');
  assert.ok(protocols.includes('/meshsub/1.2.0') && protocols.includes('/ipfs/ping/1.0.0'));
  assert.ok(!protocols.some((protocol) => protocol.includes('/kad/')), 'the DHT is off as shipped');
});

test('a silent node tells no address and takes no part in the DHT', async (context) => {
  const test = await createTestNode(context, {
    settings: { listen_mode: 'silent', p2p_dht_mode: 'server' },
  });
  assert.deepEqual(test.node.addresses(), []);
  assert.ok(Number(test.node.port) > 0, 'it listens all the same');
  assert.equal(hostOf(test).services.dht, undefined);
});

test('a silent node looks for others by multicast DNS without answering for itself', () => {
  const told = (listen_mode: 'full' | 'silent') =>
    discoverers(settingsOf({ p2p_enable_mdns: true, listen_mode })).map(
      (discoverer) => (discoverer({ logger: { forComponent: () => () => {} } } as never) as any).broadcast,
    );
  assert.deepEqual([told('full'), told('silent')], [[true], [false]]);
  assert.deepEqual(discoverers(settingsOf({})), []);
});

test('the port is the one listened on, also where another is advertised', async (context) => {
  const test = await createTestNode(context, {
    settings: { p2p_advertise_addresses: ['/dns4/node.example.org/tcp/443'] },
  });
  assert.match(test.node.addresses().join(), /node\.example\.org\/tcp\/443/);
  assert.ok(![undefined, 443].includes(test.node.port));
});

test('static peers are direct peers', async (context) => {
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const test = await createTestNode(context, { settings: { p2p_static_peers: [peer.address] } });
  assert.deepEqual([...(hostOf(test).services.pubsub as any).direct], [peer.id]);
  await waitFor(() => test.node.peers().some(({ id }) => id === peer.id), { what: 'the static peer' });
  const [seen] = test.node.peers();
  assert.deepEqual([seen!.trusted, seen!.configured], [true, true]);
});

test('two nodes in one process hear each other and keep their figures apart', async (context) => {
  const one = await createTestNode(context, { verdict: 'accept' });
  const two = await createTestNode(context, { verdict: 'accept' });
  await two.node.connect(one.address);
  await waitFor(async () => (await two.node.publish(BLOCK, Buffer.from('two'))) === 1);
  await waitFor(() => one.heard.length > 0);
  assert.equal(await one.metric('teranode_p2p_node_published_total'), 0);
  assert.ok((await two.metric('teranode_p2p_node_published_total')) > 0);
  assert.equal(await two.metric('teranode_p2p_node_heard_total'), 0);
  assert.ok((await one.metric('teranode_p2p_node_signatures_total', { result: 'holds' })) > 0);
  for (const { registry } of [one, two])
    assert.match(await registry.metrics(), /libp2p_data_transfer_bytes_total/);
  await one.node.stop();
  await waitFor(() => two.node.peers().length === 0);
  assert.equal((await one.node.health()).status, 503);
  assert.equal((await two.node.health()).status, 200);
  await assert.rejects(one.node.publish(BLOCK, Buffer.from('x')), /not running/);
});

test('a taken port is an error at start, with relays configured too', async (context) => {
  const server = createServer().listen(0, '127.0.0.1');
  context.after(() => server.close());
  await waitFor(() => server.listening);
  const { port } = server.address() as { port: number };
  const relay = `/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp`;
  for (const p2p_relay_peers of [[], [relay]]) {
    const { node } = await createTestNode(context, {
      start: false,
      settings: { p2p_port: port, p2p_relay_peers },
    });
    await assert.rejects(node.start(), new RegExp(String(port)));
    assert.equal((await node.health()).status, 503);
  }
});

test('peers and their addresses survive a restart in the datastore', async (context) => {
  const test = await createTestNode(context);
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await test.node.connect(peer.address);
  const { host } = test.node.inspect();
  await waitFor(async () => (await host!.peerStore.get(peer.libp2p.peerId)).protocols.length > 0);
  await test.node.stop();
  await test.node.start();
  const again = test.node.inspect().host!;
  const { addresses } = await again.peerStore.get(peer.libp2p.peerId);
  assert.ok(addresses.some(({ multiaddr }) => peer.address.startsWith(multiaddr.toString())));
});

test('topics are named by prefix and setting, in the order of the kinds', () => {
  const names = topicNames(settingsOf({ p2p_block_topic: 'b' }), [subtree, block]);
  const prefix = 'teranode/bitcoin/1.0.0/mainnet';
  assert.deepEqual(names, [`${prefix}-subtree`, `${prefix}-b`]);
});

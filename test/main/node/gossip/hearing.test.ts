import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor, within } from '../../../support/wait.js';

for (const generation of ['current', 'first'] as const) {
  const secret = generation === 'first' ? { sharedKey: SHARED_KEY } : {};

  test(`messages cross both ways in the ${generation} generation`, async (context) => {
    const { node, heard, address } = await createTestNode(context, {
      generation,
      verdict: 'accept',
      settings: generation === 'first' ? { p2p_topic_prefix: 'teranode/bitcoin/1.0.0/regtest' } : {},
    });
    const peer = await createPeer({ context, topics: [BLOCK_TOPIC], ...secret });
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
    await peer.publish(BLOCK_TOPIC, 'to the node');
    await waitFor(() => heard.length === 1, { what: 'the message at the node' });
    const [message] = heard;
    assert.equal(Buffer.from(message!.data).toString(), 'to the node');
    assert.deepEqual([message!.author, message!.source, message!.kind], [peer.id, peer.id, BLOCK]);
    assert.equal(Buffer.from(message!.id, 'latin1').toString('hex').slice(0, 8), '00240801');
    assert.equal(message!.id.length, 46);

    await waitFor(async () => (await node.publish(BLOCK, Buffer.from('from the node'))) === 1);
    await waitFor(() => peer.heard.length > 0, { what: 'the message at the peer' });
    assert.equal(Buffer.from(peer.heard[0]!.data).toString(), 'from the node');
    assert.equal(peer.heard[0]!.author, node.peerId);
  });
}

test('nothing is forwarded before accept, and it is forwarded then', async (context) => {
  const { node, heard, address } = await createTestNode(context);
  const author = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const third = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
  for (const peer of [author, third]) {
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
  }
  await waitFor(() => node.peers().length === 2);
  await author.publish(BLOCK_TOPIC, 'one');
  await author.publish(BLOCK_TOPIC, 'two');
  await waitFor(() => heard.length === 2);
  assert.equal(third.heard.length, 0);
  assert.equal(node.pending.now, 2);
  node.report(heard[0]!.id, 'ignore');
  node.report(heard[1]!.id, 'accept');
  await waitFor(() => third.heard.length > 0, { what: 'the accepted message at the third peer' });
  assert.deepEqual(
    third.heard.map(({ data, author: from }) => [Buffer.from(data).toString(), from]),
    [['two', author.id]],
  );
  assert.equal(node.pending.now, 0);
});

test('a message that GossipSub forgot while it awaited its verdict is heard and pending once', async (context) => {
  const { node, heard, address } = await createTestNode(context, {
    settings: { p2p_heartbeat_interval: 60_000 },
  });
  const author = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await author.dial(address);
  await author.sees(node.peerId, BLOCK_TOPIC);
  const { host } = node.inspect() as object as {
    host: { services: { pubsub: { seenCache: { clear(): void }; fastMsgIdCache: { clear(): void } } } };
  };
  const { seenCache, fastMsgIdCache } = host.services.pubsub;
  const message = await author.sign(BLOCK_TOPIC, 'again');
  author.send(node.peerId, [message]);
  await waitFor(() => heard.length === 1);
  seenCache.clear();
  fastMsgIdCache.clear();
  author.send(node.peerId, [message, await author.sign(BLOCK_TOPIC, 'after it')]);
  await waitFor(() => heard.some(({ data }) => Buffer.from(data).toString() === 'after it'));
  assert.equal(heard.length, 2);
  for (const { id } of heard) node.report(id, 'accept');
  assert.equal(node.pending.now, 0);
});

test('publishing with nobody connected is no error', async (context) => {
  const { node } = await createTestNode(context);
  assert.equal(await node.publish(BLOCK, Buffer.from('anyone?')), 0);
});

test('what is said on topics of other networks is not heard', async (context) => {
  const { node, heard, address } = await createTestNode(context);
  const peer = await createPeer({ context, topics: ['teranode/bitcoin/1.0.0/mainnet-block', BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  await waitFor(() => node.peers()[0]?.agent);
  peer.send(node.peerId, [
    await peer.sign('teranode/bitcoin/1.0.0/mainnet-block', 'elsewhere'),
    await peer.sign(BLOCK_TOPIC, 'here'),
  ]);
  await waitFor(() => heard.length > 0);
  assert.deepEqual(
    heard.map(({ data }) => Buffer.from(data).toString()),
    ['here'],
  );
});

test('a connection with another pre-shared key fails and says what that may mean', async (context) => {
  const { node } = await createTestNode(context, { generation: 'first' });
  const stranger = await createPeer({ context, sharedKey: 'ee'.repeat(32) });
  await assert.rejects(within(node.connect(stranger.address), 15_000, 'the dial'), /another p2p_shared_key/);
  await assert.rejects(node.connect('/ip4/127.0.0.1/tcp/1'), RangeError);
  await assert.rejects(node.connect('nonsense'), RangeError);
  assert.equal(node.peers().length, 0);
});

test('a peer is described with what was counted of it', async (context) => {
  const { node, heard, address } = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC], agent: 'somebody/1.2' });
  const events: string[] = [];
  node.on('connected', (id) => events.push(`+${id}`));
  node.on('disconnected', (id) => events.push(`-${id}`));
  const before = Date.now();
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  await peer.publish(BLOCK_TOPIC, 'x'.repeat(10_000));
  await waitFor(() => heard.length === 1);
  const seen = await waitFor(() => node.peers().find(({ agent }) => agent !== ''));
  assert.equal(seen.id, peer.id);
  assert.equal(seen.agent, 'somebody/1.2');
  assert.equal(seen.protocolVersion, 'ipfs/0.1.0');
  assert.equal(seen.inbound, true);
  assert.match(seen.address, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/);
  assert.ok(seen.connectedAt >= before && seen.lastReceive >= before && seen.lastSend >= before);
  assert.ok(seen.bytesReceived > 10_000n && seen.bytesSent > 0n);
  assert.equal(seen.messagesReceived, 1);
  assert.deepEqual([seen.trusted, seen.configured], [false, false]);
  assert.equal(await node.closeMatching(({ address: ip }) => ip === '127.0.0.1'), 1);
  await waitFor(() => events.length === 2);
  assert.deepEqual(events, [`+${peer.id}`, `-${peer.id}`]);
});

test('one message on the direct stream goes from node to node and is not gossip', async (context) => {
  const one = await createTestNode(context);
  const two = await createTestNode(context);
  const direct: string[] = [];
  two.node.on('direct', ({ source, data }) => direct.push(`${source} ${Buffer.from(data)}`));
  await one.node.connect(two.address);
  await one.node.sendDirect(two.node.peerId, Buffer.from('{"Height":1}'));
  await waitFor(() => direct.length === 1);
  assert.deepEqual(direct, [`${one.node.peerId} {"Height":1}`]);
  assert.equal(two.heard.length, 0);
  assert.equal(await one.node.disconnect(two.node.peerId), true);
  assert.equal(await one.node.disconnect(two.node.peerId), false);
});

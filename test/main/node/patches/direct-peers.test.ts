import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, BLOCK_TOPIC, createTestNode, type TestNode } from '../../../support/node.js';
import { createPeer, type Peer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

/** Longer than any test: what comes sooner came at once. */
const HEARTBEAT_MS = 60_000;

const gossipOf = ({ node }: TestNode) => node.inspect().host!.services.pubsub;
const meshOf = (peer: Peer) =>
  (peer.libp2p.services.pubsub as unknown as { getMeshPeers(topic: string): string[] }).getMeshPeers(
    BLOCK_TOPIC,
  );

for (const asks of [true, false]) {
  test(`a block of a static peer that does not have us as a direct peer comes at once, ${asks ? 'where it asks us into its mesh' : 'where it does not ask, as one whose mesh is full'}`, async (context) => {
    const peer = await createPeer({
      context,
      topics: [BLOCK_TOPIC],
      heartbeatMs: HEARTBEAT_MS,
      floodPublish: false,
    });
    if (!asks) (peer.libp2p.services.pubsub as any).graftOnSubscribe = () => false;
    const test = await createTestNode(context, {
      verdict: 'accept',
      settings: { p2p_static_peers: [peer.address] },
    });
    // Both: its own is from before it knows whether it may.
    await waitFor(() => gossipOf(test).getMeshPeers(BLOCK_TOPIC).includes(peer.id), {
      what: 'it in our mesh',
    });
    await waitFor(() => meshOf(peer).includes(test.node.peerId), { what: 'us in its mesh' });
    assert.ok(gossipOf(test).direct.has(peer.id), 'it is a direct peer all the same');
    await peer.publish(BLOCK_TOPIC, 'block');
    await waitFor(() => test.heard.length === 1, { what: 'its block' });
    await test.node.publish(BLOCK, Buffer.from('ours'));
    await waitFor(() => peer.heard.length === 1, { what: 'ours at the peer' });
  });
}

test('a static peer that has us as a direct peer is asked once, and both send everything on', async (context) => {
  const test = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({
    context,
    topics: [BLOCK_TOPIC],
    heartbeatMs: HEARTBEAT_MS,
    floodPublish: false,
    directPeers: [test.node.peerId],
  });
  const gossip = gossipOf(test);
  const pruned: string[] = [];
  let beats = 0;
  gossip.addEventListener('gossipsub:prune', ({ detail }) => pruned.push(detail.topic));
  gossip.addEventListener('gossipsub:heartbeat', () => beats++);
  // As one that is configured.
  gossip.direct.add(peer.id);
  await test.node.connect(peer.address);
  await waitFor(() => pruned.length > 0, { what: 'its answer' });
  const before = beats;
  await waitFor(() => beats > before + 5, { what: 'some heartbeats' });
  assert.deepEqual(pruned, [BLOCK_TOPIC]);
  assert.deepEqual(gossip.getMeshPeers(BLOCK_TOPIC), []);
  assert.ok(gossip.direct.has(peer.id));
  await peer.publish(BLOCK_TOPIC, 'block');
  await waitFor(() => test.heard.length === 1, { what: 'its block' });
  await test.node.publish(BLOCK, Buffer.from('ours'));
  await waitFor(() => peer.heard.length === 1, { what: 'ours at the peer' });
});

test('two nodes of this kind that have one another as static peers are in one another’s mesh', async (context) => {
  const one = await createTestNode(context, { verdict: 'accept' });
  const two = await createTestNode(context, {
    verdict: 'accept',
    settings: { p2p_static_peers: [one.address] },
  });
  gossipOf(one).direct.add(two.node.peerId);
  for (const [node, other] of [
    [one, two],
    [two, one],
  ] as const) {
    await waitFor(() => gossipOf(node).getMeshPeers(BLOCK_TOPIC).includes(other.node.peerId), {
      what: 'the mesh',
    });
  }
  await one.node.publish(BLOCK, Buffer.from('text'));
  await waitFor(() => two.heard.length === 1);
});

test('the first generation has no direct peers', async (context) => {
  const test = await createTestNode(context, {
    generation: 'first',
    settings: {
      p2p_static_peers: ['/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt'],
    },
  });
  assert.equal(gossipOf(test).direct.size, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { BLOCK, BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import {
  acquainted,
  connectionsTo,
  createPair,
  eachOf,
  gossipOf,
  heartbeats,
  hostOf,
  inboundOf,
  outboundOf,
  speakBothWays,
} from '../../../support/pair.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const MISSING = 'teranode_p2p_node_gossip_streams_missing';
const OPENED = 'teranode_p2p_node_gossip_streams_opened_total';
const GOSSIP = ['/meshsub/1.2.0', '/meshsub/1.1.0', '/meshsub/1.0.0'];

for (const which of ['outbound', 'inbound'] as const) {
  test(`a gossip stream that is reset, ${which} to who resets it, comes back while the connection stays, and nothing is forgotten`, async (context) => {
    const pair = await createPair(context);
    const [one, two] = pair;
    await one.node.connect(two.address);
    await acquainted(pair);
    await speakBothWays(pair);
    const [connection] = connectionsTo(one, two.node.peerId);
    const left: string[] = [];
    for (const each of pair) {
      const { score } = gossipOf(each);
      const removePeer = score.removePeer.bind(score);
      score.removePeer = (id) => {
        left.push(id);
        removePeer(id);
      };
    }
    for (const [at, { node }] of eachOf(pair)) {
      await waitFor(() => gossipOf(at).getMeshPeers(BLOCK_TOPIC).includes(node.peerId), { what: 'the mesh' });
    }
    // What identify tells at first would bring streams back by itself.
    await heartbeats(one, 20);
    for (let count = 0; count < 3; count++) {
      const [ours, theirs] =
        which === 'outbound'
          ? [outboundOf(one, two.node.peerId), inboundOf(two, one.node.peerId)]
          : [inboundOf(one, two.node.peerId), outboundOf(two, one.node.peerId)];
      ours?.abort(new Error('test'));
      await waitFor(() => theirs?.status === 'reset', { what: 'the other end to know' });
      await speakBothWays(pair);
      await acquainted(pair);
      for (const [at, { node }] of eachOf(pair)) {
        assert.deepEqual(gossipOf(at).getMeshPeers(BLOCK_TOPIC), [node.peerId]);
        assert.deepEqual(gossipOf(at).getSubscribers(BLOCK_TOPIC).map(String), [node.peerId]);
      }
    }
    assert.equal(connection?.status, 'open');
    assert.deepEqual(left, []);
  });
}

test('when the connection with the gossip streams breaks they go on over the one that is left', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const { peerId } = node.node;
  // The later one is the one to keep; js-libp2p by itself stays with the first, so that both remain.
  const dials = [
    () => peer.libp2p.dial(multiaddr(node.address), { force: true }),
    () => hostOf(node).dial(multiaddr(peer.address), { force: true }),
  ];
  if (peer.id < peerId) dials.reverse();
  await dials[0]?.();
  await peer.sees(peerId, BLOCK_TOPIC);
  await waitFor(() => inboundOf(node, peer.id)?.status === 'open', { what: 'its stream' });
  const [first] = connectionsTo(node, peer.id);
  await dials[1]?.();
  // Both ends have made up their minds.
  await heartbeats(node, 20);
  assert.equal(connectionsTo(node, peer.id).length, 2);
  first?.abort(new Error('test'));
  let said = 0;
  await waitFor(
    async () => {
      await peer.publish(BLOCK_TOPIC, `its ${said++}`);
      await node.node.publish(BLOCK, Buffer.from(`ours ${said}`));
      return node.heard.length > 0 && peer.heard.length > 0;
    },
    { what: 'both to be heard', everyMs: 100 },
  );
});

test('a js-libp2p peer whose own stream is reset gets a new one of ours, upon which it opens its own', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(node.address);
  await waitFor(() => inboundOf(node, peer.id)?.status === 'open', { what: 'its stream' });
  await heartbeats(node, 20);
  inboundOf(node, peer.id)?.abort(new Error('test'));
  let missing = 0;
  let said = 0;
  await waitFor(
    async () => {
      await peer.publish(BLOCK_TOPIC, `said ${said++}`);
      missing = Math.max(missing, await node.metric(MISSING, { direction: 'inbound' }).catch(() => 0));
      return node.heard.length > 0;
    },
    { what: 'it to be heard again', everyMs: 100 },
  );
  assert.deepEqual(
    [
      missing,
      await node.metric(MISSING, { direction: 'inbound' }),
      await node.metric(OPENED, { reason: 'renewed' }),
    ],
    [1, 0, 1],
  );
});

test('a peer that opens one stream after another is not forgotten', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(node.address);
  await peer.sees(node.node.peerId, BLOCK_TOPIC);
  await waitFor(() => inboundOf(node, peer.id)?.status === 'open', { what: 'its stream' });
  for (let count = 0; count < 3; count++) {
    const before = inboundOf(node, peer.id);
    const [connection] = peer.libp2p.getConnections();
    await connection!.newStream(GOSSIP);
    await waitFor(() => inboundOf(node, peer.id) !== before, { what: 'the next one to take its place' });
    await waitFor(() => before?.status !== 'open', { what: 'the one before to end' });
  }
  assert.equal(outboundOf(node, peer.id)?.status, 'open');
  assert.deepEqual(gossipOf(node).getSubscribers(BLOCK_TOPIC).map(String), [peer.id]);
});

test('a peer that resets each stream has us open fewer and fewer, and over a new connection one at once', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  let [reset, resets] = [0, true];
  for (const protocol of GOSSIP) {
    await peer.libp2p.handle(
      protocol,
      (stream) => {
        if (!resets) return;
        reset++;
        stream.abort(new Error('no'));
      },
      { force: true },
    );
  }
  const since = performance.now();
  await peer.dial(node.address);
  await waitFor(() => reset >= 5, { what: 'five streams' });
  const fifth = performance.now();
  const [first] = connectionsTo(node, peer.id);
  const seconds = (fifth - since) / 1000;
  assert.ok(
    seconds > 2.9,
    `five within ${seconds} s: three at once, one a second later, one two seconds after that`,
  );
  assert.equal(await node.metric(MISSING, { direction: 'outbound' }), 1);
  assert.match((await node.node.health()).message, /1 of them without a gossip stream/);
  await waitFor(() => reset >= 6, { what: 'a sixth' });
  const sixth = performance.now();
  resets = false;
  await peer.libp2p.dial(multiaddr(node.address), { force: true });
  first?.abort(new Error('test'));
  await waitFor(() => outboundOf(node, peer.id)?.status === 'open', { what: 'a stream that stays' });
  const pause = performance.now() - sixth;
  assert.ok(pause < 7_900, `${pause} ms: over the connection before it would have been eight seconds`);
});

test('a peer without a stream of its own for long is disconnected and dialled again, once', async (context) => {
  const node = await createTestNode(context, {
    verdict: 'accept',
    gossipStreams: { renewMs: 100, giveUpMs: 500 },
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  // As a Go node after its fourth try.
  (peer.libp2p.services.pubsub as any).createOutboundStream = async () => {};
  let connected = 0;
  peer.libp2p.addEventListener('connection:open', () => connected++);
  await node.node.connect(peer.address);
  await waitFor(() => connected === 2, { what: 'a second connection' });
  await heartbeats(node, 20);
  assert.equal(connected, 2);
  assert.equal(await node.metric('teranode_p2p_node_deaf_peers_total'), 1);
});

test('a crowd of deaf strangers makes ten lines and one more in ten seconds, a peer that the operator wrote down one of its own', async (context) => {
  const deaf = async () => {
    const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
    (peer.libp2p.services.pubsub as any).createOutboundStream = async () => {};
    return peer;
  };
  const named = await deaf();
  const { address, lines, metric } = await createTestNode(context, {
    verdict: 'accept',
    gossipStreams: { renewMs: 100, giveUpMs: 500 },
    settings: { p2p_static_peers: [`/ip4/127.0.0.1/tcp/1/p2p/${named.id}`] },
  });
  const counted = async (count: number) =>
    waitFor(async () => (await metric('teranode_p2p_node_deaf_peers_total')) === count, {
      what: `${count} to be counted`,
    });
  const since = performance.now();
  for (let count = 0; count < 14; count++) await (await deaf()).dial(address);
  await counted(14);
  await named.dial(address);
  await counted(15);
  const told = lines.filter(
    ({ level, msg }) => Number(level) >= 40 && String(msg).includes('without a gossip stream'),
  );
  const most = 11 + (performance.now() - since) / 10_000;
  assert.ok(told.length >= 11 && told.length <= most, `${told.length} lines`);
  assert.equal(told.at(-1)?.peer, named.id);
});

test('a stream that its peer does not read is ended soon after another has taken its place', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept', gossipStreams: { renewMs: 100 } });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(node.address);
  await peer.sees(node.node.peerId, BLOCK_TOPIC);
  await waitFor(() => inboundOf(node, peer.id)?.status === 'open', { what: 'its stream' });
  await heartbeats(node, 20);
  (peer.libp2p.services.pubsub as any).streamsInbound.get(node.node.peerId).rawStream.pause();
  const before = outboundOf(node, peer.id)!;
  for (let said = 0; said < 100 && before.writeBufferLength === 0; said++) {
    await node.node.publish(BLOCK, Buffer.alloc(100_000, String(said)));
  }
  assert.ok(before.writeBufferLength > 0, 'much that it does not read');
  inboundOf(node, peer.id)?.abort(new Error('test'));
  await waitFor(() => ![before, undefined].includes(outboundOf(node, peer.id)), { what: 'another stream' });
  await waitFor(() => before.status !== 'open', { what: 'the end of the one before' });
});

test('who does not answer when a stream is opened keeps nobody else from theirs', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const silent = await createPeer({ context, topics: [BLOCK_TOPIC] });
  let asked = 0;
  silent.libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    const { muxer, onIncomingStream } = connection as any;
    muxer.removeEventListener('stream', onIncomingStream);
    // It answers identify, which comes first, and nothing after it.
    muxer.addEventListener('stream', (event: CustomEvent) => {
      if (asked++ === 0) onIncomingStream(event);
    });
  });
  await node.node.connect(silent.address);
  await waitFor(() => asked > 1, { what: 'our stream to it' });
  const since = performance.now();
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(node.address);
  await waitFor(() => outboundOf(node, peer.id)?.status === 'open', { what: 'our stream to the other' });
  // Negotiation takes ten seconds to time out.
  assert.ok(performance.now() - since < 9_000, `${performance.now() - since} ms`);
});

test('a disconnection that is told late does not cost the peer that is back', async (context) => {
  const pair = await createPair(context);
  const [one, two] = pair;
  await one.node.connect(two.address);
  await acquainted(pair);
  const gossip = gossipOf(one);
  await gossip.onPeerDisconnected(gossip.peers.get(two.node.peerId)!);
  assert.ok(gossip.peers.has(two.node.peerId));
  await speakBothWays(pair);
});

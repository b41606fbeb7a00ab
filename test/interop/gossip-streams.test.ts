/** A Go node and this server's node with several connections to one another, and with gossip streams that are reset. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { asPeer } from '../support/branded.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, type TestNode } from '../support/node.js';
import { connectionsTo, heartbeats, hostOf, inboundOf, outboundOf } from '../support/pair.js';
import { waitFor } from '../support/wait.js';
import { GoPeer } from './peers.js';

const OPENED = 'teranode_p2p_node_gossip_streams_opened_total';

let spoken = 0;

/** Waits until each hears the other; what is published while a stream is away is gone, so it is said until it is heard. */
async function speakBothWays(node: TestNode, go: GoPeer): Promise<void> {
  const word = `word ${spoken++}:`;
  const isWord = (text: string) => text.includes(word);
  const heardByGo = () =>
    go.program.events.some(({ event, value }) => event === 'message' && isWord(JSON.stringify(value)));
  const heardHere = () => node.heard.some(({ data }) => isWord(Buffer.from(data).toString()));
  await waitFor(
    async () => {
      spoken++;
      if (!heardByGo())
        await node.node.publish(BLOCK, Buffer.from(JSON.stringify({ ours: `${word} ${spoken}` })));
      if (!heardHere()) await go.publish(BLOCK_TOPIC, { its: `${word} ${spoken}` });
      return heardByGo() && heardHere();
    },
    { what: 'each to hear the other', everyMs: 100, timeoutMs: 60_000 },
  );
}

/** Connected, each with a stream to the other, and past what comes right after that. */
async function meet(context: TestContext, giveUpMs?: number): Promise<{ node: TestNode; go: GoPeer }> {
  const node = await createTestNode(context, {
    verdict: 'accept',
    ...(giveUpMs === undefined ? {} : { gossipStreams: { giveUpMs } }),
  });
  const go = await GoPeer.start(context, { topics: [BLOCK_TOPIC], heartbeatMs: 200 });
  await node.node.connect(go.address);
  await speakBothWays(node, go);
  await heartbeats(node, 20);
  return { node, go };
}

test('a gossip stream with a Go node that is reset comes back, ours and its own, on the same connection', async (context) => {
  const { node, go } = await meet(context);
  const [connection] = connectionsTo(node, go.id);
  for (const streamOf of [outboundOf, inboundOf, outboundOf, inboundOf]) {
    const stream = streamOf(node, go.id);
    stream?.abort(new Error('test'));
    await waitFor(() => streamOf(node, go.id)?.status === 'open', { what: 'another stream' });
    await speakBothWays(node, go);
    await go.meshes(node.node.peerId, BLOCK_TOPIC);
  }
  assert.deepEqual(connectionsTo(node, go.id), [connection]);
});

test('a Go node that has given up on us is connected to anew', async (context) => {
  const { node, go } = await meet(context, 15_000);
  const [connection] = connectionsTo(node, go.id);
  // Four times it opens its stream again, later each time.
  await waitFor(
    () => {
      inboundOf(node, go.id)?.abort(new Error('test'));
      return connection?.status !== 'open';
    },
    { what: 'the connection to be closed', everyMs: 20, timeoutMs: 60_000 },
  );
  await speakBothWays(node, go);
  assert.equal(await node.metric('teranode_p2p_node_deaf_peers_total'), 1);
});

for (const first of ['Go', 'us'] as const) {
  test(`a Go node with two connections, the first dialled by ${first}, hears us and is heard, and nothing flaps`, async (context) => {
    const node = await createTestNode(context, { verdict: 'accept' });
    const go = await GoPeer.start(context, { topics: [BLOCK_TOPIC], heartbeatMs: 200 });
    await (first === 'Go' ? go.connect(node.address) : node.node.connect(go.address));
    await speakBothWays(node, go);
    for (let round = 0; round < 2; round++) {
      const second = await hostOf(node).dial(multiaddr(go.address), { force: true });
      await speakBothWays(node, go);
      // Longer than a connection that is not needed waits to be closed.
      await heartbeats(node, 60);
      const before = connectionsTo(node, go.id);
      const opened = await node.metric(OPENED);
      await heartbeats(node, 30);
      assert.deepEqual(connectionsTo(node, go.id), before, 'connections stay');
      assert.equal(await node.metric(OPENED), opened, 'streams stay');
      assert.ok(before.length >= 1 && before.length <= 2, `${before.length} connections`);
      await speakBothWays(node, go);
      // Streams or not, the older one breaks; where that was the last, both meet again.
      if (before.length > 1) {
        before.find((each) => each !== second)?.abort(new Error('test'));
        await speakBothWays(node, go);
      }
    }
    assert.equal(await node.metric('teranode_p2p_node_deaf_peers_total'), 0);
  });
}

test('a Go node and ours that dial one another at once hear one another, ten times', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const go = await GoPeer.start(context, { topics: [BLOCK_TOPIC], heartbeatMs: 200 });
  for (let round = 0; round < 10; round++) {
    await Promise.all([go.connect(node.address), node.node.connect(go.address)]);
    await speakBothWays(node, go);
    await node.node.disconnect(asPeer(go.id));
    await waitFor(async () => !(await go.connected()).includes(node.node.peerId), { what: 'the end' });
  }
});

/** Two nodes that dial one another at once, a thousand times, and what a bad network does to their streams and connections. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import {
  acquainted,
  connectionsTo,
  createPair,
  createStaticPair,
  eachOf,
  gossipOf,
  hostOf,
  inboundOf,
  meetAtOnce,
  oneConnectionLeft,
  outboundOf,
  part,
  speakBothWays,
} from '../support/pair.js';
import { waitFor } from '../support/wait.js';

test('two nodes that dial one another at once a thousand times keep one connection each time, and speak both ways', async (context) => {
  const pair = await createPair(context);
  let doubled = 0;
  for (let round = 0; round < 1000; round++) {
    if ((await meetAtOnce(pair)) > 1) doubled++;
    await oneConnectionLeft(pair);
    await speakBothWays(pair);
    await part(pair);
  }
  context.diagnostic(`${doubled} times with more than one connection`);
  assert.ok(doubled > 100, `only ${doubled} of a thousand times they had two connections`);
});

test('each other’s static peers find back to one connection two hundred times', async (context) => {
  const pair = await createStaticPair(context);
  for (let round = 0; round < 200; round++) {
    await acquainted(pair);
    const left = await oneConnectionLeft(pair);
    await speakBothWays(pair);
    left.abort(new Error('test'));
    await waitFor(() => left.status !== 'open', { what: 'the loss' });
  }
});

test('whatever happens to streams and connections, two nodes speak both ways again over one connection', async (context) => {
  const pair = await createStaticPair(context);
  // The same steps each time; minimal standard generator.
  let state = 20_260;
  const drawn = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  for (let round = 0; round < 150; round++) {
    // Beside one connection five are closed, and no more.
    for (const each of connectionsTo(pair[0], pair[1].node.peerId)) each.abort(new Error('test'));
    await acquainted(pair);
    for (let step = 0; step < 5; step++) {
      const [at, other] = eachOf(pair)[drawn(2)]!;
      const { peerId } = other.node;
      const connections = connectionsTo(at, peerId);
      switch (drawn(4)) {
        case 0:
          outboundOf(at, peerId)?.abort(new Error('test'));
          break;
        case 1:
          inboundOf(at, peerId)?.abort(new Error('test'));
          break;
        case 2:
          connections[drawn(Math.max(1, connections.length))]?.abort(new Error('test'));
          break;
        default:
          hostOf(at)
            .dial(multiaddr(other.address), { force: true })
            .catch(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, drawn(30)));
    }
    await acquainted(pair);
    await speakBothWays(pair);
    await waitFor(() => eachOf(pair).every(([at, { node }]) => connectionsTo(at, node.peerId).length === 1), {
      what: `one connection to be left in round ${round}`,
      timeoutMs: 60_000,
    });
    for (const [at, { node }] of eachOf(pair)) {
      assert.deepEqual(gossipOf(at).getPeers().map(String), [node.peerId]);
    }
  }
  // Streams came back by themselves each time, without a new connection for want of one.
  for (const { metric } of pair) assert.equal(await metric('teranode_p2p_node_deaf_peers_total'), 0);
});

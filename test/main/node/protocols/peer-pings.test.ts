import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LossyProxy } from '../../../support/lossy-proxy.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const DEAD = 'teranode_p2p_node_dead_connections_total';
const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1]);

test('a peer that answers no ping is kept while anything comes from it, and its connection is ended when nothing does', async (context) => {
  const deadAfterMs = 1_000;
  const { node, heard, lines, metric } = await createTestNode(context, {
    settings: { p2p_dead_peer_timeout: deadAfterMs },
    verdict: 'ignore',
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const proxy = await LossyProxy.listen(context);
  proxy.target = portOf(peer.address);
  await node.connect(peer.address.replace(/\/tcp\/\d+/, `/tcp/${proxy.port}`));
  await peer.sees(node.peerId, BLOCK_TOPIC);
  // Pings do not reach it, and it has much to say.
  proxy.silence('clients');
  const since = performance.now();
  let said = 0;
  while (performance.now() - since < 4 * deadAfterMs) {
    await peer.publish(BLOCK_TOPIC, `message ${said++}`);
    await delay(deadAfterMs / 20);
  }
  await waitFor(() => heard.length === said, { what: 'all that it said' });
  assert.equal(node.peers().length, 1);
  assert.equal(await metric(DEAD), 0);
  await waitFor(async () => (await metric(DEAD)) === 1, { what: 'its connection to end' });
  assert.equal(node.peers().length, 0);
  assert.equal(lines.filter(({ msg }) => String(msg).includes('does not answer')).length, 1);
});

test('pings measure the round trip of every connection', async (context) => {
  const { node } = await createTestNode(context, { settings: { p2p_dead_peer_timeout: 3_000 } });
  const peer = await createPeer({ context });
  await node.connect(peer.address);
  const pingMs = await waitFor(() => node.peers()[0]?.pingMs, { what: 'a ping' });
  assert.ok(pingMs > 0 && pingMs < 3_000, String(pingMs));
});

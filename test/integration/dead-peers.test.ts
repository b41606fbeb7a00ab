/** Peers that are gone without a word: their network dies, their process hangs. And who only seems to be gone, because we were. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LossyProxy } from '../support/lossy-proxy.js';
import { BLOCK_TOPIC, createTestNode } from '../support/node.js';
import { createPeer } from '../support/peer.js';
import { startPeerProcess } from '../support/peer-process.js';
import { waitFor } from '../support/wait.js';

const DEAD = 'teranode_p2p_node_dead_connections_total';
const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1]);

test('a static peer whose network dies is let go after 30 s, dialled again at once, and heard', async (context) => {
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const proxy = await LossyProxy.listen(context);
  proxy.target = portOf(peer.address);
  const { node, heard } = await createTestNode(context, {
    settings: { p2p_static_peers: [peer.address.replace(/\/tcp\/\d+/, `/tcp/${proxy.port}`)] },
    verdict: 'accept',
  });
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const [before] = node.inspect().host?.getConnections() ?? [];
  proxy.silence('both');
  const since = performance.now();
  await waitFor(() => before?.status !== 'open', { what: 'the dead connection to end', timeoutMs: 60_000 });
  await waitFor(() => node.peers().length === 1, { what: 'the new one' });
  const tookMs = performance.now() - since;
  assert.ok(tookMs > 20_000, `${tookMs} ms: a short silence is nothing`);
  await waitFor(
    async () => {
      await peer.publish(BLOCK_TOPIC, `again ${performance.now()}`);
      return heard.length > 0;
    },
    { what: 'what it says', everyMs: 200 },
  );
});

test('a peer whose process hangs is let go', async (context) => {
  const peer = await startPeerProcess(context, [BLOCK_TOPIC]);
  const { node, metric } = await createTestNode(context, { settings: { p2p_dead_peer_timeout: 2_000 } });
  await node.connect(peer.address);
  await waitFor(() => node.peers()[0]?.agent, { what: 'who it is' });
  peer.signal('SIGSTOP');
  await waitFor(() => node.peers().length === 0, { what: 'it to be let go' });
  assert.equal(await metric(DEAD), 1);
});

test('time in which this process was held up is not held against peers', async (context) => {
  const deadAfterMs = 2_000;
  const peer = await startPeerProcess(context, [BLOCK_TOPIC]);
  const { node, metric } = await createTestNode(context, {
    settings: { p2p_dead_peer_timeout: deadAfterMs },
  });
  await node.connect(peer.address);
  await waitFor(() => node.peers()[0]?.pingMs, { what: 'a ping' });
  const [connection] = node.inspect().host?.getConnections() ?? [];
  for (let times = 0; times < 3; times++) {
    // What a long collection of garbage, SIGSTOP or a closed laptop is to this process.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * deadAfterMs);
    const { rtt } = connection ?? {};
    await waitFor(() => connection?.rtt !== rtt, { what: 'another ping' });
  }
  assert.equal(connection?.status, 'open');
  assert.equal(await metric(DEAD), 0);
});

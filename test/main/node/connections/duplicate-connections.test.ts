import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Connection } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { internalsOf } from '../../../../src/main/node/patches/host-internals.js';
import { BLOCK, BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
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
} from '../../../support/pair.js';
import { createPeer } from '../../../support/peer.js';
import { createRelay } from '../../../support/relay.js';
import { waitFor } from '../../../support/wait.js';

interface Dialler {
  dial(address: Multiaddr, options: object): Promise<Connection>;
}

const DUPLICATES = 'teranode_p2p_node_duplicate_connections_total';
const RELAYED = /\/p2p-circuit(\/|$)/;

test('two nodes that dial one another at once keep the connection that the smaller peer ID dialled, and speak both ways, two dozen times', async (context) => {
  const pair = await createPair(context);
  const [smaller] = [...pair].sort((a, b) => (a.node.peerId < b.node.peerId ? -1 : 1));
  let doubled = 0;
  for (let round = 0; round < 24; round++) {
    const most = await meetAtOnce(pair);
    const left = await oneConnectionLeft(pair);
    if (most > 1) {
      doubled++;
      assert.equal(left.direction, pair[0] === smaller ? 'outbound' : 'inbound');
    }
    await speakBothWays(pair);
    assert.equal(left.status, 'open');
    await part(pair);
  }
  assert.ok(doubled > 0, 'they had two connections at least once');
});

test('each other’s static peers that lose one another have one connection again, and speak both ways', async (context) => {
  const pair = await createStaticPair(context);
  for (let round = 0; round < 5; round++) {
    await acquainted(pair);
    const left = await oneConnectionLeft(pair);
    await speakBothWays(pair);
    left.abort(new Error('test'));
    await waitFor(() => left.status !== 'open', { what: 'the loss' });
  }
});

test('of several connections from the same dialler one is left, over IPv4 and IPv6 at once', async (context) => {
  const pair = await createPair(context, {
    settings: { p2p_listen_addresses: ['127.0.0.1', '::1'] },
  });
  const [one, two] = pair;
  const listening = internalsOf(hostOf(two))
    .transportManager.getAddrs()
    .map((address) => address.encapsulate(`/p2p/${two.node.peerId}`));
  assert.deepEqual(listening.map((address) => String(address).slice(0, 5)).sort(), ['/ip4/', '/ip6/']);
  // Past libp2p's queue, where dials to one peer become one.
  const { transportManager } = (hostOf(one) as unknown as { components: { transportManager: Dialler } })
    .components;
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      listening.map((address) => transportManager.dial(address, { signal: AbortSignal.timeout(30_000) })),
    );
    await acquainted(pair);
    await oneConnectionLeft(pair);
    await speakBothWays(pair);
    await part(pair);
  }
});

test('a direct connection takes the place of a relayed one, whoever dialled which', async (context) => {
  const relay = await createRelay(context);
  // A place each; the relay's own connection is neither's.
  const pair = await createPair(context, { settings: { p2p_relay_peers: [relay.address] } });
  for (const [from, to] of eachOf(pair)) {
    await waitFor(() => to.node.addresses().some((address) => RELAYED.test(address)), { what: 'a place' });
    for (const [dialler, dialled] of eachOf(pair)) {
      const relayed = to.node.addresses().find((address) => RELAYED.test(address));
      await hostOf(from).dial(multiaddr(relayed));
      await acquainted(pair);
      await speakBothWays(pair);
      await hostOf(dialler).dial(multiaddr(dialled.address), { force: true });
      const left = await oneConnectionLeft(pair);
      assert.doesNotMatch(String(left.remoteAddr), RELAYED);
      await speakBothWays(pair);
      await part(pair);
    }
  }
});

test('nothing that was said is lost when the connection changes', async (context) => {
  const pair = await createPair(context);
  const [one, two] = [...pair].sort((a, b) => (a.node.peerId < b.node.peerId ? -1 : 1)) as [
    (typeof pair)[0],
    (typeof pair)[0],
  ];
  // The connection that will go.
  await two.node.connect(one.address);
  await acquainted(pair);
  await speakBothWays(pair);
  const first = connectionsTo(one, two.node.peerId);
  let [said, moved] = [0, false];
  const speak = async () => {
    for (let after = 0; after < 50; after += moved ? 1 : 0) {
      await one.node.publish(BLOCK, Buffer.from(`${said} of many`));
      said++;
      await setImmediate();
    }
  };
  const move = async () => {
    await hostOf(one).dial(multiaddr(two.address), { force: true });
    const left = await oneConnectionLeft(pair);
    assert.ok(!first.includes(left));
    moved = true;
  };
  await Promise.all([move(), speak()]);
  const heard = () =>
    two.heard.filter(({ data }) => Buffer.from(data).toString().endsWith(' of many')).length;
  await waitFor(() => heard() === said, { what: 'all of it' }).catch((error: unknown) => {
    throw new Error(`heard ${heard()} of ${said}`, { cause: error });
  });
});

test('a peer that comes with one more connection again and again is left its connections', async (context) => {
  const node = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(node.address);
  await peer.sees(node.node.peerId, BLOCK_TOPIC);
  await waitFor(() => inboundOf(node, peer.id) !== undefined && outboundOf(node, peer.id) !== undefined);
  let beats = 0;
  gossipOf(node).addEventListener('gossipsub:heartbeat', () => beats++);
  for (let count = 1; count <= 8; count++) {
    const extra = await peer.libp2p.dial(multiaddr(node.address), { force: true });
    const before = beats;
    // Closed five times; after that it is looked at, and left.
    await waitFor(() => (count <= 5 ? extra.status !== 'open' : beats >= before + 10), {
      what: 'a decision',
    });
    await waitFor(() => connectionsTo(node, peer.id).length === Math.max(1, count - 4), {
      what: `what is left after ${count}`,
    });
  }
  assert.deepEqual(
    [
      await node.metric(DUPLICATES, { outcome: 'closed' }),
      await node.metric(DUPLICATES, { outcome: 'left' }),
    ],
    [5, 3],
  );
  await peer.publish(BLOCK_TOPIC, 'still heard');
  await waitFor(() => node.heard.length === 1, { what: 'what it says' });
  assert.equal(gossipOf(node).getPeers().length, 1);
});

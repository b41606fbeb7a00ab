/** Peer exchange: who finds no place in a mesh is told of others, by Go nodes and by ours. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinPeer, meshOf } from '../support/gossip.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const one = { p2p_notification_servers: 1, p2p_checkers: 1 };
/** GossipSub's Dhi: a mesh with as many takes in nobody who calls. */
const FULL = 12;

test('a Go node for which ours has no place learns of others from it', async (context) => {
  const server = await startServer(context, serverSettings(context, one));
  const topic = goTopic('subtree');
  const members: string[] = [];
  while (members.length < FULL) members.push((await joinPeer(context, server, { topics: [topic] })).id);
  assert.deepEqual([...meshOf(server, topic)].sort(), [...members].sort());

  const go = await GoPeer.start(context, { topics: [topic] });
  await go.connect(server.address);
  const met = await waitFor(
    async () => {
      const found = (await go.connected()).filter((id) => id !== server.server.peerId);
      return found.length > 0 ? found : undefined;
    },
    { what: 'a recommended peer at the Go node', timeoutMs: 30_000, everyMs: 50 },
  );
  for (const id of met) assert.ok(members.includes(id), id);
});

test('ours learns of others from a Go node that has no place for it, at once', async (context) => {
  const server = await startServer(context, serverSettings(context, one));
  const topics = [goTopic('subtree')];
  const hub = await GoPeer.start(context, { topics, degree: 2, peerExchange: true });
  const inside = [await GoPeer.start(context, { topics }), await GoPeer.start(context, { topics })];
  for (const peer of inside) {
    await peer.connect(hub.address);
    await hub.meshes(peer.id, topics[0] as string);
  }

  const { node } = server.server.parts;
  await node.connect(hub.address);
  // Nobody else knows of them: nothing was published, and there is no DHT.
  const recommended = (id: string) => node.peers().find((peer) => peer.id === id);
  for (const { id, address } of inside) {
    const met = await waitFor(() => recommended(id), { what: 'the recommended peer', timeoutMs: 30_000 });
    assert.deepEqual([met.inbound, met.address], [false, address]);
  }
});

/** A Go node that is a static peer of ours: with and without ours among its direct peers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { mineHeader } from '../support/sample-messages.js';
import { chainOf, openFeed, serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { Neighbour } from './neighbour.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const BLOCK = kindNamed('block');
const HUB = 'http://127.0.0.1:9/api/v1';
/** Go's: what comes sooner than this came at once, not by IHAVE and IWANT. */
const HEARTBEAT_MS = 120_000;
const SOON_MS = 30_000;
const one = { p2p_notification_servers: 1, p2p_checkers: 1 };

const directOf = ({ server }: TestServer) => server.parts.node.inspect().host?.services.pubsub.direct;

test('a block of a Go static peer that does not have us as a direct peer comes in less than a heartbeat', async (context) => {
  const topic = goTopic('block');
  const go = await GoPeer.start(context, { topics: [topic], heartbeatMs: HEARTBEAT_MS });
  const server = await startServer(
    context,
    serverSettings(context, { ...one, p2p_static_peers: [go.address] }),
  );
  assert.equal(topicOf(server, BLOCK), topic);
  const feed = await openFeed(context, server.server);
  await go.meshes(server.server.peerId, topic);
  assert.ok(directOf(server)?.has(go.id));
  const { header, hash } = mineHeader();
  await go.publish(topic, { Hash: hash, Height: 2, DataHubURL: HUB, PeerID: go.id, Header: header });
  await feed.next((frame) => frame.hash === hash, 'its block', SOON_MS);
  const mined = await chainOf(server).mine();
  const heard = await go.heard(topic, server.server.peerId, { timeoutMs: SOON_MS });
  assert.ok(heard.data.includes(mined.hash) || heard.json.data !== undefined);
});

test('a Go static peer that has us as a direct peer stays out of the mesh, and blocks go both ways at once', async (context) => {
  const topic = goTopic('block');
  const keys = new Neighbour(context, 'peer');
  const { long } = await keys.call<{ long: string }>('newKey');
  const id = await keys.call<string>('identify', { key: long });
  // Where it will listen is not known yet: it is the one that calls.
  const server = await startServer(
    context,
    serverSettings(context, { ...one, p2p_static_peers: [`/ip4/127.0.0.1/tcp/1/p2p/${id}`] }),
  );
  const feed = await openFeed(context, server.server);
  const gossip = server.server.parts.node.inspect().host?.services.pubsub;
  assert.ok(gossip);
  let pruned = 0;
  gossip.addEventListener('gossipsub:prune', ({ detail }) => {
    if (detail.topic === topic) pruned++;
  });
  const go = await GoPeer.start(context, {
    key: long,
    topics: [topic],
    heartbeatMs: HEARTBEAT_MS,
    direct: [server.address],
  });
  assert.equal(go.id, id);
  await go.connect(server.address);
  await waitFor(() => pruned === 1, { what: 'its answer to our GRAFT', timeoutMs: SOON_MS });
  const { header, hash } = mineHeader();
  await go.publish(topic, { Hash: hash, Height: 2, DataHubURL: HUB, PeerID: go.id, Header: header });
  await feed.next((frame) => frame.hash === hash, 'its block', SOON_MS);
  await chainOf(server).mine();
  await go.heard(topic, server.server.peerId, { timeoutMs: SOON_MS });
  assert.deepEqual([meshOf(server, topic), pruned], [[], 1]);
  assert.ok(directOf(server)?.has(id));
});

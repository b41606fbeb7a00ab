/**
 * A peer that earns a ban while it is connected. Loopback addresses are never banned automatically, so this needs others
 * on one machine: `.ci/namespaces` runs it in a network of its own whose loopback device has them.
 */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { hashOf, joinPeer, meshOf, subtreeData, sumOf } from '../support/gossip.js';
import { OTHER_PEER } from '../support/sample-messages.js';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const [SERVER, BAD, GOOD] = ['10.77.0.1', '10.77.0.2', '10.77.0.3'];
const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';

test('a connected peer that earns a ban is cut off at once with its address, stays out, and nobody else does', async (context) => {
  const here = Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address));
  for (const address of [SERVER, BAD, GOOD]) {
    assert.ok(here.includes(String(address)), `${address} is no address of this machine: run .ci/namespaces`);
  }
  const onLoopback = await startServer(
    context,
    serverSettings(context, { p2p_listen_addresses: [SERVER], p2p_node_status_interval: 3_600_000 }),
  );
  const { server } = onLoopback;
  const told = { ...onLoopback, address: `/ip4/${SERVER}/tcp/${server.ports.p2p}/p2p/${server.peerId}` };
  const feed = await openFeed(context, server);
  const bad = await joinPeer(context, told, { topics: [TOPIC], localAddress: BAD });
  const good = await joinPeer(context, told, { topics: [TOPIC], localAddress: GOOD });
  const bans = () => server.scrape().then((scrape) => sumOf(scrape, 'teranode_p2p_bans'));
  const spoof = async (n: number) =>
    bad.send(server.peerId, [await bad.sign(TOPIC, subtreeData(OTHER_PEER, n))]);

  // 20 points each: four are just short of a ban.
  for (let n = 0; n < 4; n++) await spoof(n);
  await waitFor(() => server.parts.scores.score(bad.id) === 80, { what: 'its score' });
  assert.equal(bad.libp2p.getConnections().length, 1);
  assert.equal(await bans(), 0);
  await spoof(4);
  await waitFor(() => bad.libp2p.getConnections().length === 0, { what: 'its connection to close' });
  assert.ok(server.parts.node.peers().every(({ id }) => id !== bad.id));
  await waitFor(() => !meshOf(told, TOPIC).includes(bad.id), { what: 'its place in the mesh to go' });
  assert.equal(await bans(), 2, 'its peer ID and its address');

  // From its side a refusal after the handshake may look like a connection for a moment.
  await bad.dial(told.address).catch(() => {});
  await waitFor(() => bad.libp2p.getConnections().length === 0, { what: 'it to stay out' });
  await waitFor(
    async () =>
      sumOf(await server.scrape(), 'teranode_p2p_node_connections_refused_total', { direction: 'inbound' }) >
      0,
    { what: 'the refusal' },
  );

  assert.equal(server.parts.scores.score(good.id), 0);
  await good.publish(TOPIC, subtreeData(good.id, 50));
  await feed.next(({ hash }) => hash === hashOf(50), 'the message of the other');
});

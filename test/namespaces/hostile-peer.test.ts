/**
 * A Go peer at an address of its own that means harm: it is banned, and stays out, while the honest one beside it is heard.
 * `.ci/namespaces` runs it in a network whose loopback device has these addresses.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostilePeer } from '../interop/hostile.js';
import { hashOf, joinPeer, subtreeData, sumOf } from '../support/gossip.js';
import { OTHER_PEER } from '../support/sample-messages.js';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const [SERVER, BAD, GOOD] = ['10.77.0.1', '10.77.0.2', '10.77.0.3'];
const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const SPOOFED = { Hash: '{hash}', DataHubUrl: 'http://10.77.0.2:9/api/v1', PeerId: OTHER_PEER };

test('a Go peer that lies is banned and cannot come back, nor can others of its address; of any address few get in', async (context) => {
  const started = await startServer(
    context,
    serverSettings(context, { p2p_listen_addresses: [SERVER], p2p_node_status_interval: 3_600_000 }),
  );
  const { server } = started;
  const address = `/ip4/${SERVER}/tcp/${server.ports.p2p}/p2p/${server.peerId}`;
  const feed = await openFeed(context, server);
  const good = await joinPeer(context, { ...started, address }, { topics: [TOPIC], localAddress: GOOD });
  const refusals = async (reason: string) =>
    sumOf(await server.scrape(), 'teranode_p2p_node_connections_refused_total', {
      direction: 'inbound',
      reason,
    });

  // Of an address that is not banned only so many get in.
  const crowd = await HostilePeer.start(context, { target: address, from: SERVER });
  await crowd.crowd(100);
  assert.ok((await refusals('address_rate')) + (await refusals('address_connections')) > 50);
  await waitFor(async () => (await crowd.crowdLeft()) <= started.settings.p2p_connections_per_address, {
    what: 'the rest to be refused',
  });

  const bad = await HostilePeer.start(context, { target: address, from: BAD, topics: [TOPIC] });
  await bad.gossip({ how: 'true', topic: TOPIC, data: SPOOFED, count: 20 });
  // An attack opens its stream again where it can: banned, it cannot.
  await waitFor(async () => !(await bad.connected()), { what: 'it to be cut off' });
  assert.ok(sumOf(await server.scrape(), 'teranode_p2p_bans') >= 2, 'its peer ID and its address');
  await assert.rejects(HostilePeer.start(context, { target: address, from: BAD, topics: [TOPIC] }));
  assert.ok((await refusals('banned_address')) > 0);
  await bad.crowd(20);
  await waitFor(async () => (await bad.crowdLeft()) === 0, { what: 'nobody of its address to be let in' });

  assert.equal(server.parts.scores.score(good.id), 0);
  await good.publish(TOPIC, subtreeData(good.id, 50));
  await feed.next(({ hash }) => hash === hashOf(50), 'the message of the other');
});

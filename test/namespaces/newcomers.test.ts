/**
 * Ten addresses that hold as many silent connections as they can, and who comes meanwhile. Loopback addresses are not limited:
 * `.ci/namespaces` runs this in a network whose loopback device has others.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, joinPeer, subtreeData, sumOf } from '../support/gossip.js';
import { holdIdle } from '../support/idle-connections.js';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const SERVER = '10.77.0.1';
const addresses = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `10.77.0.${first + index}`);
const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';

test('newcomers get in, are heard, and stay while ten addresses hold a hundred silent connections, opened again when closed', async (context) => {
  const [listed = '', ...strangers] = addresses(14, 6);
  const started = await startServer(
    context,
    serverSettings(context, {
      p2p_listen_addresses: [SERVER],
      p2p_node_status_interval: 3_600_000,
      p2p_allowed_addresses: [listed],
    }),
  );
  const { server } = started;
  const port = server.ports.p2p ?? 0;
  const told = { ...started, address: `/ip4/${SERVER}/tcp/${port}/p2p/${server.peerId}` };
  const feed = await openFeed(context, server);
  const attack = holdIdle(context, { host: SERVER, port, from: addresses(4, 10), each: 10 });
  await waitFor(() => attack.closed >= 200, { what: 'the attack to be under way' });
  const guests = [];
  for (const localAddress of [listed, ...strangers]) {
    guests.push(await joinPeer(context, told, { topics: [TOPIC], localAddress }));
  }
  for (const [index, guest] of guests.entries()) {
    await guest.publish(TOPIC, subtreeData(guest.id, index));
    await feed.next(({ hash }) => hash === hashOf(index), 'its message');
  }
  assert.equal(server.parts.node.peers().length, guests.length);
  const refused = (reason: string) =>
    server
      .scrape()
      .then((scrape) => sumOf(scrape, 'teranode_p2p_node_connections_refused_total', { reason }));
  assert.ok((await refused('handshake_share')) + (await refused('address_rate')) > 0);
});

/** Two servers in one process share nothing but the machine. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, joinPeer, subtreeData, sumOf } from '../support/gossip.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const ONE = 'teranode/bitcoin/1.0.0/regtest-subtree';
const OTHER = 'teranode/bitcoin/1.0.0/testnet-subtree';

test('two servers in one process, on two networks, keep messages, figures, bans and ends to themselves', async (context) => {
  const [one, other] = await Promise.all([
    startServer(context, serverSettings(context, { clientName: 'one' })),
    startServer(context, serverSettings(context, { clientName: 'other', network: 'testnet' })),
  ]);
  const feeds = [await openFeed(context, one.server), await openFeed(context, other.server)] as const;
  const records = [
    await recordsOf(context, one, 'kafka_subtreesConfig'),
    await recordsOf(context, other, 'kafka_subtreesConfig'),
  ] as const;
  // One peer that is connected to both.
  const both = await joinPeer(context, one, { topics: [ONE] });
  await both.dial(other.address);
  both.subscribe(OTHER);
  await both.sees(other.server.peerId, OTHER);

  await both.publish(ONE, subtreeData(both.id, 1));
  await both.publish(OTHER, subtreeData(both.id, 2));
  await feeds[0].next(({ hash }) => hash === hashOf(1), 'its subtree at one');
  await feeds[1].next(({ hash }) => hash === hashOf(2), 'its subtree at the other');
  await waitFor(() => records.every((each) => each.records.length === 1), { what: 'a record each' });
  assert.ok(feeds[0].frames.every(({ hash }) => hash !== hashOf(2)));
  assert.ok(feeds[1].frames.every(({ hash }) => hash !== hashOf(1)));
  for (const { server } of [one, other]) {
    const taken = async () =>
      sumOf(await server.scrape(), 'teranode_p2p_messages_total', { kind: 'subtree' });
    assert.equal(await waitFor(taken, { what: 'its subtree in the figures' }), 1);
    assert.equal(sumOf(await server.scrape(), 'teranode_p2p_node_peers'), 1);
  }

  await one.server.parts.bans.add(both.id, Date.now() + 60_000, 'operator');
  await waitFor(() => one.server.parts.node.peers().length === 0, { what: 'one to close' });
  assert.equal(other.server.parts.node.peers().length, 1, 'the other does not know of the ban');

  await one.server.stop();
  await both.publish(OTHER, subtreeData(both.id, 3));
  await feeds[1].next(({ hash }) => hash === hashOf(3), 'a subtree at the other after the end of one');
  await waitFor(async () => (await other.server.health(false)).status === 200, { what: 'readiness' });
});

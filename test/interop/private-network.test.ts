/** Who has a pre-shared key and who has none, on both sides. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumOf } from '../support/gossip.js';
import { serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { BusClient } from './bus.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const SHARED_KEY = '7c'.repeat(32);

test('where one side alone has a pre-shared key, whoever calls, ours tells it from other failures', async (context) => {
  const [open, closed] = [
    await startServer(context, serverSettings(context, { p2p_notification_servers: 1 })),
    await startServer(
      context,
      serverSettings(context, { p2p_notification_servers: 1, p2p_shared_key: SHARED_KEY }, 'first'),
    ),
  ];
  const [goOpen, goClosed] = [
    await GoPeer.start(context),
    await GoPeer.start(context, { sharedKey: SHARED_KEY }),
  ];
  await assert.rejects(open.server.parts.node.connect(goClosed.address), /speaks as behind a pre-shared key/);
  await assert.rejects(closed.server.parts.node.connect(goOpen.address), /speaks without a pre-shared key/);
  const count = async ({ server }: TestServer, key: string) =>
    sumOf(await server.scrape(), 'teranode_p2p_node_key_mismatches_total', { key });
  assert.deepEqual([await count(open, 'theirs'), await count(closed, 'ours')], [1, 1]);
  await Promise.all([
    assert.rejects(goClosed.connect(open.address)),
    assert.rejects(goOpen.connect(closed.address)),
  ]);
  await waitFor(async () => (await count(open, 'theirs')) === 2, {
    what: 'the Go node with a key',
    everyMs: 50,
  });
  await waitFor(async () => (await count(closed, 'ours')) === 2, {
    what: 'the Go node without',
    everyMs: 50,
  });
});

test('the private network of files of 2025 is not joined: a Go node of today and ours hear each other', async (context) => {
  const server = await startServer(
    context,
    serverSettings(context, {
      p2p_notification_servers: 1,
      p2p_dht_use_private: true,
      p2p_shared_key: SHARED_KEY,
      p2p_dht_protocol_id: '/teranode',
    }),
  );
  const go = await BusClient.start(context, {
    name: 'today',
    bootstrap: [server.address],
    dhtMode: 'off',
    topics: [goTopic('node_status')],
  });
  await go.heard(goTopic('node_status'), server.server.peerId);
});

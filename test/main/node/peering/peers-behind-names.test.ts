import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBanProtection } from '../../../../src/main/bans/protection.js';
import type { PeerIdText } from '../../../../src/shared/net/peer-id.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { OTHER_PEER } from '../../../support/sample-messages.js';
import { adminClient, serverSettings, startServer } from '../../../support/server.js';
import { waitFor } from '../../../support/wait.js';

const PEER = '12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt' as PeerIdText;

test('who is named by a /dnsaddr alone is a configured peer once it is resolved', async (context) => {
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const records: Record<string, string[]> = {
    '_dnsaddr.boot.example': [`dnsaddr=${peer.address}`],
    '_dnsaddr.static.example': [`dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/${PEER}`],
    '_dnsaddr.relay.example': [`dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/${OTHER_PEER}`],
  };
  const settings = {
    p2p_bootstrap_peers: ['/dnsaddr/boot.example'],
    p2p_static_peers: ['/dnsaddr/static.example'],
    p2p_relay_peers: ['/dnsaddr/relay.example'],
  };
  const { node } = await createTestNode(context, {
    settings,
    resolveTxt: async (name) => records[name] ?? [],
  });
  const { settings: all, connections } = node.inspect();
  const protection = createBanProtection(all, { peers: () => [], isNamed: (id) => connections.isNamed(id) });
  await waitFor(() => node.peers()[0]?.configured, { what: 'the bootstrap peer' });
  assert.deepEqual([...connections.bootstrapPeers], [peer.id]);
  assert.ok(node.inspect().host!.services.pubsub.direct.has(peer.id), 'a direct peer, too');
  for (const id of [peer.id, PEER, OTHER_PEER]) {
    await waitFor(() => connections.isNamed(id), { what: id });
    assert.equal(protection.isProtected(id), true, id);
  }
  assert.equal(connections.isNamed(node.peerId), false);
});

test('in the current generation p2p_bootstrapAddresses names nobody to call, only whom the server does not list', async (context) => {
  const peer = await createPeer({ context });
  const other = await createPeer({ context });
  const settings = serverSettings(context, { p2p_bootstrapAddresses: [peer.address] });
  const server = await startServer(context, settings);
  for (const each of [peer, other]) await each.dial(server.address);
  const { parts } = server.server;
  const connected = () => parts.node.peers().filter(({ id }) => id === peer.id || id === other.id);
  await waitFor(() => connected().length === 2, { what: 'both connected' });
  assert.ok(
    connected().every(({ inbound, configured }) => inbound && !configured),
    'it called nobody',
  );
  const listed = await adminClient(context, server).getPeers();
  assert.deepEqual(
    listed.map(({ id }) => id),
    [other.id],
  );
});

test('a bootstrap peer behind a name is not among the peers that the server lists, nor banned', async (context) => {
  const server = await startServer(context, serverSettings(context));
  const { parts } = server.server;
  const peer = await createPeer({ context });
  await peer.dial(server.address);
  const client = adminClient(context, server);
  const listed = async () => (await client.getPeers()).map(({ id }) => id);
  await waitFor(async () => (await listed()).includes(peer.id), { what: 'it to be listed' });
  // As when its name is resolved.
  const { bootstrapIds } = parts.node.inspect().connections.configured;
  for (const id of [peer.id, PEER]) bootstrapIds.add(id);
  assert.deepEqual(await listed(), []);
  for (let count = 0; count < 3; count++) {
    parts.scores.add(PEER, 'spam');
    parts.scores.add(OTHER_PEER, 'spam');
  }
  assert.deepEqual([parts.bans.isPeerBanned(PEER), parts.bans.isPeerBanned(OTHER_PEER)], [false, true]);
});

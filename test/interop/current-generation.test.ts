/** The current generation's network, against the module that its nodes are built on. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { meshOf, sumOf } from '../support/gossip.js';
import { mineHeader } from '../support/sample-messages.js';
import {
  chainOf,
  openFeed,
  recordsOf,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { BusClient, cacheOf } from './bus.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const VERSION = '/teranode/bitcoin/regtest/1.0.0';
const GO_HUB = 'http://127.0.0.1:9/api/v1';
const KINDS = ['block', 'subtree', 'rejected_tx', 'node_status'] as const;
/** The message bus looks for topic peers that it is not connected to every 15 s. */
const LOOKUP_MS = 40_000;
const one = { p2p_notification_servers: 1 };

/** A client of the message bus that knows `server` alone, in its mesh. */
async function joinBus(context: TestContext, server: TestServer, name: string): Promise<BusClient> {
  const topics = KINDS.map((kind) => goTopic(kind));
  const go = await BusClient.start(context, {
    name,
    protocolVersion: VERSION,
    bootstrap: [server.address],
    dhtMode: 'off',
    topics,
  });
  for (const topic of topics) {
    await waitFor(() => meshOf(server, topic).includes(go.id), {
      what: `the mesh of ${topic}`,
      timeoutMs: 20_000,
    });
  }
  return go;
}

const connectionTo = ({ server }: TestServer, id: string) =>
  server.parts.node.peers().find((peer) => peer.id === id);

/** Address requests of a version that ended well, by the role that `server` had in them. */
const lookups = async ({ server }: TestServer, role: 'asker' | 'answerer', version: string) =>
  sumOf(await server.scrape(), 'teranode_p2p_node_address_lookups_total', { role, version, outcome: 'ok' });

test('block, subtree, rejected transaction and node status go both ways, and both sides know the name', async (context) => {
  const server = await startServer(
    context,
    serverSettings(context, { ...one, clientName: 'ours', p2p_embedded_rejected_tx_interval: 500 }),
  );
  const ours = server.server.peerId;
  const feed = await openFeed(context, server.server);
  const go = await joinBus(context, server, 'go node');
  const topic = (kind: (typeof KINDS)[number]) => goTopic(kind);

  const mined = await chainOf(server).mine();
  const hub = 'http://127.0.0.1:8090/api/v1';
  const block = await go.heard(topic('block'), ours);
  assert.equal(block.name, 'ours');
  assert.deepEqual(block.json, {
    Hash: mined.hash,
    Height: mined.height,
    DataHubURL: hub,
    PeerID: ours,
    ClientName: 'ours',
    Header: Buffer.from(mined.header).toString('hex'),
    Coinbase: '',
  });
  const made = await chainOf(server).makeSubtree();
  const subtree = await go.heard(topic('subtree'), ours);
  assert.deepEqual(subtree.json, { Hash: made, DataHubURL: hub, PeerID: ours, ClientName: 'ours' });
  const rejected = await go.heard(topic('rejected_tx'), ours);
  assert.match(String(rejected.json.TxID), /^[0-9a-f]{64}$/);
  assert.equal(rejected.json.PeerID, ours);
  const wanted = (json: Record<string, unknown>) => json.best_block_hash === mined.hash;
  const status = await go.heard(topic('node_status'), ours, { wanted, timeoutMs: 20_000 });
  assert.deepEqual(
    [status.json.peer_id, status.json.client_name, status.json.type, status.json.fsm_state],
    [ours, 'ours', 'node_status', 'RUNNING'],
  );
  const known = await go.peers();
  assert.deepEqual(
    known.map(({ id, name }) => [id, name]),
    [[ours, 'ours']],
  );
  assert.equal(known[0]?.addresses.length, 1);

  // Ours came after the GRAFT on the same stream: Go has us in its mesh.
  const { records: blocks } = await recordsOf(context, server, 'kafka_blocksConfig');
  const { records: subtrees } = await recordsOf(context, server, 'kafka_subtreesConfig');
  const { header, hash } = mineHeader();
  const said = { DataHubURL: GO_HUB, PeerID: go.id, ClientName: 'go node' };
  await go.publish(topic('subtree'), { Hash: hash, ...said });
  await go.publish(topic('rejected_tx'), {
    TxID: hash,
    Reason: 'too low a fee',
    PeerID: go.id,
    ClientName: '',
  });
  await go.publish(topic('node_status'), {
    peer_id: go.id,
    client_name: 'go node',
    type: 'node_status',
    base_url: GO_HUB,
    version: 'v0.13.0',
    commit_hash: 'abcdef',
    best_block_hash: mined.hash,
    best_height: mined.height,
    fsm_state: 'RUNNING',
    start_time: 1_700_000_000,
    uptime: 12.5,
    miner_name: '/go/',
    listen_mode: 'full',
    chain_work: '02',
  });
  await go.publish(topic('block'), { Hash: hash, Height: 2, ...said, Header: header, Coinbase: '' });
  const by = (type: string) => feed.next((frame) => frame.type === type && frame.peer_id === go.id, type);
  for (const type of ['subtree', 'block'] as const) {
    const frame = await by(type);
    assert.deepEqual([frame.hash, frame.base_url, frame.client_name], [hash, GO_HUB, 'go node'], type);
  }
  const refused = await by('rejected_tx');
  assert.deepEqual([refused.hash, refused.reason], [hash, 'too low a fee']);
  const shown = await by('node_status');
  assert.deepEqual([shown.client_name, shown.version, shown.miner_name], ['go node', 'v0.13.0', '/go/']);
  const block1 = await waitFor(() => blocks[0], { what: 'the block record' });
  const subtree1 = await waitFor(() => subtrees[0], { what: 'the subtree record' });
  for (const record of [block1, subtree1]) assert.equal(Buffer.from(record.key ?? []).toString(), hash);
  // The envelope's name stands beside the address in the peer cache.
  assert.equal(connectionTo(server, go.id)?.protocolVersion, VERSION);
  await server.server.stop();
  const entries = await cacheOf(`${server.settings.DATADIR}/p2p_peers.json`, (found) => found.length > 0);
  assert.deepEqual(
    entries.map(({ id, name }) => [id, name]),
    [[go.id, 'go node']],
  );
});

test('address lookup 1.0.0: a Go node asks ours where an author is, and connects to it', async (context) => {
  const hub = await startServer(context, serverSettings(context, one));
  const author = await startServer(
    context,
    serverSettings(context, { ...one, p2p_static_peers: [hub.address] }),
  );
  const go = await joinBus(context, hub, 'asks');
  await go.heard(goTopic('node_status'), author.server.peerId, { timeoutMs: 20_000 });
  await waitFor(() => connectionTo(author, go.id), { what: 'the connection', timeoutMs: LOOKUP_MS });
  assert.ok((await lookups(hub, 'answerer', '1.0.0')) > 0);
});

test('address lookup 1.0.0: ours asks a Go node where an author is, and connects to it', async (context) => {
  const [asker, author] = [
    await startServer(context, serverSettings(context, one)),
    await startServer(context, serverSettings(context, one)),
  ];
  const hub = await joinBus(context, asker, 'answers');
  await hub.connect(author.address);
  const found = () => connectionTo(asker, author.server.peerId);
  await waitFor(found, { what: 'the connection', timeoutMs: LOOKUP_MS });
  const asked = (await lookups(asker, 'asker', '1.0.0')) + (await lookups(author, 'asker', '1.0.0'));
  assert.ok(asked > 0);
});

test('address lookup 1.1.0 in both roles', async (context) => {
  const [left, right] = [
    await startServer(context, serverSettings(context, one)),
    await startServer(context, serverSettings(context, one)),
  ];
  const topics = [goTopic('node_status')];
  const go = await GoPeer.start(context, { topics });
  await go.connect(left.address);
  const rightAt = right.address.replace(/\/p2p\/.*/, '');
  // What nobody has told ours is an empty list; of itself it knows.
  assert.deepEqual(await go.lookup(left.server.peerId, right.server.peerId), []);
  assert.deepEqual(await go.lookup(left.server.peerId, left.server.peerId), [
    left.address.replace(/\/p2p\/.*/, ''),
  ]);
  await assert.rejects(go.lookup(left.server.peerId, 'nobody'));

  // Each hears the other through the Go node, which alone knows where both are.
  await go.connect(right.address);
  await waitFor(() => connectionTo(left, right.server.peerId), {
    what: 'the connection',
    timeoutMs: LOOKUP_MS,
  });
  const asked = (await lookups(left, 'asker', '1.1.0')) + (await lookups(right, 'asker', '1.1.0'));
  assert.ok(asked > 0);
  const told = await waitFor(
    async () => {
      const answer = await go.lookup(left.server.peerId, right.server.peerId);
      return answer.length > 0 ? answer : undefined;
    },
    { what: 'what ours knows by now' },
  );
  assert.ok(told.includes(rightAt), told.join(' '));
});

test('through a Go relay a Go node reaches ours, and ours a Go node', async (context) => {
  const relay = await GoPeer.start(context, { relay: true });
  const server = await startServer(
    context,
    serverSettings(context, { ...one, p2p_bootstrap_peers: [relay.address] }),
  );
  const at = (id: string) => `${relay.address}/p2p-circuit/p2p/${id}`;
  await waitFor(() => server.server.parts.node.addresses().some((text) => text.includes('/p2p-circuit')), {
    what: 'a place at the relay',
    timeoutMs: 60_000,
  });
  const caller = await GoPeer.start(context);
  assert.match(await caller.connect(at(server.server.peerId)), /p2p-circuit/);
  const seen = await waitFor(() => connectionTo(server, caller.id), { what: 'the caller' });
  assert.match(seen.address, /p2p-circuit/);

  const called = await GoPeer.start(context, { relays: [relay.address] });
  await server.server.parts.node.connect(at(called.id));
  assert.match(connectionTo(server, called.id)?.address ?? '', /p2p-circuit/);
});

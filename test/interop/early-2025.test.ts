/**
 * Teranode's nodes of early 2025, on the modules and with the settings of that time: a network behind a pre-shared key, found through
 * a DHT of its own.
 */

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { announcedUrls } from '../../src/main/announce/urls.js';
import { KEY_FILE_NAME } from '../../src/main/node/identity/keys.js';
import { topicPrefix } from '../../src/shared/bitcoin/networks.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { asPeer } from '../support/branded.js';
import { sumOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import {
  adminClient,
  chainOf,
  type Feed,
  openFeed,
  recordsOf,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { EarlyNetwork, type EarlyNode, NOBODY, SHARED_KEY, topicIn } from './early.js';
import { GoPeer } from './peers.js';

/** What a node of that time listens to; of rejected transactions it only speaks. */
const HEARD = ['bestblock', 'block', 'subtree', 'mining_on'] as const;
const hex = (value: Uint8Array | null | undefined) => Buffer.from(value ?? []).toString('hex');
const withoutTime = ({ timestamp: _, ...frame }: Record<string, unknown>) => frame;

const counter = async ({ server }: TestServer, name: string, labels: Record<string, string>) =>
  sumOf(await server.scrape(), name, labels);

/** Resolves when ours and the node hear one another on all topics. */
async function met({ server, settings }: TestServer, ...nodes: readonly EarlyNode[]): Promise<void> {
  for (const kind of [...HEARD, 'rejected_tx']) {
    for (const node of nodes) await node.listens(server.peerId, topicIn(settings, kind));
  }
  for (const kind of HEARD) {
    await waitFor(() => server.parts.node.subscribers(kindNamed(kind).id) === nodes.length, {
      what: `${nodes.length} on ${kind}`,
      timeoutMs: 60_000,
    });
  }
}

/** What `node` tells comes to `feed`, however often it has to be told: of what goes out before streams are up nobody learns. */
async function hears(feed: Feed, node: EarlyNode, from = 0): Promise<void> {
  let told = from;
  await waitFor(
    async () => {
      await node.subtree((++told).toString(16).padStart(64, '0'));
      return feed.frames.some(({ type, hash, peer_id }) => {
        return type === 'subtree' && peer_id === node.id && Number.parseInt(String(hash), 16) > from;
      });
    },
    { what: `a subtree of ${node.id}`, timeoutMs: 90_000, everyMs: 250 },
  );
}

test('a settings file of early 2025 says the same to this server as to the library that read it then', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  for (const name of ['teranode1', 'teranode2', 'teranode3'] as const) {
    const [read, ours] = [await network.read(name), network.settings(name)];
    const { dataHub, ...keys } = read;
    const readings = Object.keys(keys).filter((key) => key !== 'p2p_peer_id') as (keyof Settings)[];
    assert.ok(readings.length > 12);
    for (const key of readings) assert.deepEqual(ours[key], read[key], `${name}: ${key}`);
    assert.equal(announcedUrls(ours).dataHubUrl, dataHub);
    assert.equal(dataHub, `http://${name}:8090/api/v1`);
    assert.equal(topicPrefix(ours), 'regtest.github.com/bitcoin-sv/teranode');
    assert.equal(ours.network, 'regtest');
    // Go's ID of the key is the one that the file has beside it.
    assert.equal(await network.identity(name), network.ids[name]);
    assert.equal(read.p2p_peer_id, network.ids[name]);
  }
});

test('the key file that a node of early 2025 made for itself is taken for our own', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const { id, path } = await network.keyFile('teranode1');
  const settings = network.settings('teranode1', ['p2p_private_key=']);
  copyFileSync(path, join(settings.DATADIR, KEY_FILE_NAME));
  const { server } = await startServer(context, settings);
  assert.equal(server.peerId, id);
});

test('two early nodes and ours find each other through the bootstrap server, and every kind goes both ways', async (context) => {
  const network = await EarlyNetwork.start(context);
  // Before and after the change of names of February 2025.
  const older = await network.node('teranode1', { older: true });
  const newer = await network.node('teranode3');
  const settings = network.settings('teranode2', ['p2p_embedded_rejected_tx_interval=500ms']);
  const server = await startServer(context, settings);
  const ours = server.server.peerId;
  assert.deepEqual([older.id, ours, newer.id], Object.values(network.ids));
  const feed = await openFeed(context, server.server);
  const records = {
    blocks: await recordsOf(context, server, 'kafka_blocksConfig'),
    subtrees: await recordsOf(context, server, 'kafka_subtreesConfig'),
  };
  await met(server, older, newer);

  // Ours to theirs.
  const hub = 'http://teranode2:8090/api/v1';
  const mined = await chainOf(server).mine();
  const made = await chainOf(server).makeSubtree();
  for (const node of [older, newer]) {
    const block = await node.heard(topicIn(settings, 'block'), ours);
    const known = JSON.stringify({ Hash: mined.hash, Height: mined.height, DataHubUrl: hub, PeerId: ours });
    assert.equal(
      block.data.slice(0, known.length - 1),
      known.slice(0, -1),
      'what it knows comes first, as it knows it',
    );
    const subtree = await node.heard(topicIn(settings, 'subtree'), ours);
    const { ClientName, ...asThen } = subtree.json;
    assert.deepEqual([asThen, ClientName], [{ Hash: made, DataHubUrl: hub, PeerId: ours }, 'teranode2']);
    const mining = await node.heard(topicIn(settings, 'mining_on'), ours);
    const frame = await node.frame(
      ({ type, peer_id }) => type === 'mining_on' && peer_id === ours,
      'mining_on',
    );
    assert.equal(frame.hash, mined.hash);
    assert.equal(mining.json.Miner, frame.miner);
    // What its handlers made of them.
    assert.deepEqual(await node.frame(({ type, peer_id }) => type === 'block' && peer_id === ours, 'block'), {
      type: 'block',
      hash: mined.hash,
      height: mined.height,
      base_url: hub,
      peer_id: ours,
    });
    assert.deepEqual(
      await node.frame(({ type, peer_id }) => type === 'subtree' && peer_id === ours, 'subtree'),
      { type: 'subtree', hash: made, base_url: hub, peer_id: ours },
    );
    const raw = (hash: string) => Buffer.from(hash, 'hex').reverse().toString('hex') + hex(Buffer.from(hub));
    await node.record(({ topic, value }) => topic === 'blocks' && value === raw(mined.hash), 'our block');
    await node.record(({ topic, value }) => topic === 'subtrees' && value === raw(made), 'our subtree');
  }
  // Not only by way of the others, whose copy a busy machine may read first.
  for (const node of [older, newer]) {
    const isDirect = async () => {
      const next = await chainOf(server).makeSubtree();
      const told = { wanted: ({ Hash }: Record<string, unknown>) => Hash === next };
      return (await node.heard(topicIn(settings, 'subtree'), ours, told)).source === ours;
    };
    await waitFor(isDirect, { what: `ours to tell ${node.id} itself` });
  }
  // Nobody of that time subscribes to these.
  const nobody = { kind: 'rejected_tx', outcome: 'no_peers' };
  await waitFor(async () => (await counter(server, 'teranode_p2p_own_messages_total', nobody)) > 0, {
    what: 'a rejected transaction that nobody listens to',
    everyMs: 100,
  });

  // Theirs to ours: what each shows to its own clients, and what the other makes a record of, is what ours does.
  const tell = async (node: EarlyNode, other: EarlyNode, digit: string) => {
    const [hash, previousHash] = [digit.repeat(64), mined.hash];
    const texts = [
      await node.block({ hash, height: 4_294_967_295 }),
      await node.subtree(hash),
      await node.miningOn({
        hash,
        previousHash,
        height: 2,
        miner: '/early/',
        sizeInBytes: '9007199254740993',
        txCount: '18446744073709551615',
      }),
      await node.rejectedTx(hash, 'TX_INVALID (31): too low a fee'),
    ];
    const spelling = node === older ? /"PeerId":"/ : /"PeerID":"/;
    for (const text of texts) assert.match(text, spelling);
    for (const type of ['block', 'subtree']) {
      const frame = await feed.next(
        (each) => each.type === type && each.hash === hash,
        `${type} of ${node.id}`,
      );
      const own = await node.frame((each) => each.type === type && each.hash === hash, type);
      assert.deepEqual(withoutTime(frame), own);
    }
    const mining = await feed.next((each) => each.type === 'mining_on' && each.hash === hash, 'mining_on');
    const others = await other.frame((each) => each.type === 'mining_on' && each.hash === hash, 'mining_on');
    assert.deepEqual(withoutTime(mining), others);
    // Beyond 2^53, where a number of JavaScript is no longer whole.
    assert.ok(
      feed.texts.some((text) => text.includes('"tx_count":18446744073709551615,') && text.includes(hash)),
    );
    assert.ok(
      feed.texts.some((text) => text.includes('"size_in_bytes":9007199254740993') && text.includes(hash)),
    );
    const rejected = await feed.next(
      (each) => each.type === 'rejected_tx' && each.hash === hash,
      'rejected_tx',
    );
    assert.deepEqual([rejected.peer_id, rejected.reason], [node.id, 'TX_INVALID (31): too low a fee']);
    for (const topic of ['blocks', 'subtrees'] as const) {
      const theirs = await other.record(({ topic: name, value }) => {
        return name === topic && value.startsWith(digit.repeat(64));
      }, topic);
      const found = await waitFor(
        () => records[topic].records.find(({ value }) => hex(value) === theirs.value),
        {
          what: `the same record in ${topic}`,
        },
      );
      assert.equal(found.key?.length ?? 0, 0, 'raw records have no key');
    }
  };
  await tell(older, newer, 'a');
  await tell(newer, older, 'b');

  // Neither holds anything against the other. Once a peer listens, ours asks for its best block, and these have none.
  const held = [older, newer].flatMap(({ problems }) => problems.filter((each) => each !== 'no best block'));
  assert.deepEqual(held, []);
  for (const { id } of [older, newer]) assert.equal(server.server.parts.scores.score(asPeer(id)), 0);
  await waitFor(async () => (await server.server.health(false)).status === 200, { what: 'readiness' });
});

test('the best block: an early node asks ours, and ours asks it and follows what it answers', async (context) => {
  const network = await EarlyNetwork.start(context);
  const best = { hash: 'c7'.repeat(32), height: 777 };
  const node = await network.node('teranode1', { best });
  const server = await startServer(context, network.settings('teranode2'));
  const ours = server.server.peerId;
  const { records } = await recordsOf(context, server, 'kafka_blocksConfig');
  await met(server, node);

  const asked = await node.heard(topicIn(server.settings, 'bestblock'), ours, { timeoutMs: 60_000 });
  assert.equal(asked.data, JSON.stringify({ PeerId: ours }));
  const followed = () =>
    counter(server, 'teranode_p2p_announce_best_blocks_followed_total', { outcome: 'sent' });
  await waitFor(async () => (await followed()) === 1, { what: 'the answer to be followed', everyMs: 50 });
  const record = await waitFor(() => records[0], { what: 'a record of the answer' });
  // As a node of that time makes one of ours below: the hash as it is stored, then the URL.
  assert.equal(hex(record.value), 'c7'.repeat(32) + hex(Buffer.from('http://teranode1:8090/api/v1')));
  const peers = await adminClient(context, server).getPeers();
  assert.equal(peers.find(({ id }) => id === node.id)?.currentHeight, 777);

  const mined = await chainOf(server).mine();
  await node.ask();
  const answer = await node.program.event<{ from: string; data: string }>('direct', () => true, 'our answer');
  assert.equal(answer.from, ours);
  const hub = 'http://teranode2:8090/api/v1';
  const raw = Buffer.from(mined.hash, 'hex').reverse().toString('hex') + hex(Buffer.from(hub));
  await node.record(({ topic, value }) => topic === 'blocks' && value === raw, 'our answer');
  assert.equal(await followed(), 1);
  assert.deepEqual(node.problems, []);
});

test('static peers meet without the bootstrap server, and again after either has been away', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const node = await network.node('teranode1');
  await node.program.event('undiscovered', () => true, 'the end of its search, for good');
  const port = node.address.split('/')[4] ?? '';
  // By name, as that time's files have them.
  const settings = network.settings('teranode2', [
    `p2p_static_peers=/dns/localhost/tcp/${port}/p2p/${node.id}`,
  ]);
  const server = await startServer(context, settings);
  const feed = await openFeed(context, server.server);
  await met(server, node);
  await hears(feed, node);

  // The node dies, and comes back where it was.
  await node.stop();
  const back = await network.node('teranode1', { env: { P2P_PORT: port, p2p_static_peers: server.address } });
  assert.equal(back.address, node.address);
  await met(server, back);
  await hears(feed, back, 0x1000);

  // Ours goes, and comes back without a static peer: it remembers the node, and the node calls it.
  const oursAt = server.server.ports.p2p;
  await server.server.stop();
  await waitFor(() => back.comings(server.server.peerId).went > 0, { what: 'the end of the connection' });
  const again = await startServer(context, { ...settings, p2p_static_peers: [], p2p_port: oursAt ?? 0 });
  assert.equal(again.address, server.address);
  const newFeed = await openFeed(context, again.server);
  await met(again, back);
  await hears(newFeed, back, 0x2000);
});

test('a ban there lasts as long as a connection; one here keeps the node out until it is lifted', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const node = await network.node('teranode1');
  const server = await startServer(
    context,
    network.settings('teranode2', [`p2p_static_peers=${node.address}`]),
  );
  const ours = server.server.peerId;
  const feed = await openFeed(context, server.server);
  await met(server, node);
  await node.ban('127.0.0.1');
  await waitFor(() => node.comings(ours).went > 0, { what: 'its ban' });
  await waitFor(() => node.comings(ours).came > 1, { what: 'ours to be back' });
  await met(server, node);
  await hears(feed, node);

  const admin = adminClient(context, server);
  const went = node.comings(ours).went;
  assert.equal(await admin.banPeer(node.id), true);
  await waitFor(() => node.comings(ours).went > went, { what: 'our ban' });
  await assert.rejects(
    node.connect(server.address).then(async () => {
      // Go takes a connection for made before the other side has looked.
      await waitFor(async () => !(await node.connected()).includes(ours), {
        what: 'to be let go',
        everyMs: 20,
      });
      throw new Error('let go');
    }),
  );
  assert.deepEqual(await node.connected(), []);
  assert.deepEqual(await admin.getPeers(), []);
  assert.equal(await admin.unbanPeer(node.id), true);
  await met(server, node);
  await hears(feed, node, 0x1000);
});

test('what the early nodes have no topic for does not reach them, and an envelope is an empty message to them', async (context) => {
  const network = await EarlyNetwork.start(context);
  const node = await network.node('teranode1');
  const server = await startServer(
    context,
    network.settings('teranode2', ['p2p_node_status_interval=200ms']),
  );
  await met(server, node);
  const told = { kind: 'node_status', outcome: 'no_peers' };
  await waitFor(async () => (await counter(server, 'teranode_p2p_own_messages_total', told)) > 5, {
    what: 'statuses',
    everyMs: 100,
  });
  await chainOf(server).mine();
  await node.heard(topicIn(server.settings, 'block'), server.server.peerId);
  const topics = new Set(
    node.program.events.flatMap(({ event, value }) =>
      event === 'message' ? [(value as { topic: string }).topic] : [],
    ),
  );
  const heard = HEARD.map((kind) => topicIn(server.settings, kind));
  assert.ok(
    [...topics].every((topic) => heard.includes(topic)),
    [...topics].join(' '),
  );

  // A node of today that was let into the network speaks in envelopes: ours reads them, the early node sees nothing in them.
  const block = topicIn(server.settings, 'block');
  const today = await GoPeer.start(context, { sharedKey: SHARED_KEY, topics: [block] });
  await today.connect(node.address);
  await today.connect(server.address);
  await today.meshes(server.server.peerId, block);
  const feed = await openFeed(context, server.server);
  const inner = { Hash: 'd1'.repeat(32), Height: 3, DataHubURL: 'http://hub.example', PeerID: today.id };
  const data = Buffer.from(JSON.stringify(inner)).toString('base64');
  await today.publish(block, { name: 'today', data });
  await feed.next(
    ({ hash, peer_id }) => hash === inner.Hash && peer_id === today.id,
    'the block in the envelope',
  );
  await node.frame((frame) => frame.type === 'block' && frame.hash === undefined, 'an empty block');
});

test('an early node with another key, or none, is told from other failures by a server of either generation', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const server = await startServer(context, network.settings('teranode2'));
  const today = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const other = await network.node('teranode1', { env: { p2p_shared_key: '5e'.repeat(32) } });
  await assert.rejects(other.connect(server.address));
  assert.deepEqual(await other.connected(), []);
  await assert.rejects(other.connect(today.address));
  const mismatches = (of: TestServer, key: string) =>
    counter(of, 'teranode_p2p_node_key_mismatches_total', { key });
  await waitFor(async () => (await mismatches(today, 'theirs')) === 1, { what: 'its key', everyMs: 50 });
  // As `p2p_dht_use_private = false`, which files of that time have outside of docker and operator.
  const open = await network.node('teranode3', { env: { p2p_dht_use_private: 'false' } });
  await assert.rejects(open.connect(server.address));
  await waitFor(async () => (await mismatches(server, 'ours')) === 1, {
    what: 'its lack of one',
    everyMs: 50,
  });
  await open.connect(today.address);
  assert.deepEqual(await open.connected(), [today.server.peerId]);
});

test('an early node of another topic prefix is named, counted, and in readiness', async (context) => {
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const server = await startServer(context, network.settings('teranode2'));
  const node = await network.node('teranode1', {
    env: { p2p_topic_prefix: 'mainnet.github.com/bitcoin-sv/teranode', p2p_static_peers: server.address },
  });
  const unshared = () => counter(server, 'teranode_p2p_node_peers_without_shared_topic', {});
  await waitFor(async () => (await unshared()) === 1, { what: 'the count', timeoutMs: 90_000, everyMs: 200 });
  const line = await waitFor(
    () => server.log.lines.find(({ msg }) => /none of our topics/.test(String(msg))),
    { what: 'the warning' },
  );
  const [named] = line.peers as { id: string; topics: string[] }[];
  assert.equal(named?.id, node.id);
  for (const topic of named?.topics ?? [])
    assert.match(topic, /^mainnet\.github\.com\/bitcoin-sv\/teranode-/);
  const { dependencies } = await server.server.health(false);
  assert.match(
    String(dependencies.find(({ resource }) => resource === 'libp2p')?.message),
    /connected peers share no topic/,
  );
});

/** The first generation's network: pre-shared key, private DHT, plain JSON on the topics, answers on the direct stream. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gossipTopic } from '../../src/shared/bitcoin/networks.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { kindNamed } from '../support/kinds.js';
import {
  chainOf,
  type Feed,
  openFeed,
  recordsOf,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { type GoDirectMessage, GoPeer } from './peers.js';

const SHARED_KEY = '7c'.repeat(32);
const GO_HUB = 'http://127.0.0.1:9/api/v1';
const GO_BEST = {
  Hash: 'ab'.repeat(32),
  Height: 777,
  DataHubUrl: GO_HUB,
  // As a Go node writes it: without its peer ID.
  PeerId: '',
};

interface Network {
  readonly server: TestServer;
  readonly go: GoPeer;
  readonly feed: Feed;
  topic(kind: string): string;
}

/** A Go node and ours that know nobody but `bootstrap`, met and in each other's mesh. */
async function meet(context: TestContext, bootstrap: GoPeer): Promise<Network> {
  const settings = serverSettings(
    context,
    {
      clientName: 'ours',
      p2p_shared_key: SHARED_KEY,
      p2p_bootstrapAddresses: [bootstrap.address],
      p2p_embedded_rejected_tx_interval: 500,
      p2p_notification_servers: 1,
    },
    'first',
  );
  const topic = (kind: string) => {
    const known = kindNamed(kind as 'block');
    assert.ok(known, kind);
    return gossipTopic(settings, known);
  };
  const topics = ['bestblock', 'block', 'subtree', 'mining_on', 'rejected_tx'].map(topic);
  const go = await GoPeer.start(context, {
    sharedKey: SHARED_KEY,
    dhtPrefix: '/teranode',
    bootstrap: [bootstrap.address],
    topics,
    discover: true,
    bestBlockTopic: topic('bestblock'),
    bestBlock: JSON.stringify(GO_BEST),
  });
  const server = await startServer(context, settings);
  const feed = await openFeed(context, server.server);
  for (const name of topics) await go.meshes(server.server.peerId, name);
  return { server, go, feed, topic };
}

const third = (context: TestContext): Promise<GoPeer> =>
  GoPeer.start(context, { sharedKey: SHARED_KEY, dhtPrefix: '/teranode' });

test('a Go node and ours find each other through a third, and every kind goes both ways', async (context) => {
  const { server, go, feed, topic } = await meet(context, await third(context));
  const ours = server.server.peerId;
  const hub = 'http://127.0.0.1:8090/api/v1';

  const mined = await chainOf(server).mine();
  const header = Buffer.from(mined.header).toString('hex');
  const block = await go.heard(topic('block'), ours);
  assert.equal(block.source, ours, 'not by way of the third');
  assert.deepEqual(block.json, {
    Hash: mined.hash,
    Height: mined.height,
    DataHubUrl: hub,
    PeerId: ours,
    ClientName: 'ours',
    Header: header,
    Coinbase: '',
  });
  const mining = await go.heard(topic('mining_on'), ours);
  assert.deepEqual(
    [mining.json.Hash, mining.json.Height, mining.json.DataHubUrl, mining.json.PeerId, mining.json.Miner],
    [mined.hash, mined.height, hub, ours, 'ours'],
  );
  const made = await chainOf(server).makeSubtree();
  const subtree = await go.heard(topic('subtree'), ours);
  assert.deepEqual(subtree.json, { Hash: made, DataHubUrl: hub, PeerId: ours, ClientName: 'ours' });
  const rejected = await go.heard(topic('rejected_tx'), ours);
  assert.match(String(rejected.json.TxId), /^[0-9a-f]{64}$/);
  assert.equal(rejected.json.PeerId, ours);

  const [blocks, subtrees] = [
    await recordsOf(context, server, 'kafka_blocksConfig'),
    await recordsOf(context, server, 'kafka_subtreesConfig'),
  ];
  const said = { DataHubUrl: GO_HUB, PeerId: go.id };
  const hash = mined.hash.replace(/..$/, '77');
  await go.publish(topic('subtree'), { Hash: hash, ...said });
  await go.publish(topic('mining_on'), {
    Hash: hash,
    PreviousHash: mined.hash,
    ...said,
    Height: 2,
    Miner: '/go/',
    SizeInBytes: 1_000_000,
    TxCount: 7,
  });
  await go.publish(topic('rejected_tx'), { TxId: hash, Reason: 'too low a fee', PeerId: go.id });
  await go.publish(topic('block'), { Hash: hash, Height: 2, ...said });
  const by = (type: string) => feed.next((frame) => frame.type === type && frame.peer_id === go.id, type);
  for (const type of ['subtree', 'mining_on', 'block'] as const) {
    const frame = await by(type);
    assert.deepEqual([frame.hash, frame.base_url], [hash, GO_HUB], type);
  }
  const refused = await by('rejected_tx');
  assert.deepEqual([refused.hash, refused.reason], [hash, 'too low a fee']);
  const raw = Buffer.concat([Buffer.from(hash, 'hex').reverse(), Buffer.from(GO_HUB)]);
  for (const [what, { records }] of Object.entries({ blocks, subtrees })) {
    const record = await waitFor(() => records[0], { what });
    assert.equal(Buffer.from(record.value ?? []).toString('hex'), raw.toString('hex'), what);
  }
});

test('the best block is asked for and told in both directions', async (context) => {
  const { server, go, topic } = await meet(context, await third(context));
  const ours = server.server.peerId;
  // Ours asks at start; what the Go node answers is known of it afterwards.
  const asked = await go.heard(topic('bestblock'), ours, { timeoutMs: 30_000 });
  assert.deepEqual(asked.json, { PeerId: ours });
  const client = new PeerServiceClient(`127.0.0.1:${server.server.ports.grpc}`);
  context.after(() => client.close());
  await waitFor(
    async () =>
      (await client.getPeers()).some(
        ({ id, currentHeight }) => id === go.id && currentHeight === GO_BEST.Height,
      ),
    { what: 'the height that the Go node told', everyMs: 50 },
  );

  const mined = await chainOf(server).mine();
  await go.publish(topic('bestblock'), { PeerId: go.id });
  const answer = await go.program.event<GoDirectMessage>('direct', () => true, 'our answer');
  assert.equal(answer.from, ours);
  const told = JSON.parse(answer.data) as Record<string, unknown>;
  assert.deepEqual([told.Hash, told.Height], [mined.hash, mined.height]);
});

test('another pre-shared key keeps a Go node out', async (context) => {
  const settings = serverSettings(context, { p2p_shared_key: SHARED_KEY }, 'first');
  const server = await startServer(context, settings);
  const stranger = await GoPeer.start(context, { sharedKey: '7d'.repeat(32) });
  await assert.rejects(stranger.connect(server.address), /connect/);
  assert.deepEqual(await stranger.connected(), []);
  const member = await GoPeer.start(context, { sharedKey: SHARED_KEY });
  await member.connect(server.address);
  assert.deepEqual(await member.connected(), [server.server.peerId]);
});

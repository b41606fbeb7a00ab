/** A whole server that is told of invalid blocks and subtrees: who announced them is scored, then banned; no such block is announced. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import {
  KafkaInvalidBlockTopicMessage,
  KafkaInvalidSubtreeTopicMessage,
} from '../../src/shared/generated/kafkamessage.js';
import { createProducer } from '../../src/shared/sinks/kafka/index.js';
import { hashOf, joinPeer, outcomesOf, subtreeData, topicOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer, type Peer } from '../support/peer.js';
import { sampleData } from '../support/sample-messages.js';
import { adminClient, serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const BLOCK = kindNamed('block');
const SUBTREE = kindNamed('subtree');
if (BLOCK === undefined || SUBTREE === undefined) throw new Error('no blocks or subtrees');

const REPORTED = {
  p2p_node_status_interval: 3_600_000,
  kafka_invalidBlocksConfig: 'memory://embedded/invalid-blocks?partitions=1',
  kafka_invalidSubtreesConfig: 'memory://embedded/invalid-subtrees?partitions=1',
};

type Topic = 'kafka_invalidBlocksConfig' | 'kafka_invalidSubtreesConfig';

/** What the node's validation does: puts records into a topic. */
async function reporter(
  context: Pick<TestContext, 'after'>,
  { settings, dependencies }: TestServer,
  key: Topic,
): Promise<(...values: Uint8Array[]) => Promise<void>> {
  const { logger, brokerSocketPath } = dependencies;
  const producer = createProducer(settings, key, { logger, brokerSocketPath });
  context.after(() => producer.disconnect());
  await producer.connect();
  return (...values) => producer.send(values.map((value) => ({ value })));
}

const invalidBlock = (blockHash: string, peer_id = ''): Uint8Array =>
  KafkaInvalidBlockTopicMessage.encode({ blockHash, reason: 'bad', peer_id, peer_url: '' }).finish();
const invalidSubtree = (subtreeHash: string, peerUrl = ''): Uint8Array =>
  KafkaInvalidSubtreeTopicMessage.encode({
    subtreeHash,
    reason: 'contains_invalid_transaction',
    peerUrl,
  }).finish();

const blockData = (author: string, header: Uint8Array, height: number): Uint8Array =>
  sampleData(
    'block',
    { hash: headerHash(header), height, header: Buffer.from(header).toString('hex'), peerId: author },
    'message-bus',
    author,
  );

async function accepted(server: TestServer, kind: string, count: number): Promise<void> {
  await waitFor(async () => (await outcomesOf(server)).get(`${kind} ok`) === count, {
    what: `${count} of ${kind}`,
  });
}

async function reportsOf({ dependencies }: TestServer, outcome: string): Promise<number> {
  const metric = await dependencies.registry.getSingleMetric('teranode_p2p_invalid_reports_total')?.get();
  const values = metric?.values.filter(({ labels }) => labels.outcome === outcome) ?? [];
  return values.reduce((sum, { value }) => sum + value, 0);
}

async function joinTwo(context: TestContext, server: TestServer): Promise<[Peer, Peer]> {
  const topics = [topicOf(server, BLOCK as never), topicOf(server, SUBTREE as never)];
  return [
    await joinPeer(context, server, { topics, localAddress: '127.0.0.2' }),
    await joinPeer(context, server, { topics, localAddress: '127.0.0.3' }),
  ];
}

test('who announced invalid blocks and subtrees is scored, seen over gRPC, and banned after enough of them', async (context) => {
  const server = await startServer(context, serverSettings(context, REPORTED));
  const client = adminClient(context, server);
  const scoreOf = async (peer: Peer): Promise<number | undefined> =>
    (await client.getPeers()).find(({ id }) => id === peer.id)?.banscore;
  const [near, relay] = await joinTwo(context, server);
  const blocks = await reporter(context, server, 'kafka_invalidBlocksConfig');
  const subtrees = await reporter(context, server, 'kafka_invalidSubtreesConfig');

  const [header] = minedChain(1) as [Uint8Array];
  await near.publish(topicOf(server, BLOCK as never), blockData(near.id, header, 1));
  await accepted(server, 'block', 1);
  // Poison before and after: nothing blocks.
  await blocks(Buffer.from('poison'), invalidBlock(headerHash(header)), Buffer.alloc(0));
  await waitFor(async () => (await scoreOf(near)) === 10, { what: 'the score of the block' });
  // The same again, as when the topic is replayed: nobody is scored twice, nor whom the record names besides.
  await blocks(invalidBlock(headerHash(header)), invalidBlock(headerHash(header), relay.id));
  await waitFor(async () => (await reportsOf(server, 'repeat')) === 2, { what: 'the replay' });
  assert.equal(await scoreOf(near), 10);

  // Who is connected from loopback is never banned: the author of the rest speaks to the relay alone.
  const topic = topicOf(server, SUBTREE as never);
  const author = await createPeer({ context, topics: [topic], localAddress: '127.0.0.4' });
  await author.dial(relay.address);
  await author.sees(relay.id, topic);
  for (let n = 0; n < 10; n++) await author.publish(topic, subtreeData(author.id, n));
  await accepted(server, 'subtree', 10);
  for (let n = 0; n < 9; n++) await subtrees(invalidSubtree(hashOf(n)));
  await waitFor(async () => (await reportsOf(server, 'scored')) === 10, {
    what: 'the score of nine subtrees',
  });
  assert.equal(server.server.parts.scores.score(author.id), 90);
  assert.equal(await client.isBanned(author.id), false);
  await subtrees(invalidSubtree(hashOf(9)));
  await waitFor(() => client.isBanned(author.id), { what: 'the ban' });
  assert.equal(await scoreOf(relay), 0);
});

test('of two who announced a subtree the one whose data hub failed is scored, of an invalid block both are', async (context) => {
  const server = await startServer(context, serverSettings(context, REPORTED));
  const [one, two] = await joinTwo(context, server);
  const blocks = await reporter(context, server, 'kafka_invalidBlocksConfig');
  const subtrees = await reporter(context, server, 'kafka_invalidSubtreesConfig');
  const { scores } = server.server.parts;
  const hub = (name: string) => ({ dataHubUrl: `https://${name}.example/api/v1` });
  await one.publish(topicOf(server, SUBTREE as never), subtreeData(one.id, 1, hub('one')));
  await two.publish(topicOf(server, SUBTREE as never), subtreeData(two.id, 1, hub('two')));
  await accepted(server, 'subtree', 2);
  await subtrees(invalidSubtree(hashOf(1), 'https://two.example/api/v1'));
  await waitFor(() => scores.score(two.id) === 10, { what: 'the score of the one' });
  assert.equal(scores.score(one.id), 0);
  const { records } = server.server.parts.registry;
  assert.equal(records.get(two.id).failures, 1);
  assert.equal(records.has(one.id), false);
  // Fetched from a data hub that is no announcer's: neither is to blame.
  await subtrees(invalidSubtree(hashOf(1), 'https://three.example/api/v1'));
  await waitFor(async () => (await reportsOf(server, 'nobody')) === 1, { what: 'the other data hub' });
  assert.equal(scores.score(one.id), 0);

  const [header] = minedChain(1) as [Uint8Array];
  for (const peer of [one, two]) {
    await peer.publish(topicOf(server, BLOCK as never), blockData(peer.id, header, 1));
  }
  await accepted(server, 'block', 2);
  await blocks(invalidBlock(headerHash(header)));
  await waitFor(() => scores.score(one.id) === 10 && scores.score(two.id) === 20, { what: 'both scores' });
});

test('who nobody announced it is found by peer ID, and the consumers are in readiness and in the figures', async (context) => {
  const server = await startServer(context, serverSettings(context, REPORTED));
  const [peer] = await joinTwo(context, server);
  const blocks = await reporter(context, server, 'kafka_invalidBlocksConfig');
  await blocks(invalidBlock(hashOf(1), peer.id));
  await waitFor(() => server.server.parts.scores.score(peer.id) === 10, { what: 'the score' });
  const { dependencies } = await server.server.health(false);
  for (const topic of ['rejectedtx', 'invalid-blocks', 'invalid-subtrees']) {
    assert.equal(dependencies.find(({ resource }) => resource === `kafka ${topic}`)?.status, 200, topic);
  }
  const scrape = await server.server.scrape();
  assert.match(scrape, /teranode_p2p_invalid_reports_total\{kind="block",outcome="scored"\} 1/);
  assert.match(
    scrape,
    /teranode_p2p_kafka_consumed_records_total\{topic="invalid-blocks",outcome="handled"\} 1/,
  );
});

test('a peer on loopback is not banned for what is found invalid after it has left', async (context) => {
  const server = await startServer(context, serverSettings(context, REPORTED));
  const [peer] = await joinTwo(context, server);
  const subtrees = await reporter(context, server, 'kafka_invalidSubtreesConfig');
  const { scores, bans, node } = server.server.parts;
  for (let n = 0; n < 10; n++) {
    await peer.publish(topicOf(server, SUBTREE as never), subtreeData(peer.id, n));
  }
  await accepted(server, 'subtree', 10);
  await peer.stop();
  await waitFor(() => node.peers().every(({ id }) => id !== peer.id), { what: 'its leaving' });
  for (let n = 0; n < 10; n++) await subtrees(invalidSubtree(hashOf(n)));
  await waitFor(() => scores.score(peer.id) === 100, { what: 'the score' });
  assert.equal(bans.isPeerBanned(peer.id), false);
});

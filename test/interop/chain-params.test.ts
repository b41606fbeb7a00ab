/** The networks as Go nodes know them, and a server that nobody has configured among such nodes. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { genesisHeader } from '../../src/main/chain/genesis.js';
import { topicNames } from '../../src/main/node/gossip/service.js';
import type { HashHex } from '../../src/shared/bitcoin/hash.js';
import { KafkaRejectedTxTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { NotificationType } from '../../src/shared/generated/model.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { checkContextOf } from '../../src/shared/pipeline/check-context.js';
import { SETTINGS, type Settings } from '../../src/shared/settings/table.js';
import { createProducer } from '../../src/shared/sinks/kafka/index.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { sumOf } from '../support/gossip.js';
import { openFeed, serverSettings, startServer, type TestServer } from '../support/server.js';
import { settingsOf } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { BusClient } from './bus.js';
import { CHAIN_PARAMS, goTopic } from './params.js';

/** As shipped with Go nodes, not as this server's settings have them. */
const TOPICS = ['bestblock', 'block', 'subtree', 'miningon', 'rejected_tx', 'node_status', 'handshake'];
const HUB = 'http://127.0.0.1:8090/api/v1';
const GO_HUB = 'http://127.0.0.1:9/api/v1';
/** The main network's first blocks after genesis, from its chain: nobody can mine there for a test. */
const BLOCK_1 =
  '010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299';
const HASH_1 = '00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048';
const BLOCK_2 =
  '010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61';
const HASH_2 = '000000006a625f06636b8bb6ac7b960a8d03705d1ace08b1a19da3fdcc99ddbd';

test('topics, work limits and first blocks of every network are those of the Go nodes', () => {
  assert.deepEqual(CHAIN_PARAMS.map(({ name }) => name).sort(), [...SETTINGS.network.choices].sort());
  for (const { name, topicPrefix, powLimitBits, reduceMinDifficulty, genesisHeader: first } of CHAIN_PARAMS) {
    const settings = settingsOf({ network: name as Settings['network'] });
    assert.deepEqual(
      topicNames(settings, MESSAGE_KINDS).sort(),
      TOPICS.map((topic) => `${topicPrefix}-${topic}`).sort(),
    );
    const { powLimitBits: limit, allowsMinimumDifficulty } = checkContextOf(settings);
    assert.deepEqual(
      [name, limit, allowsMinimumDifficulty, Buffer.from(genesisHeader(settings.network)).toString('hex')],
      [name, powLimitBits, reduceMinDifficulty, first],
    );
  }
});

/** Nothing set but addresses, ports, the directory, and that loopback is an address like others. */
function shippedSettings(context: TestContext, blockchain: BlockchainService): Settings {
  const free = '127.0.0.1:0';
  return settingsOf({
    DATADIR: temporaryDirectory(context),
    p2p_listen_addresses: ['127.0.0.1'],
    p2p_port: 0,
    p2p_bootstrap_peers: [],
    p2p_allow_private_ips: true,
    p2p_grpcListenAddress: free,
    p2p_httpListenAddress: free,
    health_check_httpListenAddress: free,
    profilerAddr: free,
    asset_httpAddress: HUB,
    blockchain_grpcAddress: blockchain.address,
  });
}

test('a server with the settings as shipped and a Go node hear each other in every kind', async (context) => {
  const chain = new BlockchainService();
  await chain.start();
  context.after(() => chain.stop());
  chain.add(genesisHeader('mainnet'), { height: 0 });
  const server = await startServer(context, shippedSettings(context, chain));
  const ours = server.server.peerId;
  const feed = await openFeed(context, server.server);
  const topic = (name: string) => goTopic(name, 'mainnet');
  const go = await BusClient.start(context, {
    name: 'go node',
    protocolVersion: '/teranode/bitcoin/mainnet/1.0.0',
    bootstrap: [server.address],
    dhtMode: 'off',
    topics: TOPICS.map(topic),
  });

  const status = await go.heard(topic('node_status'), ours);
  assert.equal(status.json.type, 'node_status');
  assert.deepEqual((await go.heard(topic('bestblock'), ours)).json, { PeerID: ours });
  chain.add(Buffer.from(BLOCK_1, 'hex'), { height: 1 });
  chain.notify(NotificationType.Block, HASH_1 as HashHex);
  chain.notify(NotificationType.Subtree, HASH_2 as HashHex);
  const block = await go.heard(topic('block'), ours);
  assert.deepEqual([block.json.Hash, block.json.Header, block.json.DataHubURL], [HASH_1, BLOCK_1, HUB]);
  assert.equal((await go.heard(topic('miningon'), ours)).json.Hash, HASH_1);
  assert.equal((await go.heard(topic('subtree'), ours)).json.Hash, HASH_2);
  await rejectTransaction(context, server, HASH_2);
  assert.equal((await go.heard(topic('rejected_tx'), ours)).json.TxID, HASH_2);

  const said = { DataHubURL: GO_HUB, PeerID: go.id, ClientName: 'go node' };
  await go.publish(topic('block'), { Hash: HASH_2, Height: 2, ...said, Header: BLOCK_2, Coinbase: '' });
  await go.publish(topic('subtree'), { Hash: HASH_1, ...said });
  await go.publish(topic('miningon'), {
    Hash: HASH_2,
    PreviousHash: HASH_1,
    ...said,
    Height: 2,
    Miner: '/go/',
  });
  await go.publish(topic('rejected_tx'), { TxID: HASH_1, Reason: 'too low a fee', PeerID: go.id });
  await go.publish(topic('node_status'), { peer_id: go.id, type: 'node_status', best_height: 2 });
  await go.publish(topic('bestblock'), { PeerID: go.id });
  await go.publish(topic('handshake'), { type: 'version', peerID: go.id });
  for (const type of ['block', 'subtree', 'mining_on', 'rejected_tx', 'node_status']) {
    await feed.next((frame) => frame.type === type && frame.peer_id === go.id, type);
  }
  for (const kind of ['bestblock', 'handshake']) {
    const heard = async () => sumOf(await server.server.scrape(), 'teranode_p2p_node_heard_total', { kind });
    await waitFor(async () => (await heard()) === 1, { what: kind, everyMs: 100 });
  }
});

/** A rejected transaction from the node's other services, by way of their topic. */
async function rejectTransaction(
  context: TestContext,
  { settings, dependencies: { logger, brokerSocketPath } }: TestServer,
  txHash: string,
): Promise<void> {
  const producer = createProducer(settings, 'kafka_rejectedTxConfig', { logger, brokerSocketPath });
  context.after(() => producer.disconnect());
  await producer.connect();
  const value = KafkaRejectedTxTopicMessage.encode({ txHash, reason: 'too low a fee', peer_id: '' }).finish();
  await producer.send([{ value }]);
}

test('a Go node of mid 2025 is named after 30 s, counted, and readiness says that no topic is shared', async (context) => {
  const server = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const began = performance.now();
  const go = await BusClient.start(context, {
    name: 'mid 2025',
    bootstrap: [server.address],
    dhtMode: 'off',
    topics: ['bitcoin/regtest-block'],
  });
  const counted = async () =>
    sumOf(await server.server.scrape(), 'teranode_p2p_node_peers_without_shared_topic');
  await waitFor(async () => (await counted()) === 1, { what: 'the count', timeoutMs: 60_000, everyMs: 200 });
  assert.ok(performance.now() - began >= 30_000, 'it has 30 s');
  const line = await waitFor(() =>
    server.log.lines.find(({ msg }) => /none of our topics/.test(String(msg))),
  );
  assert.deepEqual(line.peers, [{ id: go.id, topics: ['bitcoin/regtest-block'] }]);
  const report = await server.server.health(false);
  const libp2p = report.dependencies.find(({ resource }) => resource === 'libp2p');
  assert.match(String(libp2p?.message), /connected peers share no topic/);
});

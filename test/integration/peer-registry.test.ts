/** The peer registry of whole servers: filled by gossip, judged by the services around, kept over a death. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NotificationType } from '../../src/shared/generated/model.js';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { asPeer } from '../support/branded.js';
import { joinPeer, outcomesOf, subtreeData, topicOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer } from '../support/peer.js';
import { mineHeader, OTHER_PEER, sampleData } from '../support/sample-messages.js';
import {
  adminClient,
  adminClientOf,
  openFeed,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import { waitFor } from '../support/wait.js';

const kindOf = (name: string) => kindNamed(name);
const QUIET = { p2p_node_status_interval: 3_600_000, p2p_notification_servers: 1 };

const statusData = (author: PeerIdText, changes: object = {}) =>
  sampleData('node_status', { peerId: author, ...changes }, 'message-bus', author);

const outcome = async (server: TestServer, name: string) => (await outcomesOf(server)).get(name) ?? 0;

test('a node status fills the registry; a low reputation silences all but blocks, until it is reset', async (context) => {
  const server = await startServer(context, serverSettings(context, QUIET));
  const client = adminClient(context, server);
  const feed = await openFeed(context, server.server);
  const topics = ['subtree', 'node_status', 'block', 'rejected_tx'].map((name) =>
    topicOf(server, kindOf(name)),
  );
  const [subtrees = '', statuses = '', blocks = '', rejections = ''] = topics;
  const peer = await joinPeer(context, server, { topics });
  const other = await joinPeer(context, server, { topics });
  assert.equal((await client.getPeer(peer.id))?.is_connected, true, 'known before it says anything');

  const told = { clientName: 'the peer', bestHeight: 4_000_000_000, storage: 'pruned' };
  await peer.publish(statuses, statusData(peer.id, { ...told, baseUrl: 'http://127.0.0.1:8090/hub' }));
  const filled = await waitFor(
    async () => {
      const info = await client.getPeer(peer.id);
      return info?.client_name === 'the peer' ? info : undefined;
    },
    { what: 'its status in the registry' },
  );
  const { p2p_max_unvalidated_advertised_height_lead: lead } = server.settings;
  assert.equal(filled.height, (server.server.parts.chain.best?.height ?? Number.NaN) + lead);
  assert.equal(filled.data_hub_url, 'http://127.0.0.1:8090/hub');
  assert.equal(filled.storage, 'pruned');
  assert.equal(filled.reputation_score, 50);
  assert.ok(filled.bytes_received > 0n && filled.last_message_time > 0n);
  assert.deepEqual(
    (await client.getPeersForCatchup()).map(({ id }) => id),
    [peer.id],
  );

  await client.recordCatchupFailure(peer.id);
  await peer.publish(subtrees, subtreeData(peer.id, 1));
  await peer.publish(statuses, statusData(peer.id, { clientName: 'another name' }));
  await peer.publish(rejections, sampleData('rejected_tx', { peerId: peer.id }, 'message-bus', peer.id));
  for (const kind of ['subtree', 'node_status', 'rejected_tx']) {
    await waitFor(async () => (await outcome(server, `${kind} low_reputation`)) === 1, { what: kind });
  }
  const { hash, header } = mineHeader();
  const data = sampleData(
    'block',
    { hash, header, peerId: peer.id, dataHubUrl: 'http://127.0.0.1:1/x' },
    'message-bus',
    peer.id,
  );
  await peer.publish(blocks, data);
  await feed.next((frame) => frame.type === 'block' && frame.hash === hash, 'its block');
  // What it only passes on is another’s.
  await other.publish(subtrees, subtreeData(other.id, 2));
  await feed.next((frame) => frame.type === 'subtree' && frame.peer_id === other.id, 'the other’s subtree');
  assert.equal((await client.getPeer(peer.id))?.ban_score, 0, 'ignored, not punished');
  assert.ok(
    other.heard.every(({ author, topic }) => author !== peer.id || topic === blocks || topic === statuses),
  );

  assert.equal(await client.resetReputation(peer.id), 1);
  await peer.publish(subtrees, subtreeData(peer.id, 3));
  await feed.next((frame) => frame.type === 'subtree' && frame.peer_id === peer.id, 'its subtree');

  const { bytes_received: before = 0n } = (await client.getPeer(peer.id)) ?? {};
  const stored = () => JSON.parse(server.server.parts.registry.known.encoded(peer.id) ?? '{}');
  await waitFor(() => BigInt(stored().bytesReceived ?? 0) > 0n, {
    what: 'the bytes of its open connection to be stored',
    timeoutMs: 30_000,
  });
  await peer.stop();
  const gone = await waitFor(
    async () => {
      const info = await client.getPeer(peer.id);
      return info?.is_connected === false ? info : undefined;
    },
    { what: 'its leaving' },
  );
  assert.ok(gone.bytes_received >= before && gone.connected_at > 0n);
  const scrape = await server.server.scrape();
  assert.match(scrape, /teranode_p2p_peer_interactions_total\{outcome="failure"\} 1/);
});

test('a static peer that is heard but not connected is remembered, however many strangers speak', async (context) => {
  const address = `/ip4/127.0.0.1/tcp/1/p2p/${OTHER_PEER}`;
  const server = await startServer(
    context,
    serverSettings(context, { ...QUIET, p2p_static_peers: [address] }),
  );
  const { known } = server.server.parts.registry;
  const said = { type: 'block', height: 1, hash: '', dataHubUrl: '', clientName: '', header: '' } as const;
  known.learn({ ...said, peer: OTHER_PEER });
  known.learn({ ...said, peer: asPeer('the first stranger') });
  for (let n = 0; n < 10_000; n++) known.learn({ ...said, peer: asPeer(`stranger ${n}`) });
  assert.deepEqual([known.get(OTHER_PEER)?.height, known.get(asPeer('the first stranger'))], [1, undefined]);
});

test('the chain service’s word of a failed catch-up is recorded; of other failures, and of nobody, it is not', async (context) => {
  const [first] = minedChain(1) as [Uint8Array];
  const service = new BlockchainService();
  service.add(first, { height: 1 });
  await service.start();
  context.after(() => service.stop());
  const server = await startServer(
    context,
    serverSettings(context, { ...QUIET, blockchain_grpcAddress: service.address }),
  );
  await waitFor(() => service.streams.size > 0, { what: 'the subscription' });
  const client = adminClient(context, server);
  const failure = (peer_id: string, failure_type: string, reason: string) =>
    service.notify(NotificationType.PeerFailure, '', { peer_id, failure_type, reason });
  failure('junk', 'catchup', 'r');
  failure('', 'catchup', 'r');
  failure(OTHER_PEER, 'something else', 'r');
  failure(server.server.peerId, 'catchup', '');
  const { id } = await createPeer({ context, listen: false });
  failure(id, 'catchup', 'timed <out>');
  const shown = await waitFor(() => client.getPeer(id), { what: 'the failure' });
  assert.equal(shown.catchup_failures, 1n);
  assert.equal(shown.last_catchup_error, 'timed out');
  assert.equal(shown.reputation_score, 5);
  await client.recordCatchupFailure(id);
  assert.equal((await client.getPeer(id))?.catchup_failures, 1n, 'the same failure, told twice');
  assert.deepEqual(
    (await client.getPeerRegistry()).map((peer) => peer.id),
    [id],
  );
});

test('what is recorded is there after SIGKILL, once it is stored', async (context) => {
  const run = launchServer(context);
  const file = await run.ready();
  const client = adminClientOf(context, file.ports.grpc, run.directory);
  await client.recordCatchupMalicious(OTHER_PEER);
  await client.recordBytesDownloaded(OTHER_PEER, 2n ** 64n - 1n);
  const stored = /^teranode_p2p_peer_registry_unstored 0$/m;
  const recorded = /^teranode_p2p_peers_recorded 1$/m;
  await waitFor(
    async () => {
      const scrape = await (await fetch(`http://127.0.0.1:${file.ports.metrics}/metrics`)).text();
      return recorded.test(scrape) && stored.test(scrape);
    },
    { what: 'the registry to be stored', everyMs: 100 },
  );
  run.child.kill('SIGKILL');
  await run.exit;
  const again = launchServer(context, { directory: run.directory });
  const port = (
    await waitFor(async () => {
      const found = await again.ready();
      return found.pid === again.child.pid ? found : undefined;
    })
  ).ports.grpc;
  const shown = await adminClientOf(context, port, run.directory).getPeer(OTHER_PEER);
  assert.equal(shown?.malicious_count, 1n);
  assert.equal(shown?.reputation_score, 5);
  assert.equal(shown?.bytes_received, 2n ** 64n - 1n);
  assert.equal(shown?.is_connected, false);
});

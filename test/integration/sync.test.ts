/** Catching up with whole servers: real peers, data hubs over HTTP, a blockchain service over gRPC, records in Kafka. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GuardedHttp } from '../../src/main/sync/guarded-http.js';
import type { HashHex } from '../../src/shared/bitcoin/hash.js';
import { FSMStateType } from '../../src/shared/generated/blockchain_api.js';
import { KafkaBlockTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { NotificationType } from '../../src/shared/generated/model.js';
import { checkContextOf } from '../../src/shared/pipeline/check-context.js';
import type { NodeStatusReport } from '../../src/shared/status.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { type DataHub, startDataHub } from '../support/data-hub.js';
import { joinPeer, sumOf, topicOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { kindNamed } from '../support/kinds.js';
import type { Peer } from '../support/peer.js';
import { sampleData } from '../support/sample-messages.js';
import {
  openFeed,
  recordsOf,
  type StartOptions,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import type { SettingChanges } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

const nodeStatus = kindNamed('node_status');

/** The data hubs of these tests are on this machine, where those of strangers are never asked. */
const withHubsHere: NonNullable<StartOptions['dependencies']> = (composed) => ({
  ...composed,
  dataHubs: new GuardedHttp({ context: checkContextOf(composed.settings), allowLoopback: true }),
});

/** A server at height 1 whose chain is told by the test, and what it wrote for block validation. */
async function startBehind(context: TestContext, options: StartOptions = {}, changes: SettingChanges = {}) {
  const headers = minedChain(3) as [Uint8Array, Uint8Array, Uint8Array];
  const service = new BlockchainService();
  service.add(headers[0], { height: 1 });
  service.fsm = FSMStateType.CATCHINGBLOCKS;
  await service.start();
  context.after(() => service.stop());
  const server = await startServer(
    context,
    serverSettings(context, {
      blockchain_grpcAddress: service.address,
      p2p_notification_servers: 1,
      p2p_node_status_interval: 200,
      p2p_sync_interval: 50,
      ...changes,
    }),
    { dependencies: withHubsHere, ...options },
  );
  const { records } = await recordsOf(context, server, 'kafka_blocksConfig');
  await waitFor(() => server.server.parts.chain.best?.height === 1, { what: 'our own height' });
  return {
    server,
    service,
    triggers: () => records.map(({ key, value }) => ({ key, ...KafkaBlockTopicMessage.decode(value) })),
    /** The chain is no longer at it by itself. */
    run: () => {
      service.fsm = FSMStateType.RUNNING;
      const event = { event: 'RUN', destination: 'RUNNING' };
      service.notify(NotificationType.FSMState, '00'.repeat(32) as HashHex, event);
    },
    /** The chain has got to `height`. */
    reach: (height: 2 | 3) => {
      const hash = service.add(headers[height - 1] as Uint8Array, { height });
      service.notify(NotificationType.Block, hash);
    },
  };
}

const hashAt = (height: number): string => height.toString(16).padStart(64, 'a');

/** A peer that says to be at `height` and to have it at `url`. */
async function joinAhead(
  context: TestContext,
  server: TestServer,
  height: number,
  url: string,
  storage = 'full',
): Promise<Peer> {
  const topic = topicOf(server, nodeStatus);
  const peer = await joinPeer(context, server, { topics: [topic] });
  const told = {
    peerId: peer.id,
    bestHeight: height,
    bestBlockHash: hashAt(height),
    baseUrl: url,
    storage,
  };
  await peer.publish(topic, sampleData('node_status', told, 'message-bus', peer.id));
  return peer;
}

test('a node that is behind catches up from the best peer whose data hub answers, another when that fails, and says from whom', async (context) => {
  const { server, service, triggers, reach, run } = await startBehind(context);
  const feed = await openFeed(context, server.server);
  const hubs = await Promise.all([1, 2, 3].map(() => startDataHub(context)));
  const [good, fallback, down] = hubs as [DataHub, DataHub, DataHub];
  down.answer = (_, response) => void response.writeHead(502).end();
  await joinAhead(context, server, 9, down.url);
  const second = await joinAhead(context, server, 3, fallback.url, 'pruned');
  const first = await joinAhead(context, server, 2, good.url);
  await waitFor(() => server.server.parts.registry.known.list().every(({ height }) => height > 0), {
    what: 'every status',
  });
  assert.equal(good.connections + down.connections, 0, 'a chain that is at it is left alone');
  run();
  const [trigger] = await waitFor(() => (triggers().length > 0 ? triggers() : undefined), {
    what: 'the record',
  });
  assert.deepEqual(
    [trigger?.hash, trigger?.URL, trigger?.peer_id, Buffer.from(trigger?.key ?? []).toString()],
    [hashAt(2), good.url, first.id, hashAt(2)],
  );
  assert.deepEqual(good.asked, ['/api/v1/bestblockheader']);
  assert.equal(down.asked.length, 1);
  const ours = (peer: string) =>
    feed.next(
      (frame) => frame.type === 'node_status' && frame.sync_peer_id === peer,
      'our status with the sync peer',
    );
  const said = await ours(first.id);
  assert.deepEqual(
    [said.peer_id, said.sync_peer_height, said.sync_peer_block_hash],
    [server.server.peerId, 2, hashAt(2)],
  );
  assert.ok(Math.abs(Number(said.sync_connected_at) - Date.now() / 1000) < 60);
  const shown = async () => {
    const answer = await fetch(`http://127.0.0.1:${server.server.ports.http}/api/status`);
    return ((await answer.json()) as NodeStatusReport).sync;
  };
  const { since, ...catching } = await waitFor(shown, { what: 'the sync peer in the page’s status' });
  assert.deepEqual([catching.id, catching.height], [first.id, 2]);
  assert.ok(Math.abs(since - Date.now()) < 60_000);

  service.notify(NotificationType.PeerFailure, '', {
    peer_id: first.id,
    failure_type: 'catchup',
    reason: 'no such block',
  });
  await waitFor(() => triggers().length === 2, { what: 'the next peer' });
  assert.deepEqual([triggers()[1]?.hash, triggers()[1]?.peer_id], [hashAt(3), second.id]);
  await ours(second.id);
  reach(2);
  reach(3);
  const seen = feed.frames.length;
  await waitFor(
    () =>
      feed.frames
        .slice(seen)
        .some(
          ({ type, best_height, sync_peer_id }) =>
            type === 'node_status' && best_height === 3 && sync_peer_id === undefined,
        ),
    { what: 'our status without a sync peer' },
  );
  await waitFor(async () => (await shown()) === undefined, { what: 'the page’s status without one' });
  const scrape = await server.server.scrape();
  assert.equal(sumOf(scrape, 'teranode_p2p_sync_ended_total', { reason: 'failure' }), 1);
  assert.equal(sumOf(scrape, 'teranode_p2p_sync_ended_total', { reason: 'caught_up' }), 1);
  assert.equal(sumOf(scrape, 'teranode_p2p_sync_active'), 0);
  assert.equal(triggers().length, 2);
});

test('a data hub whose name resolves inside is never connected to, and its peer not chosen', async (context) => {
  const hub = await startDataHub(context);
  const names: string[] = [];
  const { server, triggers, run } = await startBehind(context, {
    dependencies: (composed) => ({
      ...composed,
      dataHubs: new GuardedHttp({
        context: checkContextOf({ ...composed.settings, p2p_allow_private_ips: false }),
        resolve: async (name) => {
          names.push(name);
          return [{ address: '127.0.0.1', family: 4 }];
        },
      }),
    }),
  });
  await joinAhead(context, server, 3, `http://hub.example.com:${hub.port}`);
  run();
  await waitFor(
    async () =>
      sumOf(await server.server.scrape(), 'teranode_p2p_data_hub_checks_total', { outcome: 'inside' }) > 0,
    { what: 'the look at it' },
  );
  assert.deepEqual(names, ['hub.example.com']);
  assert.equal(hub.connections, 0);
  assert.deepEqual(triggers(), []);
  assert.equal(server.server.parts.sync?.syncPeer, undefined);
});

test('with the embedded chain, which follows by itself, and where it is turned off, nobody is chosen', async (context) => {
  const embedded = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  assert.equal(embedded.server.parts.sync, undefined);
  const off = await startBehind(context, {}, { p2p_sync_coordination: false });
  assert.equal(off.server.server.parts.sync, undefined);
});

/** The services beside a whole server: absent, gone, back. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EmbeddedBrokerThread } from '../../src/main/broker/index.js';
import { EmbeddedValidationService } from '../../src/main/devnet/validation-service.js';
import type { P2PServer } from '../../src/main/server/server.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { NotificationType } from '../../src/shared/generated/model.js';
import type { FoundBlock } from '../../src/shared/grpc/block-validation-client.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { sumOf, topicOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { kindNamed } from '../support/kinds.js';
import { keptLog } from '../support/logger.js';
import { freePorts } from '../support/ports.js';
import { chainOf, openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor, within } from '../support/wait.js';

interface Readiness {
  readonly code: number;
  readonly status: string;
  readonly dependencies: readonly {
    readonly resource: string;
    readonly status: string;
    readonly error: string;
    readonly message: string;
  }[];
}

async function readiness(server: P2PServer): Promise<Readiness> {
  const answer = await fetch(`http://127.0.0.1:${server.ports.health}/health/readiness`);
  return { code: answer.status, ...((await answer.json()) as Omit<Readiness, 'code'>) };
}

/** Resources that are not well. */
const ailing = ({ dependencies }: Readiness) =>
  dependencies.filter(({ status }) => status !== '200').map(({ resource }) => resource);

async function untilReady(server: P2PServer, ready: boolean): Promise<Readiness> {
  return waitFor(
    async () => {
      const state = await readiness(server);
      return (state.code === 200) === ready ? state : undefined;
    },
    { what: `readiness ${ready ? 200 : 503}`, timeoutMs: 60_000, everyMs: 50 },
  );
}

/** `count` headers on regtest's first block, the last of them not told to the service yet. */
async function chainService(
  context: TestContext,
  headers: readonly Uint8Array[],
): Promise<BlockchainService> {
  const service = new BlockchainService();
  for (const header of headers) service.add(header, { height: service.headers.size + 1 });
  await service.start();
  context.after(() => service.stop());
  return service;
}

test('the chain service goes and comes back: readiness says why, announcing resumes, stopping does not wait', async (context) => {
  const [first, second, third] = minedChain(3) as [Uint8Array, Uint8Array, Uint8Array];
  const service = await chainService(context, [first]);
  const server = await startServer(
    context,
    serverSettings(context, { blockchain_grpcAddress: service.address, p2p_notification_servers: 1 }),
  );
  const feed = await openFeed(context, server.server);
  await waitFor(() => service.streams.size > 0, { what: 'the subscription' });
  service.add(second, { height: 2 });
  service.notify(NotificationType.Block, headerHash(second));
  await feed.next((frame) => frame.type === 'block' && frame.hash === headerHash(second), 'our block');
  assert.deepEqual(ailing(await untilReady(server.server, true)), []);

  service.stop();
  const gone = await untilReady(server.server, false);
  assert.deepEqual(ailing(gone), ['BlockchainClient', 'FSM', 'blockchain subscription']);
  const subscribed = async () =>
    sumOf(await server.server.scrape(), 'teranode_p2p_announce_chain_subscribed');
  assert.equal(await subscribed(), 0);
  assert.match(gone.dependencies.find(({ resource }) => resource === 'BlockchainClient')?.error ?? '', /\w/);
  assert.equal((await server.server.health(true)).status, 200, 'liveness looks at nothing outside');

  // A block that came meanwhile is announced once the service is back.
  service.add(third, { height: 3 });
  await service.start();
  await untilReady(server.server, true);
  await feed.next((frame) => frame.type === 'block' && frame.hash === headerHash(third), 'the block missed');
  assert.equal(await subscribed(), 1);
  service.stop();
  await untilReady(server.server, false);
  const began = performance.now();
  await within(server.server.stop(), 8_000, 'a stop without the chain service');
  context.diagnostic(`stopped in ${Math.round(performance.now() - began)} ms`);
});

test('a chain service that wants the key of admin calls: with it all is well, with another readiness says which setting', async (context) => {
  const [first] = minedChain(1) as [Uint8Array];
  const service = await chainService(context, [first]);
  service.apiKey = 'the-key-of-the-node';
  const start = (key: string) =>
    startServer(
      context,
      serverSettings(context, {
        blockchain_grpcAddress: service.address,
        grpc_admin_api_key: key,
        p2p_notification_servers: 1,
      }),
    );
  const { server } = await start(service.apiKey);
  assert.deepEqual(ailing(await untilReady(server, true)), []);
  assert.deepEqual(
    service.callers.filter(({ key }) => key !== service.apiKey),
    [],
  );

  service.apiKey = 'another';
  for (const stream of service.streams) stream.end();
  await waitFor(() => (service.calls.get('subscribe') ?? 0) > 1, { what: 'a subscription that is refused' });
  const refused = await waitFor(
    async () => {
      const { dependencies } = await untilReady(server, false);
      const bad = dependencies.filter(({ status }) => status !== '200');
      return bad.every(({ error }) => error.startsWith('grpc_admin_api_key: ')) ? bad : undefined;
    },
    { what: 'the setting in readiness' },
  );
  assert.deepEqual(
    refused.map(({ resource }) => resource),
    ['FSM', 'blockchain subscription'],
  );
});

test('the key that a server made for its own admin calls goes to nobody', async (context) => {
  const [first] = minedChain(1) as [Uint8Array];
  const service = await chainService(context, [first]);
  const settings = serverSettings(context, {
    blockchain_grpcAddress: service.address,
    p2p_notification_servers: 1,
  });
  await startServer(context, settings);
  assert.match(readFileSync(join(settings.DATADIR, 'admin.key'), 'utf8'), /^[0-9a-f]{64}/);
  await waitFor(() => service.calls.get('subscribe'), { what: 'the subscription' });
  assert.deepEqual(
    service.callers.filter(({ key }) => key !== undefined),
    [],
  );
});

test('the validation service hears of blocks; while it is gone they are counted, and it hears of those that come after', async (context) => {
  const { logger } = keptLog();
  const found: FoundBlock[] = [];
  const onBlockFound = (block: FoundBlock) => found.push(block);
  const address = `127.0.0.1:${(await freePorts(1))[0]}`;
  let service = new EmbeddedValidationService({ logger }, { onBlockFound, listen: address });
  await service.start();
  context.after(() => service.stop());
  const miner = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const server = await startServer(
    context,
    serverSettings(context, {
      p2p_static_peers: [miner.address],
      blockvalidation_grpcAddress: address,
      p2p_notification_servers: 1,
    }),
  );
  const blocks = await recordsOf(context, server, 'kafka_blocksConfig');
  const told = async (outcome: string) =>
    sumOf(await server.server.scrape(), 'teranode_p2p_block_found_total', { outcome });
  const block = topicOf(miner, kindNamed('block'));
  // Its static peer takes no place in the miner's mesh, but hears what the miner publishes itself.
  const subscribers = () =>
    miner.server.parts.node.inspect().host?.services.pubsub.getSubscribers(block) ?? [];
  await waitFor(() => subscribers().length > 0, { what: 'the subscription' });

  const one = await chainOf(miner).mine();
  await waitFor(() => found.length === 1, { what: 'BlockFound' });
  assert.deepEqual(found[0], {
    hash: one.hash,
    baseUrl: 'http://127.0.0.1:8090/api/v1',
    peerId: miner.server.peerId,
  });
  assert.equal(await waitFor(() => told('told'), { what: 'the count' }), 1);

  await service.stop();
  assert.deepEqual(ailing(await untilReady(server.server, false)), ['BlockValidationClient']);
  await chainOf(miner).mine();
  await waitFor(() => told('failed'), { what: 'a failure that is counted', everyMs: 100 });
  await waitFor(() => blocks.records.length === 2, { what: 'the record all the same' });

  service = new EmbeddedValidationService({ logger }, { onBlockFound, listen: address });
  await service.start();
  await untilReady(server.server, true);
  // The publisher’s channel, which has its own pause before it connects again, may miss the first.
  await waitFor(
    async () => {
      const { hash: next } = await chainOf(miner).mine();
      const isFound = () => found.some(({ hash }) => hash === next);
      return waitFor(isFound, { timeoutMs: 4_000 }).catch(() => false);
    },
    { what: 'a block that comes after' },
  );
});

test('the broker dies: what is accepted waits, readiness says so, and it flows when the broker is back', async (context) => {
  const miner = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const server = await startServer(
    context,
    serverSettings(context, { p2p_static_peers: [miner.address], p2p_notification_servers: 1 }),
  );
  const { broker } = server.dependencies.embedded;
  assert.ok(broker);
  const feed = await openFeed(context, server.server);
  await feed.next(
    (frame) => frame.type === 'node_status' && frame.peer_id === miner.server.peerId,
    'the miner',
  );
  await untilReady(server.server, true);

  await broker.stop();
  const gone = await untilReady(server.server, false);
  assert.ok(
    ailing(gone).some((resource) => /kafka|blocks/i.test(resource)),
    JSON.stringify(gone),
  );
  const mined = await chainOf(miner).mine();
  await feed.next((frame) => frame.type === 'block' && frame.hash === mined.hash, 'the block, live');
  const depth = async () => sumOf(await server.server.scrape(), 'teranode_p2p_outbox_depth');
  assert.equal(await waitFor(depth, { what: 'a record that waits' }), 1);

  const back = new EmbeddedBrokerThread(
    { logger: server.dependencies.logger },
    { socketPath: server.dependencies.brokerSocketPath ?? '', logLevel: 'warn' },
  );
  await back.start();
  context.after(() => back.stop());
  const blocks = await recordsOf(context, server, 'kafka_blocksConfig');
  const record = await waitFor(() => blocks.records[0], { what: 'the record' });
  assert.equal(Buffer.from(record.key ?? []).toString(), mined.hash);
  await waitFor(async () => (await depth()) === 0, { what: 'an empty outbox' });
});

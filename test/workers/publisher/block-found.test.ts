import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, status as Status } from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { EmbeddedValidationService } from '../../../src/main/devnet/validation-service.js';
import { hashFromBytes } from '../../../src/shared/bitcoin/hash.js';
import {
  type BlockValidationAPIServer,
  BlockValidationAPIService,
} from '../../../src/shared/generated/blockvalidation_api.js';
import type { FoundBlock } from '../../../src/shared/grpc/block-validation-client.js';
import { createBlockValidationClient } from '../../../src/shared/grpc/block-validation-client.js';
import { createNeighbourMetrics } from '../../../src/shared/grpc/neighbour-metrics.js';
import type { CheckedMessage } from '../../../src/shared/pipeline/types.js';
import { BlockFoundForwarder } from '../../../src/workers/publisher/block-found.js';
import { createPublisherMetrics } from '../../../src/workers/publisher/metrics.js';
import { serveBroker } from '../../support/embedded-broker.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';
import { announcement, startPublisher } from '../../support/publisher.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

async function startService(
  context: TestContext,
  listen: string,
  found: FoundBlock[] = [],
): Promise<EmbeddedValidationService> {
  const service = new EmbeddedValidationService(
    { logger: keptLog().logger },
    { listen, onBlockFound: (block) => found.push(block) },
  );
  await service.start();
  context.after(() => service.stop());
  return service;
}

/** A validation service that takes calls as it is told. Its port. */
async function serveCalls(
  context: TestContext,
  blockFound: BlockValidationAPIServer['blockFound'],
): Promise<number> {
  const healthGrpc: BlockValidationAPIServer['healthGrpc'] = (_call, answer) =>
    answer(null, { ok: true, details: '', timestamp: undefined });
  const server = new Server();
  server.addService(BlockValidationAPIService, { healthGrpc, blockFound });
  context.after(() => server.forceShutdown());
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
}

test('the validation service is told of others’ blocks alone, once each', async (context) => {
  const broker = await serveBroker(context);
  const found: FoundBlock[] = [];
  const { port } = await startService(context, '127.0.0.1:0', found);
  const publisher = startPublisher(context, broker.socketPath, {
    blockvalidation_grpcAddress: `127.0.0.1:${port}`,
  });
  const block = announcement('a block');
  await publisher.publish([
    announcement('mine', { own: true }),
    announcement('a subtree', { topic: 'subtrees' }),
    block,
    block,
  ]);
  await publisher.publish([announcement('the last block')]);
  await waitFor(() => found.length === 2);
  assert.deepEqual(found[0], {
    hash: hashFromBytes(block.record?.hash ?? Buffer.alloc(0)),
    baseUrl: 'http://datahub.example',
    peerId: 'peer',
  });
  await waitFor(
    async () => (await publisher.metric('teranode_p2p_block_found_total', { outcome: 'told' })) === 2,
  );
  await publisher.close();
});

test('without the service verdicts and records flow all the same, and each call is counted', async (context) => {
  const broker = await serveBroker(context);
  const gone = await startService(context, '127.0.0.1:0');
  const { port } = gone;
  await gone.stop();
  const publisher = startPublisher(context, broker.socketPath, {
    blockvalidation_grpcAddress: `127.0.0.1:${port}`,
  });
  const blocks = Array.from({ length: 400 }, (_, i) => announcement(`block ${i}`));
  const outcomes = await publisher.outcomes(blocks);
  assert.ok(outcomes.every((outcome) => outcome === 'ok'));
  await waitFor(async () => (await publisher.waiting()) === 0);
  const counted = (outcome: string): Promise<number> =>
    publisher.metric('teranode_p2p_block_found_total', { outcome });
  assert.ok((await counted('given_up')) >= 400 - 256 - 8, 'the oldest are given up');
  await waitFor(async () => (await counted('failed')) > 0);
  assert.ok((await publisher.metric('teranode_p2p_block_found_waiting')) <= 256);
  await publisher.close();
});

test('strangers’ blocks keep no peer’s from the validation service, nor unproven ones a proven one, however slow it is', async (context) => {
  const broker = await serveBroker(context);
  const asked: string[] = [];
  const hashOf = ({ record }: CheckedMessage) => Buffer.from(record?.hash ?? []).toString('hex');
  const [connected, proven] = [
    announcement('connected', { standing: 'connected' }),
    announcement('proven', { proven: true }),
  ];
  // It answers for the wanted blocks alone.
  const port = await serveCalls(context, (call, answer) => {
    const hash = Buffer.from(call.request.hash).toString('hex');
    asked.push(hash);
    if (hash === hashOf(connected) || hash === hashOf(proven)) answer(null, {});
  });
  const publisher = startPublisher(context, broker.socketPath, {
    blockvalidation_grpcAddress: `127.0.0.1:${port}`,
  });
  const crowd = (name: string, options = {}) =>
    Array.from({ length: 300 }, (_, n) =>
      announcement(`${name} ${n}`, { ...options, author: `stranger ${n}` }),
    );
  const called = async (message: CheckedMessage, what: string) => {
    await waitFor(() => asked.includes(hashOf(message)), { what: `the call for ${what}` });
    const before = asked.slice(0, asked.indexOf(hashOf(message)));
    return before.filter((hash) => hash !== hashOf(connected) && hash !== hashOf(proven)).length;
  };
  await publisher.publish(crowd('before'));
  await publisher.publish([proven, ...crowd('after')]);
  const unproven = await called(proven, 'a proven block');
  assert.ok(unproven < 300, `after ${unproven} calls for others`);
  await publisher.publish(crowd('replayed', { proven: true }));
  await publisher.publish([connected, ...crowd('once more', { proven: true })]);
  await called(connected, 'a connected peer’s block');
  await waitFor(
    async () => (await publisher.metric('teranode_p2p_block_found_total', { outcome: 'told' })) === 2,
    { what: 'both told' },
  );
  assert.ok((await publisher.metric('teranode_p2p_block_found_total', { outcome: 'given_up' })) > 0);
  await publisher.close();
});

test('a service that fails is told of in one line of the log, with its address and the cause, and in another when it fails after a success', async (context) => {
  const { logger, lines } = keptLog();
  const registry = new Registry();
  const metrics = createPublisherMetrics(registry);
  let well = false;
  const port = await serveCalls(context, (_call, answer) =>
    well ? answer(null, {}) : answer({ code: Status.INTERNAL, details: 'no disk' }),
  );
  const client = createBlockValidationClient({
    settings: settingsOf({ blockvalidation_grpcAddress: `127.0.0.1:${port}` }),
    logger,
    metrics: createNeighbourMetrics(registry),
  });
  const forwarder = new BlockFoundForwarder({ client, metrics, logger });
  context.after(() => forwarder.stop());
  const forward = async (count: number, outcome: 'told' | 'failed') => {
    const all = async () => sumOf(await registry.metrics(), 'teranode_p2p_block_found_total', { outcome });
    const before = await all();
    for (let n = 0; n < count; n++)
      forwarder.forward(
        { hash: hashFromBytes(Buffer.alloc(32, n)), baseUrl: '', peerId: '' },
        announcement('a block'),
      );
    await waitFor(async () => (await all()) === before + count, { what: `${count} calls ${outcome}` });
    const told = lines.filter(({ level, msg }) => level === 40 && msg === 'BlockFound failed');
    for (const { reason } of told) assert.equal(reason, `127.0.0.1:${port}: no disk`);
    return told.length;
  };
  assert.equal(await forward(10, 'failed'), 1);
  well = true;
  assert.equal(await forward(1, 'told'), 1);
  well = false;
  assert.equal(await forward(10, 'failed'), 2);
});

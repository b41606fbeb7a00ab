import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { EmbeddedValidationService } from '../../../src/main/devnet/validation-service.js';
import type { FoundBlock } from '../../../src/shared/grpc/block-validation-client.js';
import { hashFromBytes } from '../../../src/shared/hash.js';
import { serveBroker } from '../../support/embedded-broker.js';
import { keptLog } from '../../support/logger.js';
import { announcement, startPublisher } from '../../support/publisher.js';
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

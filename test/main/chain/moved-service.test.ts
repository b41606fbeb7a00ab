/** Services of the node whose host is gone without a word, and which are there again, under the same address, elsewhere. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { ChainSubscription, type ChainSubscriptionOptions } from '../../../src/main/chain/subscription.js';
import type { ChainNotification } from '../../../src/main/chain/types.js';
import { EmbeddedValidationService } from '../../../src/main/devnet/validation-service.js';
import { hashFromBytes } from '../../../src/shared/bitcoin/hash.js';
import { BlockAssemblyAPIService, StateMessage } from '../../../src/shared/generated/blockassembly_api.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { BlockAssemblyClient } from '../../../src/shared/grpc/block-assembly-client.js';
import type { FoundBlock } from '../../../src/shared/grpc/block-validation-client.js';
import { DeadlineError } from '../../../src/shared/grpc/call.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { serveBroker } from '../../support/embedded-broker.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { LossyProxy } from '../../support/lossy-proxy.js';
import { announcement, startPublisher } from '../../support/publisher.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

const [FIRST, SECOND, THIRD] = minedChain(3) as [Uint8Array, Uint8Array, Uint8Array];
/** Of the calls in these tests, so that two of them are soon missed. */
const DEADLINE_MS = 500;
/** Where one that is missed is to be followed by one that is answered in time. */
const PATIENT_MS = 2_000;

async function serve(
  context: TestContext,
  tip: Uint8Array,
): Promise<{ service: BlockchainService; port: number }> {
  const service = new BlockchainService();
  service.add(tip);
  await service.start();
  context.after(() => service.stop());
  return { service, port: Number(service.address.split(':')[1]) };
}

/** A subscription, through a proxy, to a service that can move. */
async function follow(
  context: TestContext,
  { deadlineMs = DEADLINE_MS, ...options }: ChainSubscriptionOptions & { readonly deadlineMs?: number } = {},
) {
  const proxy = await LossyProxy.listen(context);
  const { service, port } = await serve(context, FIRST);
  proxy.target = port;
  const { logger, lines } = keptLog();
  const chain = new GrpcBlockchainClient(
    { settings: settingsOf({ blockchain_grpcAddress: `127.0.0.1:${proxy.port}` }), logger },
    { deadlineMs, ...{ probeMs: deadlineMs } },
  );
  const news: ChainNotification[] = [];
  const tips: string[] = [];
  const subscription = new ChainSubscription(
    { chain, logger },
    { notification: (notification) => news.push(notification), opened: (tip) => tips.push(tip) },
    { resumeMs: 100, fsmDeadlineMs: deadlineMs, ...options },
  );
  context.after(async () => {
    await subscription.stop();
    await chain.close();
  });
  subscription.start();
  await waitFor(() => subscription.connected && subscription.fsmState === 'RUNNING', {
    what: 'the subscription',
  });
  const move = async (tip: Uint8Array) => {
    proxy.silence('both');
    const moved = await serve(context, tip);
    proxy.target = moved.port;
    return moved.service;
  };
  return { chain, service, subscription, news, tips, proxy, move, lines };
}

/** A question every now and then, as node_status asks. */
function askAgain(context: TestContext, ask: () => Promise<unknown>): void {
  const timer = setInterval(() => void ask().catch(() => {}), 100);
  context.after(() => clearInterval(timer));
}

test('a service without a heartbeat that moved without a word is heard again where it is now', async (context) => {
  const { chain, tips, news, move, lines } = await follow(context);
  askAgain(context, () => chain.getBestBlockHeader());
  const moved = await move(SECOND);
  const tip = moved.best;
  await waitFor(() => tips.length === 2, {
    what: 'the subscription to the moved service',
    timeoutMs: 20_000,
  });
  assert.equal(tips[1], tip);
  moved.notify(NotificationType.Block, moved.add(THIRD));
  await waitFor(() => news.some(({ type }) => type === 'block'), { what: 'its next block' });
  assert.equal((await chain.getBestBlockHeader()).hash, moved.best);
  const told = lines.filter(({ level, msg }) => level === 40 && String(msg).includes('silent'));
  assert.equal(told.length, 1, 'the silence is told once');
});

test('a service whose heartbeat stops is subscribed to over a new connection', async (context) => {
  const { service, tips, news, move, lines } = await follow(context, { heartbeatBounds: [100, 500] });
  const beat = setInterval(() => service.notify(NotificationType.PING), 50);
  context.after(() => clearInterval(beat));
  await waitFor(() => news.filter(({ type }) => type === 'ping').length > 2, { what: 'a heartbeat' });
  const moved = await move(SECOND);
  await waitFor(() => tips.length === 2, {
    what: 'the subscription to the moved service',
    timeoutMs: 20_000,
  });
  assert.equal(tips[1], moved.best);
  // No call had to be lost for that.
  assert.equal(
    lines.find(({ msg }) => msg === 'a service is silent: connecting anew')?.reason,
    'the heartbeat stopped',
  );
});

test('a service that takes the subscription and never opens it is asked over a new connection', async (context) => {
  const { tips, move, proxy, service } = await follow(context, {
    openingMs: 300,
    heartbeatBounds: [100, 500],
  });
  // The stream breaks, and what answers now is silent.
  service.opens = false;
  for (const stream of service.streams) stream.end();
  await waitFor(() => (service.calls.get('subscribe') ?? 0) > 1, { what: 'another subscription' });
  assert.ok(proxy.connections > 0);
  const moved = await move(SECOND);
  await waitFor(() => tips.includes(moved.best ?? ''), {
    what: 'the moved service’s tip',
    timeoutMs: 20_000,
  });
});

test('a method that is not answered, beside others that are, costs no connection and no stream', async (context) => {
  const { chain, service, news } = await follow(context, { deadlineMs: PATIENT_MS });
  service.ignored.add('best');
  for (let round = 0; round < 3; round++) await assert.rejects(chain.getBestBlockHeader(), DeadlineError);
  assert.equal(service.calls.get('subscribe'), 1);
  const [stream] = service.streams;
  assert.ok(stream !== undefined && !stream.cancelled);
  service.notify(NotificationType.Block, service.add(SECOND));
  await waitFor(() => news.some(({ type }) => type === 'block'), { what: 'the next block' });
});

test('a service that is slow to say how it is, and tells what there is, costs no stream', async (context) => {
  const { chain, service, news } = await follow(context, { deadlineMs: PATIENT_MS });
  service.ignored.add('health');
  for (let round = 0; round < 3; round++) {
    assert.equal((await chain.health(AbortSignal.timeout(PATIENT_MS))).status, 503);
  }
  service.notify(NotificationType.Block, service.add(SECOND));
  await waitFor(() => news.some(({ type }) => type === 'block'), { what: 'the next block' });
  assert.equal(service.calls.get('subscribe'), 1);
});

test('a block whose call was lost with its connection is told to the moved validation service', async (context) => {
  const broker = await serveBroker(context);
  const proxy = await LossyProxy.listen(context);
  const validation = async () => {
    const found: FoundBlock[] = [];
    const service = new EmbeddedValidationService(
      { logger: keptLog().logger },
      { listen: '127.0.0.1:0', onBlockFound: (block) => found.push(block) },
    );
    await service.start();
    context.after(() => service.stop());
    proxy.target = service.port ?? 0;
    return found;
  };
  const before = await validation();
  const publisher = startPublisher(context, broker.socketPath, {
    blockvalidation_grpcAddress: `127.0.0.1:${proxy.port}`,
  });
  await publisher.publish([announcement('a block')]);
  const told = () => publisher.metric('teranode_p2p_block_found_total', { outcome: 'told' });
  await waitFor(async () => (await told()) === 1, { what: 'the first block' });
  assert.equal(before.length, 1);
  proxy.silence('both');
  const after = await validation();
  const lost = announcement('a block of the silence');
  await publisher.publish([lost]);
  await waitFor(() => after.length === 1, { what: 'the block of the silence', timeoutMs: 20_000 });
  assert.equal(after[0]?.hash, hashFromBytes(lost.record?.hash ?? Buffer.alloc(0)));
  await publisher.close();
});

test('block assembly that moved without a word answers again', async (context) => {
  const proxy = await LossyProxy.listen(context);
  const assembly = async (subtreeCount: number) => {
    const server = new Server();
    server.addService(BlockAssemblyAPIService, {
      getBlockAssemblyState: (_call: unknown, reply: sendUnaryData<StateMessage>) =>
        reply(null, StateMessage.fromPartial({ subtreeCount })),
    });
    proxy.target = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    context.after(() => server.forceShutdown());
  };
  await assembly(1);
  const client = new BlockAssemblyClient(
    {
      settings: settingsOf({ blockassembly_grpcAddress: `127.0.0.1:${proxy.port}` }),
      logger: keptLog().logger,
    },
    { freshMs: 0, deadlineMs: DEADLINE_MS },
  );
  context.after(() => client.close());
  await waitFor(async () => (await client.state())?.subtreeCount === 1, { what: 'the first answer' });
  proxy.silence('both');
  await assembly(2);
  await waitFor(async () => (await client.state())?.subtreeCount === 2, {
    what: 'an answer of the moved service',
    timeoutMs: 20_000,
  });
});

if (process.platform === 'linux') {
  test('the kernel asks an idle service after ten seconds whether it is there', async (context) => {
    const { service } = await serve(context, FIRST);
    const chain = new GrpcBlockchainClient({
      settings: settingsOf({ blockchain_grpcAddress: service.address }),
      logger: keptLog().logger,
    });
    context.after(() => chain.close());
    await chain.getBestBlockHeader();
    const port = Number(/:(\d+)$/.exec(service.callers[0]?.peer ?? '')?.[1]);
    // `tr:tm->when` of the client's socket: 2 is the keepalive timer, its time in hundredths of a second. State 01 is established:
    // a closed connection that used the same port may still be listed.
    const timers = () =>
      readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .find(
          ([, local, , state]) =>
            state === '01' && local?.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`),
        )?.[5]
        ?.split(':');
    // While something is on its way its timer is another one.
    const [, when] = await waitFor(
      () => {
        const told = timers();
        return told?.[0] === '02' ? told : undefined;
      },
      { what: 'the keepalive timer' },
    );
    assert.ok(Number.parseInt(when ?? '', 16) <= 1_000, when);
  });
}

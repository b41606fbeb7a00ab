import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status as Status } from '@grpc/grpc-js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { ChainSubscription, type ChainSubscriptionOptions } from '../../../src/main/chain/subscription.js';
import { FSMStateType } from '../../../src/shared/generated/blockchain_api.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor, within } from '../../support/wait.js';

function follow(
  context: TestContext,
  service: BlockchainService,
  options: ChainSubscriptionOptions = {},
  tellConnected = false,
) {
  const { logger, lines } = keptLog();
  const chain = new GrpcBlockchainClient({
    settings: settingsOf({ blockchain_grpcAddress: service.address }),
    logger,
  });
  const heard: string[] = [];
  const subscription = new ChainSubscription(
    { chain, logger },
    {
      notification: (notification) =>
        heard.push('hash' in notification ? `${notification.type} ${notification.hash}` : notification.type),
      opened: (tip, previous) => heard.push(`opened ${tip} after ${previous}`),
      fsmState: (state) => heard.push(`state ${state}`),
      ...(tellConnected ? { connected: (connected: boolean) => heard.push(`connected ${connected}`) } : {}),
    },
    { resumeMs: 20, ...options },
  );
  context.after(async () => {
    await subscription.stop();
    await chain.close();
  });
  return { subscription, heard, lines };
}

async function serve(context: TestContext): Promise<BlockchainService> {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  return service;
}

const [first, second] = minedChain(2) as [Uint8Array, Uint8Array];

test('the opening block is state, the next is news', async (context) => {
  const service = await serve(context);
  const tip = service.add(first);
  const { subscription, heard } = follow(context, service);
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  const next = service.add(second);
  service.notify(NotificationType.Block, next);
  await waitFor(() => heard.length === 3, { what: 'the block' });
  assert.deepEqual(heard, ['state RUNNING', `opened ${tip} after undefined`, `block ${next}`]);
});

test('a restart of the service is resumed, its state read again, and a block missed is seen', async (context) => {
  const service = await serve(context);
  const tip = service.add(first);
  const { subscription, heard, lines } = follow(context, service);
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  service.stop();
  await waitFor(() => !subscription.connected, { what: 'the break' });
  await waitFor(() => heard.includes('state undefined'), { what: 'an unreadable state' });
  const next = service.add(second);
  service.fsm = FSMStateType.CATCHINGBLOCKS;
  await service.start();
  await waitFor(() => subscription.connected, { what: 'the subscription again' });
  assert.deepEqual(heard.slice(2), [
    'state undefined',
    'state CATCHINGBLOCKS',
    `opened ${next} after ${tip}`,
  ]);
  assert.equal(subscription.fsmState, 'CATCHINGBLOCKS');
  const warnings = lines.filter((line) => String(line.msg).startsWith('lost the blockchain'));
  assert.equal(warnings.length, 1, 'one warning an outage');
});

test('a service absent at start is found when it comes', async (context) => {
  const service = await serve(context);
  service.add(first);
  service.stop();
  const { subscription } = follow(context, service);
  subscription.start();
  assert.equal(subscription.connected, false);
  await service.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  assert.equal(subscription.fsmState, 'RUNNING');
});

test('a change of state is taken from its notification', async (context) => {
  const service = await serve(context);
  service.add(first);
  const { subscription } = follow(context, service);
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  service.notify(NotificationType.FSMState, '', { event: 'CATCHUP', destination: 'CATCHINGBLOCKS' });
  await waitFor(() => subscription.fsmState === 'CATCHINGBLOCKS', { what: 'the state told' });
  service.fsm = 77 as FSMStateType;
  service.notify(NotificationType.FSMState, '', { event: 'NEW', destination: 'SOMETHINGNEW' });
  await waitFor(() => subscription.fsmState === 'UNKNOWN', { what: 'the state read' });
  assert.equal(subscription.connected, true);
});

test('two silent intervals of a heartbeat are a break', async (context) => {
  const service = await serve(context);
  service.add(first);
  const { subscription, heard } = follow(context, service, { heartbeatBounds: [50, 50] });
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  service.notify(NotificationType.PING);
  service.notify(NotificationType.PING);
  await waitFor(() => service.calls.get('subscribe') === 2, { what: 'a second subscription' });
  assert.equal(heard.filter((line) => line === 'ping').length, 2);
});

test('a service that never pings may be silent', async (context) => {
  const service = await serve(context);
  const tip = service.add(first);
  const { subscription, heard } = follow(context, service, { heartbeatBounds: [10, 10] });
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  // Ten times what would be two silent intervals, told by the clock of other calls.
  const until = performance.now() + 200;
  await waitFor(() => performance.now() > until, { what: 'silence' });
  service.notify(NotificationType.Subtree, tip);
  await waitFor(() => heard.includes(`subtree ${tip}`), { what: 'the subtree' });
  assert.equal(service.calls.get('subscribe'), 1);
});

test('stopping ends the stream at once', async (context) => {
  const service = await serve(context);
  service.add(first);
  const { subscription } = follow(context, service);
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  await within(subscription.stop(), 20_000, 'stopping');
  await waitFor(() => service.streams.size === 0, { what: 'the service to see the end' });
  assert.equal(subscription.connected, false);
});

test('a change of state before the subscription is taken in is seen, though nobody tells of it', async (context) => {
  const service = await serve(context);
  service.add(first);
  service.fsm = FSMStateType.CATCHINGBLOCKS;
  // What is read before the subscription is old when the service takes it in.
  service.onSubscribe = () => {
    service.fsm = FSMStateType.RUNNING;
  };
  const { subscription, heard } = follow(context, service, { fsmPollMs: 3_600_000 });
  subscription.start();
  await waitFor(() => subscription.fsmState === 'RUNNING', { what: 'the state after the opening block' });
  assert.equal(heard[0], 'state CATCHINGBLOCKS');
  assert.equal(service.calls.get('subscribe'), 1);
});

test('a state that was asked for is taken, though it is asked for again meanwhile', async (context) => {
  const service = await serve(context);
  const tip = service.add(first);
  service.delayMs = 1_000;
  const { subscription, heard } = follow(context, service, { fsmPollMs: 300, fsmDeadlineMs: 60_000 });
  subscription.start();
  await waitFor(() => service.calls.get('fsm'), { what: 'the first question', everyMs: 1 });
  // The second one's answer does not come while this test looks.
  service.delayMs = 50_000;
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  assert.deepEqual(heard, ['state RUNNING', `opened ${tip} after undefined`]);
});

test('a question from before the opening block that fails behind it leaves the state that is known', async (context) => {
  const service = await serve(context);
  const tip = service.add(first);
  service.fsm = FSMStateType.CATCHINGBLOCKS;
  service.opens = false;
  const { subscription, heard } = follow(context, service, { fsmPollMs: 100, fsmDeadlineMs: 3_000 });
  subscription.start();
  await waitFor(() => subscription.fsmState === 'CATCHINGBLOCKS', { what: 'the state', everyMs: 1 });
  service.delayMs = 50_000;
  const asked = Number(service.calls.get('fsm'));
  const questions = (count: number) => () => Number(service.calls.get('fsm')) >= asked + count;
  await waitFor(() => service.streams.size > 0 && questions(1)(), { what: 'a question without an answer' });
  service.notify(NotificationType.Block, tip);
  // That one, the one behind the opening block, and the next that comes when the first has failed.
  await waitFor(questions(3), { what: 'the end of the first' });
  assert.equal(subscription.connected, true);
  assert.deepEqual(heard, ['state CATCHINGBLOCKS', `opened ${tip} after undefined`]);
});

test('a state that cannot be read, or is not RUNNING, is read again until it is', async (context) => {
  const service = await serve(context);
  service.add(first);
  // The reading before the subscription and the one behind its opening block.
  service.fail('fsm', Status.INTERNAL, 2);
  service.fsm = FSMStateType.CATCHINGBLOCKS;
  const { subscription } = follow(context, service, { fsmPollMs: 20 });
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  await waitFor(() => subscription.fsmState === 'CATCHINGBLOCKS', { what: 'the state, read again' });
  // Nobody tells of the end of it.
  service.fsm = FSMStateType.RUNNING;
  await waitFor(() => subscription.fsmState === 'RUNNING', { what: 'the end of catching up' });
  assert.equal(service.calls.get('subscribe'), 1);
});

test('a subscription that is taken and says nothing is a break, with its reason for readiness', async (context) => {
  const service = await serve(context);
  service.add(first);
  service.opens = false;
  const { subscription, heard } = follow(context, service, { openingMs: 50 }, true);
  assert.equal(subscription.health().status, 503);
  subscription.start();
  await waitFor(() => (service.calls.get('subscribe') ?? 0) >= 2, { what: 'a second subscription' });
  assert.equal(subscription.connected, false);
  const { status, error } = subscription.health();
  assert.deepEqual([status, error], [503, 'no opening block within 50 ms']);
  service.opens = true;
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  assert.equal(subscription.health().status, 200);
  const taken = service.calls.get('subscribe');
  const until = performance.now() + 150;
  await waitFor(() => performance.now() > until, { what: 'three times the patience' });
  assert.equal(service.calls.get('subscribe'), taken, 'an open one is left alone');
  service.stop();
  await waitFor(() => heard.includes('connected false'), { what: 'the break' });
  assert.deepEqual(
    heard.filter((line) => line.startsWith('connected')),
    ['connected true', 'connected false'],
  );
});

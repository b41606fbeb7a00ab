import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GrpcBlockchainClient } from '../../../src/main/blockchain/grpc-client.js';
import {
  ChainSubscription,
  type ChainSubscriptionOptions,
} from '../../../src/main/blockchain/subscription.js';
import { FSMStateType } from '../../../src/shared/generated/blockchain_api.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor, within } from '../../support/wait.js';

function follow(context: TestContext, service: BlockchainService, options: ChainSubscriptionOptions = {}) {
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

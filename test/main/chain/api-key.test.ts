/** The key that the newest services of a node want with every call. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  status as Status,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { ChainSubscription } from '../../../src/main/chain/subscription.js';
import { BlockAssemblyAPIService, StateMessage } from '../../../src/shared/generated/blockassembly_api.js';
import {
  type BlockchainAPIServer,
  BlockchainAPIService,
} from '../../../src/shared/generated/blockchain_api.js';
import {
  type BlockValidationAPIServer,
  BlockValidationAPIService,
} from '../../../src/shared/generated/blockvalidation_api.js';
import { BlockAssemblyClient } from '../../../src/shared/grpc/block-assembly-client.js';
import { RpcError } from '../../../src/shared/grpc/call.js';
import { Secrets } from '../../../src/shared/secrets/secrets.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { serveBroker } from '../../support/embedded-broker.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { announcement, startPublisher } from '../../support/publisher.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const KEY = 'the-key-of-the-node';

async function chainWith(context: TestContext, key: string) {
  const service = new BlockchainService();
  service.add(minedChain(1)[0] as Uint8Array);
  await service.start();
  context.after(() => service.stop());
  const { logger, lines } = keptLog();
  const chain = new GrpcBlockchainClient(
    { settings: settingsOf({ blockchain_grpcAddress: service.address, grpc_admin_api_key: key }), logger },
    { absentRetryMs: 50 },
  );
  const subscription = new ChainSubscription(
    { chain, logger },
    { notification: () => {}, opened: () => {} },
    { resumeMs: 50 },
  );
  context.after(async () => {
    await subscription.stop();
    await chain.close();
  });
  return { service, chain, subscription, lines };
}

test('the key goes with every call to the blockchain service, the stream of notifications too', async (context) => {
  const { service, chain, subscription } = await chainWith(context, KEY);
  service.apiKey = KEY;
  const best = await chain.getBestBlockHeader();
  await chain.getBlockHeader(best.hash);
  await chain.waitUntilNotIdle(AbortSignal.timeout(30_000));
  await chain.setState('a', Buffer.from('b'));
  await chain.getState('a');
  assert.equal((await chain.health(AbortSignal.timeout(30_000))).status, 200);
  subscription.start();
  await waitFor(() => subscription.connected, { what: 'the subscription' });
  const methods = new Set(service.callers.map(({ method }) => method));
  assert.ok(methods.size >= 7, [...methods].join());
  assert.deepEqual(
    service.callers.filter(({ key }) => key !== KEY),
    [],
  );
});

test('without the setting no key is sent', async (context) => {
  const { service, chain } = await chainWith(context, '');
  await chain.getBestBlockHeader();
  assert.deepEqual(
    service.callers.map(({ key }) => key),
    [undefined],
  );
});

test('a service that refuses the key is told of by the setting’s name, and the key is not', async (context) => {
  const { service, chain, subscription, lines } = await chainWith(context, KEY);
  service.apiKey = 'another';
  await assert.rejects(chain.getBestBlockHeader(), (error: Error) => {
    assert.ok(error instanceof RpcError);
    assert.equal(error.code, Status.UNAUTHENTICATED);
    assert.match(error.message, /^grpc_admin_api_key: .*blockchain_grpcAddress.* refuses the key/);
    // The service quotes it in its refusal.
    assert.ok(!error.message.includes(KEY), error.message);
    return true;
  });
  subscription.start();
  await waitFor(() => subscription.health().error?.includes('grpc_admin_api_key'), {
    what: 'the reason in readiness',
  });
  await waitFor(() => (service.calls.get('subscribe') ?? 0) > 3, { what: 'more attempts' });
  const told = lines.filter(({ level }) => level === 50);
  assert.equal(told.length, 1, 'told once');
  assert.match(String(told[0]?.reason), /^grpc_admin_api_key: /);
  assert.ok(!JSON.stringify(lines).includes(KEY));
});

test('a service that wants a key where none is set is told of by the setting’s name', async (context) => {
  const { service, chain, lines } = await chainWith(context, '');
  service.apiKey = 'another';
  await assert.rejects(chain.getFsmState(), /^RpcError: grpc_admin_api_key: .* none is set/);
  const giveUp = new AbortController();
  const waiting = chain.waitUntilNotIdle(giveUp.signal).catch(() => {});
  const told = await waitFor(() => lines.find(({ msg }) => String(msg).startsWith('waiting for')), {
    what: 'the line of a waiting start',
  });
  assert.match(String(told.reason), /grpc_admin_api_key/);
  giveUp.abort();
  await waiting;
});

/** A validation and assembly service that wants `key`. */
async function serveOthers(context: TestContext, key: string) {
  const keys: (string | undefined)[] = [];
  const takes = ({ metadata }: { metadata: { get(name: string): unknown[] } }): boolean => {
    const [given] = metadata.get('x-api-key');
    keys.push(given as string | undefined);
    return given === key;
  };
  const refusal = { code: Status.UNAUTHENTICATED, details: 'invalid API key' };
  const server = new Server();
  const validation: BlockValidationAPIServer = {
    healthGrpc: (_call, answer) => answer(null, { ok: true, details: '', timestamp: new Date() }),
    blockFound: (call, answer) => (takes(call) ? answer(null, {}) : answer(refusal)),
  };
  server.addService(BlockValidationAPIService, validation);
  server.addService(BlockAssemblyAPIService, {
    getBlockAssemblyState: (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<StateMessage>) =>
      takes(call) ? answer(null, StateMessage.fromPartial({ subtreeCount: 7 })) : answer(refusal),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, keys };
}

test('the key goes with BlockFound, and readiness names the setting while it is refused', async (context) => {
  const broker = await serveBroker(context);
  const { address, keys } = await serveOthers(context, KEY);
  const start = (key: string) =>
    startPublisher(context, broker.socketPath, {
      blockvalidation_grpcAddress: address,
      grpc_admin_api_key: key,
    });
  const knowing = start(KEY);
  await knowing.publish([announcement('a block')]);
  await waitFor(
    async () => (await knowing.metric('teranode_p2p_block_found_total', { outcome: 'told' })) === 1,
    { what: 'BlockFound' },
  );
  assert.deepEqual(keys, [KEY]);
  await knowing.close();

  const wrong = start('another');
  await wrong.publish([announcement('another block')]);
  const refused = await waitFor(
    async () =>
      (await wrong.run('health', {})).find(
        ({ resource, status }) => resource === 'BlockFound' && status === 503,
      ),
    { what: 'readiness 503' },
  );
  assert.match(refused.error ?? '', /^grpc_admin_api_key: .*blockvalidation_grpcAddress.* refuses the key/);
  assert.ok(!refused.error?.includes('another block'));
  await wrong.close();
});

test('a key in a file is sent as it is then, by main and by the publisher, and what a service says of any of its keys is hidden', async (context) => {
  const path = join(temporaryDirectory(context), 'keys');
  writeFileSync(path, `${KEY}\n`);
  const { service } = await chainWith(context, '');
  const { address, keys } = await serveOthers(context, 'the-next-key');
  const { logger, lines } = keptLog();
  const settings = settingsOf({ blockchain_grpcAddress: service.address, grpc_admin_api_key_file: path });
  const secrets = new Secrets(settings, logger);
  secrets.start();
  const chain = new GrpcBlockchainClient({ settings, logger, secrets });
  context.after(async () => {
    secrets.stop();
    await chain.close();
  });
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath, {
    blockvalidation_grpcAddress: address,
    grpc_admin_api_key_file: path,
  });
  service.apiKey = KEY;
  await chain.getBestBlockHeader();
  await publisher.publish([announcement('a block')]);
  await waitFor(() => keys.length > 0, { what: 'BlockFound with the first key' });

  writeFileSync(path, `the-next-key\n${KEY}\n`);
  await waitFor(() => secrets.apiKey === 'the-next-key', { what: 'the next key' });
  await assert.rejects(chain.getBestBlockHeader(), (error: Error) => {
    assert.match(error.message, /refuses the key/);
    assert.ok(!error.message.includes('the-next-key') && !error.message.includes(KEY), error.message);
    return true;
  });
  service.apiKey = 'the-next-key';
  await chain.getBestBlockHeader();
  // The publisher's thread looks by itself.
  for (let n = 0; !keys.includes('the-next-key'); n++) {
    const before = keys.length;
    await publisher.publish([announcement(`block ${n}`)]);
    await waitFor(() => keys.length > before, { what: 'BlockFound' });
  }
  await waitFor(
    async () => ((await publisher.metric('teranode_p2p_block_found_total', { outcome: 'told' })) ?? 0) > 0,
    { what: 'a block that is taken' },
  );
  await publisher.close();
  assert.ok(!JSON.stringify(lines).includes('the-next-key'));
});

for (const code of [Status.UNAUTHENTICATED, Status.INTERNAL]) {
  test(`what a service says of the key that it was given is hidden with ${Status[code]} too, and where the key has changed since`, async (context) => {
    const given = `${KEY}-of-yesterday`;
    const server = new Server();
    server.addService(BlockchainAPIService, {
      getBestBlockHeader: ({ metadata }, answer) =>
        answer({ code, details: `what is ${metadata.get('x-api-key')[0]}?` }),
    } as BlockchainAPIServer);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    context.after(() => server.forceShutdown());
    const { logger, lines } = keptLog();
    const settings = settingsOf({ blockchain_grpcAddress: `127.0.0.1:${port}` });
    const secrets = { apiKey: given, apiKeys: [KEY] };
    const chain = new GrpcBlockchainClient({ settings, logger, secrets });
    context.after(() => chain.close());
    await assert.rejects(chain.getBestBlockHeader(), (error: Error) => {
      logger.error({ err: error }, 'told');
      assert.match(error.message, /what is \[secret\]\?$/);
      return true;
    });
    assert.ok(!JSON.stringify(lines).includes(KEY));
    assert.ok(lines.some(({ msg }) => msg === 'told'));
  });
}

test('the key goes with calls to block assembly, and its refusal is told once by the setting’s name', async (context) => {
  const { address, keys } = await serveOthers(context, KEY);
  const stateWith = async (key: string) => {
    const { logger, lines } = keptLog();
    const client = new BlockAssemblyClient(
      { settings: settingsOf({ blockassembly_grpcAddress: address, grpc_admin_api_key: key }), logger },
      { freshMs: 0, deadlineMs: 20_000 },
    );
    const states = [await client.state(), await client.state()];
    client.close();
    return { states, lines };
  };
  const { states } = await stateWith(KEY);
  assert.equal(states[0]?.subtreeCount, 7);
  assert.deepEqual(keys, [KEY, KEY]);
  const wrong = await stateWith('another');
  assert.deepEqual(wrong.states, [undefined, undefined]);
  const told = wrong.lines.filter(({ level }) => level === 50);
  assert.equal(told.length, 1);
  assert.match(String(told[0]?.reason), /^grpc_admin_api_key: .*blockassembly_grpcAddress/);
});

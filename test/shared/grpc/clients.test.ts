import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, status as Status, type sendUnaryData } from '@grpc/grpc-js';
import { EmbeddedValidationService } from '../../../src/main/devnet/validation-service.js';
import type { HashHex } from '../../../src/shared/bitcoin/hash.js';
import { AbortedError, UnavailableError } from '../../../src/shared/errors.js';
import {
  BlockAssemblyAPIService,
  type StateMessage,
} from '../../../src/shared/generated/blockassembly_api.js';
import { BlockAssemblyClient } from '../../../src/shared/grpc/block-assembly-client.js';
import {
  createBlockValidationClient,
  type FoundBlock,
} from '../../../src/shared/grpc/block-validation-client.js';
import { keptLog } from '../../support/logger.js';
import { freePorts } from '../../support/ports.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { within } from '../../support/wait.js';

const BLOCK: FoundBlock = {
  hash: `0102${'00'.repeat(30)}` as HashHex,
  baseUrl: 'https://hub.example/api/v1',
  peerId: '12D3KooWPeer',
};
const never = new AbortController().signal;
const { logger } = keptLog();

test('the validation service is told of a block as it was announced', async (context) => {
  const found: FoundBlock[] = [];
  const service = new EmbeddedValidationService(
    { logger: keptLog().logger },
    { onBlockFound: (block) => found.push(block) },
  );
  await service.start();
  context.after(() => service.stop());
  const client = createBlockValidationClient({
    settings: settingsOf({ blockvalidation_grpcAddress: `127.0.0.1:${service.port}` }),
    logger,
  });
  context.after(() => client.close());
  await client.blockFound(BLOCK);
  assert.deepEqual(found, [BLOCK]);
  assert.equal(service.blocks, 1);
  assert.equal((await client.health(never)).status, 200);
});

test('an absent validation service is UnavailableError within the deadline, and unhealthy', async (context) => {
  const service = new EmbeddedValidationService({ logger: keptLog().logger });
  await service.start();
  const client = createBlockValidationClient(
    { settings: settingsOf({ blockvalidation_grpcAddress: `127.0.0.1:${service.port}` }), logger },
    { deadlineMs: 20_000 },
  );
  context.after(() => client.close());
  await service.stop();
  await assert.rejects(within(client.blockFound(BLOCK), 30_000, 'the call'), UnavailableError);
  assert.equal((await within(client.health(never), 15_000, 'health')).status, 503);
  const given = new AbortController();
  given.abort();
  await assert.rejects(client.blockFound(BLOCK, given.signal), AbortedError);
});

test('where no call comes through, one address and one cause are told, in the error and in health', async (context) => {
  const listen = async (onConnection: (socket: Socket) => void): Promise<number> => {
    const server = createServer((socket) => onConnection(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const [nobody] = await freePorts(1);
  const closing = await listen((socket) => socket.destroy());
  const other = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const silent = await listen((socket) => context.after(() => socket.destroy()));
  const cases: readonly (readonly [string, SettingChanges, string | RegExp])[] = [
    [`127.0.0.1:${nobody}`, {}, 'connect ECONNREFUSED'],
    [`localhost:${nobody}`, {}, 'connect ECONNREFUSED'],
    [`[::1]:${nobody}`, {}, 'connect ECONNREFUSED'],
    ['nobody.invalid:9', {}, 'the host is unknown'],
    [`127.0.0.1:${closing}`, {}, /^\w[\w ]+$/],
    [`127.0.0.1:${other}`, {}, /^\w[\w ]+$/],
    [`127.0.0.1:${silent}`, {}, /^no answer within [\d.]+ s$/],
    [`127.0.0.1:${other}`, { security_level_grpc: 1 }, 'it speaks no TLS (security_level_grpc)'],
  ];
  for (const [address, settings, expected] of cases) {
    const client = createBlockValidationClient({
      settings: settingsOf({ blockvalidation_grpcAddress: address, ...settings }),
      logger,
    });
    const error = (await client.blockFound(BLOCK).catch((failure: unknown) => failure)) as Error;
    const health = await client.health(AbortSignal.timeout(15_000));
    client.close();
    context.diagnostic(error.message);
    assert.ok(error.message.startsWith(`${address}: `), error.message);
    const cause = error.message.slice(address.length + 2);
    if (typeof expected === 'string') assert.equal(cause, expected);
    else assert.match(cause, expected);
    assert.deepEqual([health.status, health.message], [503, 'blockvalidation_grpcAddress']);
    assert.ok(health.error?.startsWith(`${address}: `), health.error);
  }
});

test('without an address validation is not configured, which is healthy', async () => {
  const client = createBlockValidationClient({
    settings: settingsOf({ blockvalidation_grpcAddress: '' }),
    logger,
  });
  const health = await client.health(never);
  assert.deepEqual([health.status, health.message], [200, 'not configured']);
  await assert.doesNotReject(client.blockFound(BLOCK));
});

async function serveAssembly(context: TestContext, answer: (reply: sendUnaryData<StateMessage>) => void) {
  const server = new Server();
  server.addService(BlockAssemblyAPIService, {
    getBlockAssemblyState: (_call: unknown, reply: sendUnaryData<StateMessage>) => answer(reply),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

test('the state of block assembly is asked once while it is fresh, and is not rounded', async (context) => {
  let calls = 0;
  const address = await serveAssembly(context, (reply) => {
    calls++;
    reply(null, {
      blockAssemblyState: '',
      subtreeProcessorState: '',
      subtreeCount: 3,
      txCount: 0xffff_ffff_ffff_ffffn,
      queueCount: 0n,
      currentHeight: 0,
      currentHash: '',
      removeMapCount: 0,
      subtrees: [],
    });
  });
  const settings = settingsOf({ blockassembly_grpcAddress: address });
  const client = new BlockAssemblyClient({ settings, logger: keptLog().logger }, { deadlineMs: 20_000 });
  context.after(() => client.close());
  const expected = { txCount: 18_446_744_073_709_551_615n, subtreeCount: 3 };
  assert.deepEqual(await Promise.all([client.state(), client.state()]), [expected, expected]);
  assert.equal(calls, 1);
});

test('block assembly that fails, or that is not there, is undefined, and said once', async (context) => {
  const address = await serveAssembly(context, (reply) => reply({ code: Status.INTERNAL, details: 'no' }));
  const { logger, lines } = keptLog();
  const settings = settingsOf({ blockassembly_grpcAddress: address });
  const client = new BlockAssemblyClient({ settings, logger }, { freshMs: 0 });
  context.after(() => client.close());
  assert.equal(await client.state(), undefined);
  assert.equal(await client.state(), undefined);
  assert.equal(lines.length, 1);
  const none = new BlockAssemblyClient({ settings: settingsOf(), logger });
  assert.equal(await none.state(), undefined);
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Metadata, ServerCredentials, status as Status } from '@grpc/grpc-js';
import { GrpcBlockchainClient, type GrpcBlockchainOptions } from '../../../src/main/chain/grpc-client.js';
import type { ChainNotification } from '../../../src/main/chain/types.js';
import type { HashHex } from '../../../src/shared/bitcoin/hash.js';
import { workToBytes } from '../../../src/shared/bitcoin/header.js';
import { AbortedError, UnavailableError } from '../../../src/shared/errors.js';
import { FSMStateType } from '../../../src/shared/generated/blockchain_api.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { DeadlineError, NotFoundError, RpcError } from '../../../src/shared/grpc/call.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { makeCertificate } from '../../support/certificates.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const UNKNOWN = 'ab'.repeat(32) as HashHex;

async function serve(context: TestContext, credentials?: ServerCredentials): Promise<BlockchainService> {
  const service = new BlockchainService();
  await service.start(credentials);
  context.after(() => service.stop());
  return service;
}

function connect(
  context: TestContext,
  address: string,
  settings: SettingChanges = {},
  options: GrpcBlockchainOptions = {},
): GrpcBlockchainClient {
  const client = new GrpcBlockchainClient(
    { settings: settingsOf({ blockchain_grpcAddress: address, ...settings }), logger: keptLog().logger },
    options,
  );
  context.after(() => client.close());
  return client;
}

test('headers come whole, with 64-bit figures unrounded', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  const [header] = minedChain(1);
  const hash = service.add(header!, {
    height: 0xffff_ffff,
    tx_count: 0xffff_ffff_ffff_ffffn,
    size_in_bytes: (1n << 53n) + 1n,
    miner: 'somebody',
    chain_work: Buffer.from(workToBytes(77n)),
  });
  const best = await client.getBestBlockHeader();
  assert.equal(best.hash, hash);
  assert.deepEqual(Buffer.from(best.header), Buffer.from(header!));
  assert.equal(best.height, 0xffff_ffff);
  assert.equal(best.txCount, 18_446_744_073_709_551_615n);
  assert.equal(best.sizeInBytes, 9_007_199_254_740_993n);
  assert.equal(best.miner, 'somebody');
  assert.deepEqual(await client.getBlockHeader(hash), best);
});

test('an unknown block is NotFoundError, whichever way the service says so', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  await assert.rejects(client.getBlockHeader(UNKNOWN), NotFoundError);
  // INTERNAL, with TError{ code: BLOCK_NOT_FOUND } in an Any in the details, as Go services wrap it.
  const wrapped = Buffer.from('1a0d0a07747970652f5445120208' + '0a', 'hex');
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', wrapped);
  service.fail('header', Status.INTERNAL, 1, metadata);
  await assert.rejects(client.getBlockHeader(UNKNOWN), NotFoundError);
  const junk = new Metadata();
  junk.set('grpc-status-details-bin', Buffer.from('1affffffff', 'hex'));
  service.fail('header', Status.INTERNAL, 1, junk);
  await assert.rejects(client.getBlockHeader(UNKNOWN), RpcError);
});

test('a header that is none is refused, not believed', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  service.best = service.add(Buffer.alloc(79));
  await assert.rejects(client.getBestBlockHeader(), RpcError);
  const [one, two] = minedChain(2);
  const hash = service.add(one!);
  const other = service.add(two!);
  service.headers.set(hash, service.headers.get(other)!);
  await assert.rejects(client.getBlockHeader(hash), RpcError);
});

test('what is unavailable is asked again, a few times; what is refused is not', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  service.add(minedChain(1)[0]!);
  service.fail('best', Status.UNAVAILABLE, 2);
  assert.ok(await client.getBestBlockHeader());
  assert.equal(service.calls.get('best'), 3);
  service.fail('best', Status.UNAVAILABLE, 100);
  await assert.rejects(client.getBestBlockHeader(), UnavailableError);
  assert.equal(service.calls.get('best'), 7);
  service.fail('header', Status.PERMISSION_DENIED, 1);
  await assert.rejects(
    client.getBlockHeader(UNKNOWN),
    (error) => error instanceof RpcError && error.codeName === 'PERMISSION_DENIED',
  );
  assert.equal(service.calls.get('header'), 1);
});

test('a slow service meets the deadline, and a call can be given up', async (context) => {
  const service = await serve(context);
  service.add(minedChain(1)[0]!);
  service.delayMs = 5_000;
  const client = connect(context, service.address, {}, { deadlineMs: 100 });
  await assert.rejects(within(client.getBestBlockHeader(), 4_000, 'the deadline'), DeadlineError);
  const patient = connect(context, service.address);
  const giving = new AbortController();
  // The hasty one's call may have met its deadline before the connection was there.
  const before = service.calls.get('best') ?? 0;
  const call = patient.getBestBlockHeader(giving.signal);
  await waitFor(() => (service.calls.get('best') ?? 0) > before, { what: 'the call to arrive' });
  giving.abort();
  await assert.rejects(within(call, 4_000, 'giving up'), AbortedError);
});

test('states of the service are kept, and an absent one is undefined', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  assert.equal(await client.getState('p2p.privateKey'), undefined);
  await client.setState('p2p.privateKey', Buffer.from([1, 2, 3]));
  assert.deepEqual([...(await client.getState('p2p.privateKey'))!], [1, 2, 3]);
});

test('health tells a healthy, an ailing and an absent service apart', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  const signal = new AbortController().signal;
  assert.equal((await client.health(signal)).status, 200);
  service.healthy = false;
  const ailing = await client.health(signal);
  assert.deepEqual([ailing.status, ailing.message], [503, 'store down']);
  service.stop();
  const absent = await within(client.health(signal), 4_500, 'health');
  assert.equal(absent.status, 503);
  assert.notEqual(absent.error, undefined);
});

test('waiting outlasts IDLE and an absent service', async (context) => {
  const service = await serve(context);
  service.fsm = FSMStateType.IDLE;
  service.stop();
  const client = connect(context, service.address, {}, { absentRetryMs: 20 });
  const waiting = client.waitUntilNotIdle(new AbortController().signal);
  await service.start();
  await waitFor(() => service.calls.get('wait') === 1, { what: 'the wait to arrive' });
  service.leaveIdle();
  await within(waiting, 20_000, 'the end of IDLE');
  assert.equal(await client.getFsmState(), 'RUNNING');
});

test('a service that answers the wait while it is still IDLE is not asked without pause', async (context) => {
  const service = await serve(context);
  service.fsm = FSMStateType.IDLE;
  service.waits = false;
  const client = connect(context, service.address, {}, { absentRetryMs: 150 });
  const giving = new AbortController();
  context.after(() => giving.abort());
  const began = performance.now();
  const waiting = client.waitUntilNotIdle(giving.signal);
  waiting.catch(() => {});
  await waitFor(() => (service.calls.get('wait') ?? 0) >= 3, { what: 'the third wait' });
  assert.ok(performance.now() - began >= 290, 'two pauses lie between');
  service.leaveIdle();
  await within(waiting, 20_000, 'the end of IDLE');
});

test('waiting can be given up', async (context) => {
  const service = await serve(context);
  service.fsm = FSMStateType.IDLE;
  const client = connect(context, service.address);
  const giving = new AbortController();
  const waiting = client.waitUntilNotIdle(giving.signal);
  await waitFor(() => service.calls.get('wait') === 1, { what: 'the wait to arrive' });
  giving.abort();
  await assert.rejects(within(waiting, 20_000, 'giving up'), AbortedError);
});

test('every state has its name, and one of the future is UNKNOWN', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  const names = [];
  for (const state of [0, 1, 2, 3, 42]) {
    service.fsm = state;
    names.push(await client.getFsmState());
  }
  assert.deepEqual(names, ['IDLE', 'RUNNING', 'CATCHINGBLOCKS', 'LEGACYSYNCING', 'UNKNOWN']);
});

test('every type of notification arrives as what it is, those of the future too', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  const [tip, next] = minedChain(2).map((header) => service.add(header));
  const ending = new AbortController();
  const heard: ChainNotification[] = [];
  const reading = (async () => {
    for await (const notification of client.subscribe('p2pServer', ending.signal)) heard.push(notification);
  })();
  await waitFor(() => heard.length === 1, { what: 'the opening block' });
  service.notify(NotificationType.PING);
  service.notify(NotificationType.Subtree, tip);
  service.notify(NotificationType.Block, next);
  service.notify(NotificationType.MiningOn, next);
  service.notify(NotificationType.FSMState, '0'.repeat(64) as HashHex, {
    event: 'RUN',
    destination: 'RUNNING',
  });
  service.notify(NotificationType.BlockSubtreesSet, tip);
  service.notify(NotificationType.PeerFailure, '', {
    peer_id: 'p',
    failure_type: 'catchup',
    reason: 'r',
  });
  service.notify(NotificationType.BlockPersisted, tip);
  service.notify(NotificationType.BlockMinedUnset, tip);
  service.notify(NotificationType.BlockAssemblyFull, tip);
  service.notify(1234, tip);
  service.notify(NotificationType.Block, '');
  await waitFor(() => heard.length === 13, { what: 'all notifications' });
  ending.abort();
  await within(reading, 20_000, 'the end');
  assert.deepEqual(heard, [
    { type: 'block', hash: next, baseUrl: '' },
    { type: 'ping' },
    { type: 'subtree', hash: tip, baseUrl: '' },
    { type: 'block', hash: next, baseUrl: '' },
    { type: 'mining_on', hash: next, baseUrl: '' },
    { type: 'fsm_state', event: 'RUN', destination: 'RUNNING' },
    { type: 'other' },
    { type: 'peer_failure', peerId: 'p', failureType: 'catchup', reason: 'r' },
    { type: 'other' },
    { type: 'other' },
    { type: 'other' },
    { type: 'other' },
    { type: 'other' },
  ]);
  await waitFor(() => service.streams.size === 0, { what: 'the service to see the end' });
});

test('10,000 notifications pass in order', async (context) => {
  const service = await serve(context);
  const client = connect(context, service.address);
  service.add(minedChain(1)[0]!);
  const ending = new AbortController();
  const iterator = client.subscribe('p2pServer', ending.signal)[Symbol.asyncIterator]();
  await iterator.next();
  const hashes = Array.from({ length: 10_000 }, (_, n) => n.toString(16).padStart(64, '0') as HashHex);
  for (const hash of hashes) service.notify(NotificationType.Subtree, hash);
  const heard: string[] = [];
  while (heard.length < hashes.length) {
    const { value } = await iterator.next();
    heard.push(value.hash);
  }
  ending.abort();
  await iterator.next();
  assert.deepEqual(heard, hashes);
});

test('a broken stream ends with UnavailableError', async (context) => {
  const service = await serve(context);
  service.add(minedChain(1)[0]!);
  const client = connect(context, service.address);
  const iterator = client.subscribe('p2pServer', new AbortController().signal)[Symbol.asyncIterator]();
  await iterator.next();
  const next = iterator.next();
  service.stop();
  await assert.rejects(within(next, 20_000, 'the break'), UnavailableError);
});

test('TLS levels: 1 takes any certificate, 2 only its authority’s, 3 shows its own', async (context) => {
  const directory = temporaryDirectory(context);
  const server = await makeCertificate(directory, 'server');
  const stranger = await makeCertificate(directory, 'stranger');
  const pair = [{ cert_chain: Buffer.from(server.certificate), private_key: Buffer.from(server.key) }];
  const service = await serve(context, ServerCredentials.createSsl(null, pair));
  service.add(minedChain(1)[0]!);
  const best = (settings: SettingChanges): Promise<unknown> =>
    connect(context, service.address, settings, { deadlineMs: 10_000 }).getBestBlockHeader();

  await assert.doesNotReject(best({ security_level_grpc: 1 }));
  await assert.doesNotReject(best({ security_level_grpc: 2, grpc_ca_file: server.certificateFile }));
  await assert.rejects(
    best({ security_level_grpc: 2, grpc_ca_file: stranger.certificateFile }),
    UnavailableError,
  );
  await assert.rejects(best({ security_level_grpc: 0 }), UnavailableError);
});

test('TLS level 3 is let in by a service that asks for certificates, level 2 is not', async (context) => {
  const directory = temporaryDirectory(context);
  const server = await makeCertificate(directory, 'server');
  const client = await makeCertificate(directory, 'client');
  const pair = [{ cert_chain: Buffer.from(server.certificate), private_key: Buffer.from(server.key) }];
  const credentials = ServerCredentials.createSsl(Buffer.from(client.certificate), pair, true);
  const service = await serve(context, credentials);
  service.add(minedChain(1)[0]!);
  const best = (settings: SettingChanges): Promise<unknown> =>
    connect(context, service.address, settings, { deadlineMs: 10_000 }).getBestBlockHeader();

  const own = { grpc_cert_file: client.certificateFile, grpc_key_file: client.keyFile };
  const authority = { grpc_ca_file: server.certificateFile };
  await assert.doesNotReject(best({ security_level_grpc: 3, ...authority, ...own }));
  await assert.rejects(best({ security_level_grpc: 2, ...authority }), UnavailableError);
});

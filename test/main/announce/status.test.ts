import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { status as Code } from '@grpc/grpc-js';
import { feePolicy, storageOf } from '../../../src/main/announce/fee-policy.js';
import { Status } from '../../../src/main/announce/status.js';
import { announcedUrls } from '../../../src/main/announce/urls.js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { BlockAssemblyClient } from '../../../src/shared/grpc/block-assembly-client.js';
import { messageJson } from '../../../src/shared/messages/encode.js';
import { nodeStatus } from '../../../src/shared/messages/index.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { asPeer } from '../../support/branded.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

/** More than a status may wait, less than any deadline of a call, with room for a busy machine. */
const WELL_BELOW_MS = 3_500;
const SLOW_MS = 4_500;

async function served(context: TestContext): Promise<BlockchainService> {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  return service;
}

function statusOf(context: TestContext, service: BlockchainService, changes: SettingChanges = {}): Status {
  const settings = settingsOf({
    network: 'regtest',
    clientName: 'me',
    asset_httpPublicAddress: 'https://hub.example',
    asset_propagation_public_url: 'https://in.example',
    commit: 'c0ffee',
    blockchain_grpcAddress: service.address,
    ...changes,
  });
  const { logger } = keptLog();
  const blockchain = new GrpcBlockchainClient({ settings, logger });
  const assembly = new BlockAssemblyClient({ settings, logger });
  context.after(() => {
    assembly.close();
    return blockchain.close();
  });
  return new Status({
    settings,
    logger,
    chain: { fsmState: 'CATCHINGBLOCKS' },
    blockchain,
    node: { peerId: asPeer('my-peer-id'), peers: () => [{}, {}] as never },
    urls: announcedUrls(settings),
    assembly,
    legacyPeers: () => 3,
    version: '1.2.3',
    startedAt: Date.now() - 5_000,
  });
}

function persistedUpTo(height: number): Buffer {
  const state = Buffer.alloc(4);
  state.writeUInt32LE(height);
  return state;
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; ms: number }> {
  const began = performance.now();
  return { result: await work, ms: performance.now() - began };
}

/** What `status` tells once the chain is known: the first call of a channel may take longer than a status waits for it. */
async function settled(status: Status): Promise<Awaited<ReturnType<Status['current']>>> {
  return waitFor(
    async () => {
      const { result, ms } = await timed(status.current());
      // Sooner than its patience of 500 ms: nothing is still being asked.
      return ms < 450 && result.bestBlockHash && result.storage ? result : undefined;
    },
    { what: 'the chain to be known' },
  );
}

test('every field that the node can know is told, under its name on the wire', async (context) => {
  const service = await served(context);
  const [one] = minedChain(1) as [Uint8Array];
  const hash = service.add(one, { height: 1_000, miner: 'a miner', chain_work: Buffer.from('0a0b', 'hex') });
  service.states.set('BlockPersisterHeight', persistedUpTo(900));
  const status = statusOf(context, service, { minminingtxfee: 0.000005, maxscriptsizepolicy: 7 });
  const told = JSON.parse(messageJson(nodeStatus, await settled(status), 'message-bus'));
  const { start_time, uptime, ...rest } = told;
  assert.ok(uptime >= 5 && Math.abs(start_time + uptime - Date.now() / 1000) < 60, `${start_time} ${uptime}`);
  assert.deepEqual(rest, {
    peer_id: 'my-peer-id',
    client_name: 'me',
    type: 'node_status',
    base_url: 'https://hub.example',
    propagation_url: 'https://in.example',
    version: '1.2.3',
    commit_hash: 'c0ffee',
    best_block_hash: hash,
    best_height: 1_000,
    fsm_state: 'CATCHINGBLOCKS',
    miner_name: 'a miner',
    listen_mode: 'full',
    chain_work: '0a0b',
    min_mining_tx_fee: 0.000005,
    fee_policy: {
      miningFee: { satoshis: 500, bytes: 1000 },
      maxscriptsizepolicy: 7,
      maxtxsizepolicy: 100_000_000,
      maxtxsigopscountspolicy: 4_294_967_295,
    },
    connected_peers_count: 2,
    legacy_connected_peers_count: 3,
    storage: 'full',
  });
});

test('a listening node tells neither URL', async (context) => {
  const service = await served(context);
  const { baseUrl, propagationUrl } = await statusOf(context, service, {
    listen_mode: 'listen_only',
  }).current();
  assert.deepEqual([baseUrl, propagationUrl], ['', '']);
});

test('a fee of nothing is told, not left out, and fractions are rounded as a person would', () => {
  const fee = (minminingtxfee: number) => feePolicy(settingsOf({ minminingtxfee })).miningFee.satoshis;
  assert.deepEqual([0, 0.00000001, 0.00000029, 0.0000005, 1].map(fee), [0, 1, 29, 50, 100_000_000]);
  const told = messageJson(nodeStatus, { minMiningTxFee: 0, feePolicy: feePolicy(settingsOf({})) }, 'direct');
  assert.match(told, /"min_mining_tx_fee":0[,}]/);
});

test('storage is full while what persists blocks lags no further than what is kept', () => {
  assert.equal(storageOf(persistedUpTo(712), 1_000, 288), 'full');
  assert.equal(storageOf(persistedUpTo(711), 1_000, 288), 'pruned');
  assert.equal(storageOf(persistedUpTo(2_000), 1_000, 288), 'full', 'ahead of what was read of the tip');
  assert.equal(storageOf(persistedUpTo(990), 1_000, 9), 'pruned');
  assert.equal(storageOf(persistedUpTo(712), 1_000, 0), 'full', '0 means the usual 288');
  assert.equal(storageOf(persistedUpTo(0), 10, 288), 'pruned', 'nothing persists');
  for (const none of [undefined, new Uint8Array(0), new Uint8Array(3)]) {
    assert.equal(storageOf(none, 10, 288), 'pruned');
  }
  const within = Buffer.concat([Buffer.from([9, 9]), persistedUpTo(712), Buffer.from([9])]).subarray(2, 7);
  assert.equal(storageOf(within, 1_000, 288), 'full');
});

test('a slow chain holds up no status: the last known is told, and the late answer is in the next', async (context) => {
  const service = await served(context);
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  const first = service.add(one, { height: 1 });
  service.states.set('BlockPersisterHeight', persistedUpTo(1));
  const status = statusOf(context, service);
  assert.equal((await settled(status)).storage, 'full');
  const second = service.add(two, { height: 2 });
  service.delayMs = SLOW_MS;
  const { result, ms } = await timed(status.current());
  assert.ok(ms < WELL_BELOW_MS, `${ms} ms`);
  assert.deepEqual([result.bestBlockHash, result.storage], [first, 'full']);
  await waitFor(async () => (await status.current()).bestBlockHash === second, {
    what: 'the late answer',
    timeoutMs: 20_000,
  });
});

test('a chain that never answered is known as such: no best block, and no word of storage', async (context) => {
  const service = await served(context);
  service.fail('best', Code.INTERNAL, 1_000);
  service.fail('getState', Code.INTERNAL, 1_000);
  const { bestHeight, bestBlockHash, storage } = await statusOf(context, service).current();
  assert.deepEqual([bestHeight, bestBlockHash, storage], [0, '', '']);
});

test('the tip told meanwhile is not taken back by an answer that was asked for before', async (context) => {
  const service = await served(context);
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  service.add(one, { height: 1 });
  const status = statusOf(context, service);
  service.delayMs = 1_500;
  await status.current();
  await waitFor(() => service.calls.get('best') === 1, { what: 'the call for the old tip', everyMs: 1 });
  const info = { hash: 'newer', header: two, height: 2, chainWork: new Uint8Array(), miner: '' };
  status.newBest({ ...info, txCount: 1n, sizeInBytes: 1n, invalid: false } as never);
  const answered = service.calls.get('best') ?? 0;
  await waitFor(
    async () => {
      const { bestHeight } = await status.current();
      // The old tip comes from calls made after this one alone.
      if ((service.calls.get('best') ?? 0) === answered) assert.equal(bestHeight, 2);
      return (service.calls.get('best') ?? 0) > answered;
    },
    { what: 'the next call', timeoutMs: 20_000 },
  );
});

test('block assembly that takes calls and never answers holds up no status', async (context) => {
  const service = await served(context);
  service.add(minedChain(1)[0]!, { height: 7 });
  const sockets = new Set<Socket>();
  const hole = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
  });
  const port = await new Promise<number>((resolve) => {
    hole.listen(0, '127.0.0.1', () => resolve((hole.address() as { port: number }).port));
  });
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    hole.close();
  });
  const status = statusOf(context, service, { blockassembly_grpcAddress: `127.0.0.1:${port}` });
  for (let each = 0; each < 3; each++) {
    const { result, ms } = await timed(status.current());
    assert.ok(ms < WELL_BELOW_MS, `${ms} ms`);
    assert.deepEqual([result.txCount, result.subtreeCount], [0, 0]);
  }
  await waitFor(async () => (await status.current()).bestHeight === 7, { what: 'the tip' });
  assert.ok(sockets.size > 0, 'it was called');
});

/** The services around a P2P service of early 2025, which number their answers otherwise than those of today. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrpcBlockchainClient } from '../../src/main/chain/grpc-client.js';
import { hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { BlockAssemblyClient } from '../../src/shared/grpc/block-assembly-client.js';
import { minedChain } from '../support/headers.js';
import { keptLog } from '../support/logger.js';
import { startServer } from '../support/server.js';
import { settingsOf } from '../support/settings.js';
import { waitFor } from '../support/wait.js';
import { EARLY_DESCRIPTORS } from './build.js';
import { EarlyNetwork, NOBODY, topicIn } from './early.js';
import { GoGrpcServer, GoStatus } from './grpc.js';

const CHAIN = 'blockchain_api.BlockchainAPI';
const ASSEMBLY = 'blockassembly_api.BlockAssemblyAPI';
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const [TIP, NEXT] = minedChain(2) as [Uint8Array, Uint8Array];
const headerAnswer = (header: Uint8Array, height: number) => ({
  blockHeader: base64(header),
  height,
  tx_count: '18446744073709551615',
  size_in_bytes: '9007199254740993',
  miner: '/early/',
  block_time: 1_740_000_000,
  timestamp: 1_740_000_001,
  chain_work: base64(Buffer.alloc(32, 0xcd)),
});

test('a header of a blockchain service of early 2025 is read as it numbers it, with or without a miner', async (context) => {
  let miner = '/early/';
  const go = new GoGrpcServer(context, [CHAIN], {
    GetBestBlockHeader: () => ({ ...headerAnswer(TIP, 870_001), miner }),
    GetBlockHeader: () => headerAnswer(NEXT, 0xffff_ffff),
  });
  await go.listen({ descriptors: EARLY_DESCRIPTORS });
  const client = new GrpcBlockchainClient({
    settings: settingsOf({ blockchain_grpcAddress: go.address }),
    logger: keptLog().logger,
  });
  context.after(() => client.close());
  for (miner of ['/early/', '']) {
    const best = await client.getBestBlockHeader();
    assert.deepEqual(
      [
        best.hash,
        best.height,
        best.txCount,
        best.sizeInBytes,
        best.miner,
        base64(best.chainWork),
        best.invalid,
      ],
      [
        headerHash(TIP),
        870_001,
        18_446_744_073_709_551_615n,
        9_007_199_254_740_993n,
        miner,
        headerAnswer(TIP, 0).chain_work,
        false,
      ],
    );
  }
  assert.equal((await client.getBlockHeader(headerHash(NEXT))).height, 0xffff_ffff);
});

test('the state of a block assembly service of before 26 September 2025 is read as it numbers it', async (context) => {
  const go = new GoGrpcServer(context, [ASSEMBLY], {
    GetBlockAssemblyState: () => ({
      blockAssemblyState: 'running',
      subtreeProcessorState: 'running',
      resetWaitCount: 11,
      resetWaitTime: 12,
      subtreeCount: 3,
      txCount: '18446744073709551615',
      queueCount: '9',
      currentHeight: 870_001,
      currentHash: headerHash(TIP),
    }),
  });
  await go.listen({ descriptors: EARLY_DESCRIPTORS });
  const client = new BlockAssemblyClient({
    settings: settingsOf({ blockassembly_grpcAddress: go.address }),
    logger: keptLog().logger,
  });
  context.after(() => client.close());
  assert.deepEqual(await client.state(), { txCount: 18_446_744_073_709_551_615n, subtreeCount: 3 });
});

test('in the place of an early P2P service: notifications of the chain become what early nodes are told', async (context) => {
  let tip: readonly [Uint8Array, number] = [TIP, 870_001];
  const subscriptions: number[] = [];
  const go = new GoGrpcServer(context, [CHAIN], {
    HealthGRPC: () => ({ ok: true }),
    GetFSMCurrentState: () => ({ state: 'RUNNING' }),
    WaitUntilFSMTransitionFromIdleState: () => ({}),
    GetState: () => new GoStatus(5),
    GetBestBlockHeader: () => headerAnswer(...tip),
    GetBlockHeader: () => headerAnswer(...tip),
    Subscribe: ({ call }) => {
      subscriptions.push(call);
      return undefined;
    },
  });
  await go.listen({ descriptors: EARLY_DESCRIPTORS });
  const network = await EarlyNetwork.start(context, { bootstrap: NOBODY });
  const node = await network.node('teranode1');
  const settings = network.settings('teranode2', [
    `blockchain_grpcAddress=${go.address}`,
    `p2p_static_peers=${node.address}`,
  ]);
  const { server } = await startServer(context, settings);
  for (const kind of ['block', 'subtree', 'mining_on'])
    await node.listens(server.peerId, topicIn(settings, kind));
  const call = await waitFor(() => subscriptions[0], { what: 'the subscription' });
  const wire = (header: Uint8Array) => base64(hashToBytes(headerHash(header)));
  await go.send(call, [{ type: 'Block', hash: wire(TIP) }]);
  tip = [NEXT, 870_002];
  await go.send(call, [
    { type: 'Block', hash: wire(NEXT) },
    { type: 'MiningOn', hash: wire(NEXT) },
    { type: 'BlockSubtreesSet', hash: wire(NEXT) },
    { type: 'Subtree', hash: base64(Buffer.alloc(32, 0x5b)) },
  ]);
  const ours = server.peerId;
  const said = { base_url: 'http://teranode2:8090/api/v1', peer_id: ours };
  const hash = headerHash(NEXT);
  assert.deepEqual(await node.frame(({ type, peer_id }) => type === 'block' && peer_id === ours, 'block'), {
    type: 'block',
    hash,
    height: 870_002,
    ...said,
  });
  const mining = await node.frame(
    ({ type, peer_id }) => type === 'mining_on' && peer_id === ours,
    'mining_on',
  );
  assert.deepEqual(
    [mining.hash, mining.previousblockhash, mining.height, mining.miner, mining.base_url],
    [hash, headerHash(TIP), 870_002, '/early/', said.base_url],
  );
  const text = (await node.heard(topicIn(settings, 'mining_on'), ours)).data;
  assert.match(text, /"SizeInBytes":9007199254740993,"TxCount":18446744073709551615[,}]/);
  assert.deepEqual(
    await node.frame(({ type, peer_id }) => type === 'subtree' && peer_id === ours, 'subtree'),
    {
      type: 'subtree',
      hash: '5b'.repeat(32),
      ...said,
    },
  );
});

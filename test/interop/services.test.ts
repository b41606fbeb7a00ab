/** The services around the node, on grpc-go servers that answer as they are told. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GrpcBlockchainClient, type GrpcBlockchainOptions } from '../../src/main/chain/grpc-client.js';
import { ChainSubscription } from '../../src/main/chain/subscription.js';
import type { ChainNotification } from '../../src/main/chain/types.js';
import { pause } from '../../src/shared/async/pause.js';
import { type HashHex, hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { UnavailableError } from '../../src/shared/errors.js';
import { BlockAssemblyClient } from '../../src/shared/grpc/block-assembly-client.js';
import { GrpcBlockValidationClient } from '../../src/shared/grpc/block-validation-client.js';
import { DeadlineError, NotFoundError, RpcError } from '../../src/shared/grpc/call.js';
import { makeCertificate } from '../support/certificates.js';
import { minedChain } from '../support/headers.js';
import { keptLog } from '../support/logger.js';
import { LossyProxy } from '../support/lossy-proxy.js';
import { type SettingChanges, settingsOf } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';
import { type GoAnswer, GoGrpcServer, GoStatus } from './grpc.js';

const CHAIN = 'blockchain_api.BlockchainAPI';
const MAX_UINT64 = 18_446_744_073_709_551_615n;
const [HEADER] = minedChain(1) as [Uint8Array];
const HASH = headerHash(HEADER);
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const wire = (hash: HashHex) => base64(hashToBytes(hash));
/** The largest figures that a header's answer can have. */
const ANSWER = {
  blockHeader: base64(HEADER),
  height: 0xffff_ffff,
  tx_count: String(MAX_UINT64),
  size_in_bytes: String(MAX_UINT64),
  miner: '/go/',
  chain_work: base64(Buffer.alloc(32, 0xff)),
};

async function chainOn(
  context: TestContext,
  answers: Record<string, GoAnswer>,
  { settings = {}, options = {} }: { settings?: SettingChanges; options?: GrpcBlockchainOptions } = {},
) {
  const go = new GoGrpcServer(context, [CHAIN], answers);
  await go.listen();
  const client = new GrpcBlockchainClient(
    { settings: settingsOf({ blockchain_grpcAddress: go.address, ...settings }), logger: keptLog().logger },
    options,
  );
  context.after(() => client.close());
  return { go, client };
}

test('every call of the blockchain service', async (context) => {
  const states = new Map<string, unknown>();
  let fsm = 'IDLE';
  const { go, client } = await chainOn(context, {
    HealthGRPC: () => ({ ok: true, details: 'well' }),
    GetBestBlockHeader: () => ANSWER,
    GetBlockHeader: ({ message }) => (message.blockHash === wire(HASH) ? ANSWER : new GoStatus(5)),
    GetFSMCurrentState: () => ({ state: fsm }),
    WaitUntilFSMTransitionFromIdleState: () => {
      fsm = 'RUNNING';
      return {};
    },
    GetState: ({ message }) => {
      const data = states.get(String(message.key));
      return data === undefined ? new GoStatus(5) : { data };
    },
    SetState: ({ message }) => {
      states.set(String(message.key), message.data);
      return {};
    },
  });
  assert.equal((await client.health(AbortSignal.timeout(30_000))).status, 200);
  const best = await client.getBestBlockHeader();
  assert.deepEqual(
    [best.hash, best.height, best.txCount, best.sizeInBytes, best.miner, base64(best.chainWork)],
    [HASH, 0xffff_ffff, MAX_UINT64, MAX_UINT64, '/go/', ANSWER.chain_work],
  );
  assert.deepEqual(await client.getBlockHeader(HASH), best);
  await assert.rejects(client.getBlockHeader('ab'.repeat(32) as HashHex), NotFoundError);
  assert.equal(await client.getFsmState(), 'IDLE');
  await client.waitUntilNotIdle(AbortSignal.timeout(30_000));
  assert.equal(await client.getFsmState(), 'RUNNING');
  const data = Buffer.from('every byte \0 \xff', 'latin1');
  assert.equal(await client.getState('a key'), undefined);
  await client.setState('a key', data);
  assert.deepEqual(Buffer.from((await client.getState('a key')) ?? []), data);
  assert.ok(go.calls.every(({ method }) => method !== 'Subscribe'));
});

test('a subscription: the opening block, every type of notification, ten thousand in order, and the end', async (context) => {
  const { go, client } = await chainOn(context, {});
  const stopping = new AbortController();
  const heard: ChainNotification[] = [];
  const ended = (async () => {
    for await (const notification of client.subscribe('p2pServer', stopping.signal)) heard.push(notification);
  })();
  ended.catch(() => {});
  const subscribed = await waitFor(() => go.calls[0], { what: 'the subscription' });
  assert.deepEqual([subscribed.method, subscribed.message], ['Subscribe', { source: 'p2pServer' }]);
  const hash = wire(HASH);
  await go.send(subscribed.call, [
    { type: 'Block', hash, base_URL: 'http://hub' },
    { type: 'Subtree', hash },
    { type: 3, hash },
    { type: 'PING' },
    {
      type: 'FSMState',
      hash: base64(Buffer.alloc(32)),
      metadata: { metadata: { event: 'RUN', destination: 'RUNNING' } },
    },
    {
      type: 'PeerFailure',
      metadata: { metadata: { peer_id: 'p', failure_type: 'catchup', reason: 'late' } },
    },
    { type: 'BlockPersisted', hash },
    { type: 99, hash },
  ]);
  await waitFor(() => heard.length === 8, { what: 'every type' });
  assert.deepEqual(heard, [
    { type: 'block', hash: HASH, baseUrl: 'http://hub' },
    { type: 'subtree', hash: HASH, baseUrl: '' },
    { type: 'mining_on', hash: HASH, baseUrl: '' },
    { type: 'ping' },
    { type: 'fsm_state', event: 'RUN', destination: 'RUNNING' },
    { type: 'peer_failure', peerId: 'p', failureType: 'catchup', reason: 'late' },
    { type: 'other' },
    { type: 'other' },
  ]);

  const hashes = Array.from({ length: 10_000 }, (_, n) => n.toString(16).padStart(64, '0') as HashHex);
  const messages = hashes.map((each) => ({ type: 'Block', hash: wire(each) }));
  await go.send(subscribed.call, messages);
  await waitFor(() => heard.length === 8 + hashes.length, { what: 'ten thousand', timeoutMs: 30_000 });
  assert.deepEqual(
    heard.slice(8).map((each) => ('hash' in each ? each.hash : '')),
    hashes,
  );
  await go.end(subscribed.call);
  await assert.rejects(within(ended, 20_000, 'the end'), UnavailableError);
});

test('a server that restarts is subscribed to again, its state is read again, and the opening block is no news', async (context) => {
  let fsm = 'RUNNING';
  const { go, client } = await chainOn(context, {
    GetFSMCurrentState: () => ({ state: fsm }),
    Subscribe: async ({ call }) => {
      await go.send(call, [{ type: 'Block', hash: wire(HASH) }]);
      return undefined;
    },
  });
  const news: ChainNotification[] = [];
  const tips: string[] = [];
  const subscription = new ChainSubscription(
    { chain: client, logger: keptLog().logger },
    {
      notification: (notification) => news.push(notification),
      opened: (tip) => tips.push(tip),
      fsmState: () => {},
    },
  );
  subscription.start();
  context.after(() => subscription.stop());
  await waitFor(() => tips.length === 1 && subscription.fsmState === 'RUNNING', {
    what: 'the first opening',
  });
  await go.stop();
  fsm = 'CATCHINGBLOCKS';
  await waitFor(() => !subscription.connected, { what: 'the break' });
  await go.listen();
  await waitFor(() => tips.length === 2 && subscription.fsmState === 'CATCHINGBLOCKS', {
    what: 'the second opening',
    timeoutMs: 20_000,
  });
  assert.deepEqual(tips, [HASH, HASH]);
  assert.deepEqual(
    news.filter(({ type }) => type === 'block'),
    [],
  );
});

test('a Go server whose heartbeat falls silent is subscribed to again', async (context) => {
  const { go, client } = await chainOn(context, {
    GetFSMCurrentState: () => ({ state: 'RUNNING' }),
    Subscribe: async ({ call }) => {
      await go.send(call, [{ type: 'Block', hash: wire(HASH) }]);
      for (let beat = 0; beat < 4; beat++) {
        await go.send(call, [{ type: 'PING' }]);
        await pause(100);
      }
      return undefined;
    },
  });
  const tips: string[] = [];
  const subscription = new ChainSubscription(
    { chain: client, logger: keptLog().logger },
    { notification: () => {}, opened: (tip) => tips.push(tip), fsmState: () => {} },
    { heartbeatBounds: [100, 500] },
  );
  subscription.start();
  context.after(() => subscription.stop());
  await waitFor(() => tips.length === 2, { what: 'another subscription', timeoutMs: 20_000 });
  const [first] = go.calls.filter(({ method }) => method === 'Subscribe');
  await go.program.event<{ call: number }>(
    'gone',
    ({ call }) => call === first?.call,
    'the end of the silent one',
  );
});

test('a Go server that moves without a FIN is heard again over a new connection, and its blocks are told', async (context) => {
  const proxy = await LossyProxy.listen(context);
  const serve = async () => {
    const go: GoGrpcServer = new GoGrpcServer(context, [CHAIN], {
      HealthGRPC: () => ({ ok: true }),
      GetFSMCurrentState: () => ({ state: 'RUNNING' }),
      GetBestBlockHeader: () => ANSWER,
      Subscribe: async ({ call }) => {
        await go.send(call, [{ type: 'Block', hash: wire(HASH) }]);
        return undefined;
      },
    });
    await go.listen();
    proxy.target = Number(go.address.split(':')[1]);
    return go;
  };
  await serve();
  const { logger } = keptLog();
  const client = new GrpcBlockchainClient(
    { settings: settingsOf({ blockchain_grpcAddress: `127.0.0.1:${proxy.port}` }), logger },
    { deadlineMs: 1_000, ...{ probeMs: 1_000 } },
  );
  const news: ChainNotification[] = [];
  const tips: string[] = [];
  const subscription = new ChainSubscription(
    { chain: client, logger },
    { notification: (notification) => news.push(notification), opened: (tip) => tips.push(tip) },
  );
  context.after(async () => {
    await subscription.stop();
    await client.close();
  });
  subscription.start();
  await waitFor(() => tips.length === 1, { what: 'the subscription' });
  const asking = setInterval(() => void client.getBestBlockHeader().catch(() => {}), 250);
  context.after(() => clearInterval(asking));
  proxy.silence('both');
  const moved = await serve();
  const began = performance.now();
  await waitFor(() => tips.length === 2, { what: 'the subscription to the moved server' });
  context.diagnostic(`heard again after ${Math.round(performance.now() - began)} ms`);
  const subscribed = moved.calls.find(({ method }) => method === 'Subscribe');
  await moved.send(subscribed?.call ?? 0, [{ type: 'Block', hash: wire('cd'.repeat(32) as HashHex) }]);
  await waitFor(() => news.some(({ type }) => type === 'block'), { what: 'its next block' });
});

test('a Go server that wants x-api-key gets it with every call and every stream, and its refusal names the setting', async (context) => {
  const go: GoGrpcServer = new GoGrpcServer(
    context,
    [CHAIN, 'blockvalidation_api.BlockValidationAPI', 'blockassembly_api.BlockAssemblyAPI'],
    {
      HealthGRPC: () => ({ ok: true }),
      GetFSMCurrentState: () => ({ state: 'RUNNING' }),
      GetBestBlockHeader: () => ANSWER,
      BlockFound: () => ({}),
      GetBlockAssemblyState: () => ({ subtreeCount: 3 }),
      Subscribe: async ({ call }) => {
        await go.send(call, [{ type: 'Block', hash: wire(HASH) }]);
        return undefined;
      },
    },
  );
  await go.listen({ apiKey: 'the-key-of-the-node' });
  const clients = (key: string) => {
    const components = {
      settings: settingsOf({
        blockchain_grpcAddress: go.address,
        blockvalidation_grpcAddress: go.address,
        blockassembly_grpcAddress: go.address,
        grpc_admin_api_key: key,
      }),
      logger: keptLog().logger,
    };
    const chain = new GrpcBlockchainClient(components);
    const validation = new GrpcBlockValidationClient(components);
    const assembly = new BlockAssemblyClient(components, { deadlineMs: 20_000 });
    context.after(async () => {
      await chain.close();
      validation.close();
      assembly.close();
    });
    return { chain, validation, assembly };
  };
  const block = { hash: HASH, baseUrl: 'http://hub', peerId: 'somebody' };
  const first = async (chain: GrpcBlockchainClient): Promise<ChainNotification | undefined> => {
    const stopping = new AbortController();
    for await (const notification of chain.subscribe('p2pServer', stopping.signal)) {
      stopping.abort();
      return notification;
    }
    return undefined;
  };
  const knowing = clients('the-key-of-the-node');
  assert.equal((await knowing.chain.getBestBlockHeader()).hash, HASH);
  assert.equal((await first(knowing.chain))?.type, 'block');
  await knowing.validation.blockFound(block);
  assert.equal((await knowing.assembly.state())?.subtreeCount, 3);
  for (const [key, what] of [
    ['', 'missing API key'],
    ['another', 'invalid API key'],
  ] as const) {
    const { chain, validation, assembly } = clients(key);
    const refused = new RegExp(`^RpcError: grpc_admin_api_key: .*${what}$`);
    await assert.rejects(chain.getBestBlockHeader(), refused);
    await assert.rejects(first(chain), refused);
    await assert.rejects(validation.blockFound(block), refused);
    assert.equal(await assembly.state(), undefined);
    assert.equal((await chain.health(AbortSignal.timeout(30_000))).status, 200);
  }
});

test('each status code of a Go server is told apart, and a slow answer ends at the deadline', async (context) => {
  let code = 0;
  const answers = {
    GetFSMCurrentState: () => ({ state: 'RUNNING' }),
    GetBestBlockHeader: () => (code === 0 ? undefined : new GoStatus(code, `code ${code}`)),
  };
  const { go, client: hasty } = await chainOn(context, answers, { options: { deadlineMs: 1_000 } });
  // A call that meets its deadline while the connection is being made never reaches the server.
  await waitFor(() => hasty.getFsmState().catch(() => undefined), { what: 'a connection' });
  const began = performance.now();
  await assert.rejects(hasty.getBestBlockHeader(), DeadlineError);
  assert.ok(performance.now() - began < 5_000);
  // The deadline goes with the call: the server gives it up too.
  await go.program.event<{ call: number }>('gone', () => true, 'the end of the call at the server');
  const { client } = await chainOn(context, answers, { options: { deadlineMs: 30_000 } });
  const expected = new Map<number, typeof UnavailableError | typeof DeadlineError | typeof NotFoundError>([
    [1, UnavailableError],
    [4, DeadlineError],
    [5, NotFoundError],
    [14, UnavailableError],
  ]);
  for (code = 1; code <= 16; code++) {
    await assert.rejects(client.getBestBlockHeader(), (error: Error) => {
      const type = expected.get(code);
      assert.ok(error instanceof (type ?? RpcError), `${code}: ${error.name} ${error.message}`);
      if (error instanceof RpcError) assert.equal(error.code, code);
      assert.match(error.message, new RegExp(`code ${code}`));
      return true;
    });
  }
});

test('TLS at every level, and the address as Kubernetes has it', async (context) => {
  const directory = temporaryDirectory(context);
  const server = await makeCertificate(directory, 'server');
  const own = await makeCertificate(directory, 'client');
  const tls = { certificate: server.certificateFile, key: server.keyFile };
  const authority = { grpc_ca_file: server.certificateFile };
  const pair = { grpc_cert_file: own.certificateFile, grpc_key_file: own.keyFile };
  const best = async (go: GoGrpcServer, settings: SettingChanges, address = go.address) => {
    const all = settingsOf({ blockchain_grpcAddress: address, ...settings });
    const client = new GrpcBlockchainClient(
      { settings: all, logger: keptLog().logger },
      { deadlineMs: 10_000 },
    );
    try {
      return (await client.getBestBlockHeader()).hash;
    } finally {
      await client.close();
    }
  };
  const answers = { GetBestBlockHeader: () => ANSWER };
  const plain = new GoGrpcServer(context, [CHAIN], answers);
  await plain.listen();
  assert.equal(await best(plain, {}, `k8s:///${plain.address}`), HASH);
  const secured = new GoGrpcServer(context, [CHAIN], answers);
  await secured.listen(tls);
  await assert.rejects(best(secured, { security_level_grpc: 0 }), UnavailableError);
  assert.equal(await best(secured, { security_level_grpc: 1 }), HASH);
  assert.equal(await best(secured, { security_level_grpc: 2, ...authority }), HASH);
  const wary = new GoGrpcServer(context, [CHAIN], answers);
  await wary.listen({ ...tls, clientCa: own.certificateFile });
  await assert.rejects(best(wary, { security_level_grpc: 2, ...authority }), UnavailableError);
  assert.equal(await best(wary, { security_level_grpc: 3, ...authority, ...pair }), HASH);
});

test('every call of block validation and block assembly', async (context) => {
  const go = new GoGrpcServer(
    context,
    ['blockvalidation_api.BlockValidationAPI', 'blockassembly_api.BlockAssemblyAPI'],
    {
      HealthGRPC: () => ({ ok: true, details: 'well' }),
      BlockFound: () => ({}),
      GetBlockAssemblyState: () => ({
        blockAssemblyState: 'running',
        subtreeCount: 0xffff_ffff,
        txCount: String(MAX_UINT64),
        queueCount: '-9223372036854775808',
        currentHash: HASH,
        subtrees: [HASH],
      }),
    },
  );
  await go.listen();
  const settings = settingsOf({
    blockvalidation_grpcAddress: go.address,
    blockassembly_grpcAddress: go.address,
  });
  const validation = new GrpcBlockValidationClient({ settings, logger: keptLog().logger });
  const assembly = new BlockAssemblyClient({ settings, logger: keptLog().logger });
  context.after(() => {
    validation.close();
    assembly.close();
  });
  assert.equal((await validation.health(AbortSignal.timeout(30_000))).status, 200);
  await validation.blockFound({ hash: HASH, baseUrl: 'http://hub/api', peerId: 'somebody' });
  assert.deepEqual(go.calls.find(({ method }) => method === 'BlockFound')?.message, {
    hash: wire(HASH),
    base_url: 'http://hub/api',
    wait_to_complete: false,
    peer_id: 'somebody',
  });
  assert.deepEqual(await assembly.state(), { txCount: MAX_UINT64, subtreeCount: 0xffff_ffff });
});

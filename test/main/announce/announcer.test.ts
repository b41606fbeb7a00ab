import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status as Status } from '@grpc/grpc-js';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import { Announcer, type AnnouncerOptions } from '../../../src/main/announce/announcer.js';
import { createAnnounceMetrics } from '../../../src/main/announce/metrics.js';
import { announcedUrls } from '../../../src/main/announce/urls.js';
import { EmbeddedChain } from '../../../src/main/chain/embedded-chain.js';
import { ChainFollower, type ChainFollowerOptions } from '../../../src/main/chain/follower.js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { createChainMetrics } from '../../../src/main/chain/metrics.js';
import type { BlockchainClient, BlockHeaderInfo, FsmState } from '../../../src/main/chain/types.js';
import type { ConnectedPeer } from '../../../src/main/node/types.js';
import { headerHash, parseHeader } from '../../../src/shared/bitcoin/header.js';
import { FSMStateType } from '../../../src/shared/generated/blockchain_api.js';
import { KafkaRejectedTxTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { encodeMessage } from '../../../src/shared/messages/encode.js';
import type { Generation } from '../../../src/shared/settings/table.js';
import type { ConsumedRecord } from '../../../src/shared/sinks/kafka/types.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { asPeer } from '../../support/branded.js';
import { minedChain, minedHeader } from '../../support/headers.js';
import { kindOf } from '../../support/kinds.js';
import { keptLog } from '../../support/logger.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

const HUB = 'https://hub.example/api/v1';

interface Said {
  readonly kind: string;
  readonly message: Record<string, any>;
  /** Bytes of the JSON, and of all that is published. */
  readonly json: number;
  readonly framed: number;
}

/** An announcer on `chain` whose node writes down what it is to publish. */
function announcing(
  context: TestContext,
  chain: BlockchainClient,
  changes: SettingChanges = {},
  generation: Generation = 'current',
  { subscription = {}, ...options }: AnnouncerOptions & Pick<ChainFollowerOptions, 'subscription'> = {},
  isInvalid: (hash: string) => boolean = () => false,
  /** Peers that are connected, those of them that have said to listen to a topic, and those to whom a message goes. */
  mesh = { connected: 1, listening: 1, reached: 1 },
) {
  const settings = settingsOf(
    {
      network: 'regtest',
      clientName: 'me',
      asset_httpPublicAddress: HUB,
      // A status that is waited for is not one that would have come anyway.
      p2p_node_status_interval: 3_600_000,
      ...changes,
    },
    generation,
  );
  const texts: string[] = [];
  const read = (kind: number, data: Uint8Array): Said => {
    const outer = JSON.parse(Buffer.from(data).toString());
    const text = outer.data === undefined ? data : Buffer.from(outer.data, 'base64');
    texts.push(Buffer.from(text).toString());
    return {
      kind: kindOf(kind).name,
      message: JSON.parse(texts.at(-1)!),
      json: text.length,
      framed: data.length,
    };
  };
  const told: Said[] = [];
  const shown: Said[] = [];
  const direct: { peer: string; message: Record<string, any> }[] = [];
  const registry = new Registry();
  const chainMetrics = createChainMetrics(registry);
  const metrics = { ...createAnnounceMetrics(registry), chainFailures: chainMetrics.failures };
  const follower = new ChainFollower(
    { chain, logger: keptLog().logger, metrics: chainMetrics },
    { subscription: { resumeMs: 20, ...subscription }, retryMs: 10 },
  );
  const announcer = new Announcer(
    {
      settings,
      logger: keptLog().logger,
      metrics,
      chain: follower,
      blockchain: chain,
      node: {
        peerId: asPeer('my-peer-id'),
        peers: () => Array.from({ length: mesh.connected }, () => ({}) as ConnectedPeer),
        publish: async (kind, data) => {
          told.push(read(kind, data));
          return mesh.reached;
        },
        subscribers: () => mesh.listening,
        isConnected: (peer) => peer.startsWith('connected'),
        sendDirect: async (peer, data, signal) => {
          direct.push({ peer, message: JSON.parse(Buffer.from(data).toString()) });
          // Some do not read what they are sent.
          if (peer.includes('deaf')) {
            signal?.throwIfAborted();
            await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
          }
        },
      },
      showOwn: (kind, message) => {
        const { p2p_payload_framing, clientName } = settings;
        shown.push(read(kind.id, encodeMessage(kind, message, p2p_payload_framing, clientName)));
      },
      urls: announcedUrls(settings),
      isInvalid,
    },
    { retryMs: 10, statusSpacingMs: 0, version: '1.2.3', ...options },
  );
  const start = async (): Promise<void> => {
    follower.start();
    await announcer.start();
  };
  const stop = async (): Promise<void> => {
    await announcer.stop();
    await follower.stop();
  };
  context.after(stop);
  const kinds = (said: Said[]): string[] => [...new Set(said.map(({ kind }) => kind))].sort();
  const of = (said: Said[], kind: string) =>
    said.filter((one) => one.kind === kind).map((one) => one.message);
  const count = async (
    name: 'publications' | 'bestBlockAnswers' | 'blocked' | 'chainFailures',
    ...wanted: string[]
  ): Promise<number> => {
    const { values } = await metrics[name].get();
    const found = values.find(({ labels }) => wanted.every((label) => Object.values(labels).includes(label)));
    return found?.value ?? 0;
  };
  return { announcer, follower, start, stop, told, shown, direct, texts, kinds, of, count };
}

async function embedded(context: TestContext): Promise<EmbeddedChain> {
  const chain = new EmbeddedChain({
    store: new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' }),
    logger: keptLog().logger,
    settings: settingsOf({ network: 'regtest', clientName: 'miner' }),
  });
  await chain.open();
  context.after(() => chain.close());
  return chain;
}

async function service(context: TestContext): Promise<[BlockchainService, GrpcBlockchainClient]> {
  const served = new BlockchainService();
  await served.start();
  context.after(() => served.stop());
  const client = new GrpcBlockchainClient({
    settings: settingsOf({ blockchain_grpcAddress: served.address }),
    logger: keptLog().logger,
  });
  context.after(() => client.close());
  return [served, client];
}

test('a mined block is told with its header, then mining on, then a status; the opening tip is not', async (context) => {
  const chain = await embedded(context);
  const { announcer, follower, start, told, shown, of } = announcing(context, chain);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  const subtree = await chain.makeSubtree();
  const block = await chain.mine();
  await waitFor(() => of(told, 'node_status').some((status) => status.best_height === 1), { what: 'status' });
  await announcer.idle();
  const header = Buffer.from(block.header).toString('hex');
  assert.deepEqual(of(told, 'block'), [
    {
      Hash: block.hash,
      Height: 1,
      DataHubURL: HUB,
      PeerID: 'my-peer-id',
      ClientName: 'me',
      Header: header,
      Coinbase: '',
    },
  ]);
  assert.deepEqual(of(told, 'subtree'), [
    { Hash: subtree, DataHubURL: HUB, PeerID: 'my-peer-id', ClientName: 'me' },
  ]);
  const [mining, ...more] = of(told, 'mining_on');
  assert.deepEqual(more, []);
  assert.equal(mining!.Hash, block.hash);
  assert.equal(mining!.PreviousHash, parseHeader(block.header).previousHash);
  assert.deepEqual([mining!.Height, mining!.Miner], [1, 'miner']);
  assert.equal(BigInt(mining!.TxCount), block.txCount);
  const order = told.map(({ kind }) => kind).filter((kind) => kind !== 'node_status' && kind !== 'bestblock');
  assert.deepEqual(order, ['subtree', 'block', 'mining_on']);
  const status = of(told, 'node_status').at(-1)!;
  assert.equal(status.best_block_hash, block.hash);
  assert.deepEqual([status.fsm_state, status.listen_mode, status.version], ['RUNNING', 'full', '1.2.3']);
  assert.deepEqual(of(told, 'bestblock'), [{ PeerID: 'my-peer-id' }]);
  assert.deepEqual(of(shown, 'bestblock'), []);
  assert.deepEqual(of(shown, 'block'), of(told, 'block'));
});

test('what may be said, by listen mode, state and generation', async (context) => {
  const states = ['RUNNING', 'IDLE', 'CATCHINGBLOCKS', 'LEGACYSYNCING', 'UNKNOWN', undefined] as const;
  const everything = ['block', 'mining_on', 'node_status', 'subtree'];
  for (const generation of ['first', 'current'] as const) {
    for (const listen_mode of ['full', 'listen_only', 'silent'] as const) {
      for (const state of states) {
        const label = `${generation} ${listen_mode} ${state}`;
        const real = await embedded(context);
        const chain: BlockchainClient = Object.assign(Object.create(null), {
          getBestBlockHeader: () => real.getBestBlockHeader(),
          getBlockHeader: (hash: never) => real.getBlockHeader(hash),
          subscribe: (source: string, signal: AbortSignal) => real.subscribe(source, signal),
          getFsmState: async (): Promise<FsmState> => {
            if (state === undefined) throw new Error('unreadable');
            return state;
          },
        });
        const { announcer, follower, start, stop, told, shown, kinds, of, count } = announcing(
          context,
          chain,
          { listen_mode },
          generation,
        );
        await start();
        await waitFor(() => follower.connected, { what: `subscription: ${label}` });
        await real.makeSubtree();
        await real.mine();
        const height = () => of(shown, 'node_status').at(-1)?.best_height;
        await waitFor(() => height() === 1, { what: `status: ${label}` });
        await announcer.idle();
        await stop();
        const news = state === 'RUNNING' || state === undefined;
        const says = news ? everything : ['node_status'];
        for (const kind of ['block', 'subtree', 'mining_on']) {
          const blocked = news ? 0 : await count('blocked', kind, state ?? '', 'precheck');
          assert.equal(blocked, news ? 0 : 1, `kept back: ${kind}, ${label}`);
        }
        assert.deepEqual(kinds(shown), says, `shown: ${label}`);
        const tells = listen_mode === 'full' ? says : listen_mode === 'silent' ? [] : ['node_status'];
        assert.deepEqual(
          kinds(told).filter((kind) => kind !== 'bestblock'),
          tells,
          `told: ${label}`,
        );
        if (listen_mode !== 'full') assert.ok(!kinds(told).includes('bestblock'), label);
        for (const status of of(told, 'node_status')) {
          assert.equal(status.base_url, listen_mode === 'listen_only' ? '' : HUB, label);
        }
      }
    }
  }
});

test('whatever names and reasons are ours, what is told is no larger than other nodes take', async (context) => {
  // The newest Go nodes' bounds of JSON; of an envelope besides, what leaves room for its base64 and a name.
  const BOUNDS = new Map([
    ['block', 32_768],
    ['subtree', 8_192],
    ['mining_on', 32_768],
    ['rejected_tx', 8_192],
    ['node_status', 16_384],
  ]);
  const huge = '\u0001"ü'.repeat(20_000);
  const real = await embedded(context);
  const miner = async (info: Promise<BlockHeaderInfo>) => ({ ...(await info), miner: huge });
  const chain: BlockchainClient = Object.assign(Object.create(real), {
    getBestBlockHeader: () => miner(real.getBestBlockHeader()),
    getBlockHeader: (hash: never) => miner(real.getBlockHeader(hash)),
    getFsmState: () => real.getFsmState(),
    getState: (key: string) => real.getState(key),
    subscribe: (source: string, signal: AbortSignal) => real.subscribe(source, signal),
  });
  const { announcer, follower, start, told, kinds } = announcing(context, chain, {
    clientName: huge,
    version: huge,
    commit: huge,
    asset_httpPublicAddress: `https://hub.example/${'ü'.repeat(330)}`,
    asset_propagation_public_url: `https://hub.example/${'ü'.repeat(330)}`,
  });
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  await real.makeSubtree();
  await real.mine();
  const value = KafkaRejectedTxTopicMessage.encode({
    txHash: 'ab'.repeat(32),
    reason: huge,
    peer_id: '',
  }).finish();
  await announcer.handleRejected([{ value } as ConsumedRecord]);
  await waitFor(() => BOUNDS.size === kinds(told).filter((kind) => BOUNDS.has(kind)).length, {
    what: 'one of each kind',
  });
  for (const { kind, json, framed } of told) {
    const bound = BOUNDS.get(kind) ?? Number.POSITIVE_INFINITY;
    assert.ok(json <= bound, `a ${kind} of ${json} bytes`);
    assert.ok(framed <= Math.ceil(bound / 3) * 4 + 4_096, `a framed ${kind} of ${framed} bytes`);
  }
});

test('without a data hub that peers accept, blocks and subtrees are shown and not told', async (context) => {
  const chain = await embedded(context);
  const changes = { asset_httpPublicAddress: 'http://127.0.0.1:8090' };
  const { follower, start, told, shown, of } = announcing(context, chain, changes);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  await chain.makeSubtree();
  await chain.mine();
  await waitFor(() => of(shown, 'mining_on').length === 1, { what: 'mining on' });
  assert.equal(of(shown, 'block').length, 1);
  assert.equal(of(shown, 'subtree').length, 1);
  assert.deepEqual([...of(told, 'block'), ...of(told, 'subtree')], []);
});

test('a block learnt from a peer is a new best block, but not ours to announce', async (context) => {
  const chain = await embedded(context);
  const { announcer, follower, start, told, of } = announcing(context, chain);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  const [header] = minedChain(1) as [Uint8Array];
  const hash = headerHash(header);
  await chain.adopt({ hash, height: 1, header: Buffer.from(header).toString('hex') });
  await waitFor(() => of(told, 'node_status').at(-1)?.best_block_hash === hash, { what: 'the status' });
  await announcer.idle();
  assert.deepEqual([...of(told, 'block'), ...of(told, 'mining_on')], []);
});

test('blocks that came while the chain was away are told once it is back, oldest first', async (context) => {
  const [served, client] = await service(context);
  const headers = minedChain(4);
  served.add(headers[0]!, { height: 1 });
  const { follower, start, told, of } = announcing(context, client);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  served.stop();
  await waitFor(() => !follower.connected, { what: 'the break' });
  const hashes = headers.slice(1).map((header, n) => served.add(header, { height: n + 2 }));
  await served.start();
  await waitFor(() => of(told, 'block').length === 3, { what: 'three blocks' });
  assert.deepEqual(
    of(told, 'block').map((message) => [message.Hash, message.Height]),
    hashes.map((hash, n) => [hash, n + 2]),
  );
  // Told again by the service, it is announced once.
  served.notify(NotificationType.Block, hashes[2]!);
  const next = served.add(minedHeader(hashes[2]!, 9), { height: 5, tx_count: 2n ** 64n - 1n });
  served.notify(NotificationType.Block, next);
  await waitFor(() => of(told, 'block').length === 4, { what: 'the next block' });
  assert.equal(of(told, 'block').at(-1)!.Hash, next);
});

test('a chain that fails about one block is asked again, then the block is counted and the next goes out', async (context) => {
  const [served, client] = await service(context);
  const headers = minedChain(4);
  const hashes = headers.map((header, n) => served.add(header, { height: n + 1 }, n === 0));
  const { follower, start, told, of, count } = announcing(context, client);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  served.fail('header', Status.INTERNAL, 2);
  served.notify(NotificationType.Block, hashes[1]!);
  await waitFor(() => of(told, 'block').length === 1, { what: 'the retried block' });
  served.fail('header', Status.INTERNAL, 3);
  served.notify(NotificationType.Block, hashes[2]!);
  served.notify(NotificationType.Block, hashes[3]!);
  await waitFor(() => of(told, 'block').length === 2, { what: 'the block after the lost one' });
  assert.deepEqual(
    of(told, 'block').map(({ Hash }) => Hash),
    [hashes[1], hashes[3]],
  );
  assert.equal(await count('chainFailures', 'block'), 1);
});

test('a block known to be invalid is not announced', async (context) => {
  const [served, client] = await service(context);
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  const bad = served.add(one, { height: 1, invalid: true });
  const good = served.add(two, { height: 2 });
  const { follower, start, told, of } = announcing(context, client);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  served.notify(NotificationType.Block, bad);
  served.notify(NotificationType.Block, good);
  await waitFor(() => of(told, 'block').length === 1, { what: 'the good block' });
  assert.equal(of(told, 'block')[0]!.Hash, good);
});

test('a block reported as invalid is not announced, mined on or answered with, before the chain says so', async (context) => {
  const [served, client] = await service(context);
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  const bad = served.add(one, { height: 1 });
  const { announcer, follower, start, told, direct, of, count } = announcing(
    context,
    client,
    {},
    'current',
    {},
    (hash) => hash === bad,
  );
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  served.notify(NotificationType.Block, bad);
  await announcer.answerBestBlock(asPeer('somebody'));
  assert.equal(await count('bestBlockAnswers', 'silent'), 1);
  const good = served.add(two, { height: 2 });
  served.notify(NotificationType.Block, good);
  await waitFor(() => of(told, 'mining_on').length === 1, { what: 'the good block' });
  assert.deepEqual(
    of(told, 'block').map(({ Hash }) => Hash),
    [good],
  );
  assert.equal(of(told, 'mining_on')[0]!.Hash, good);
  assert.deepEqual(direct, []);
});

test('64-bit figures are told unrounded', async (context) => {
  const [served, client] = await service(context);
  const [one] = minedChain(1) as [Uint8Array];
  const hash = served.add(one, { height: 1, tx_count: 2n ** 64n - 1n, size_in_bytes: 2n ** 53n + 1n });
  const { follower, start, told, texts, of } = announcing(context, client);
  await start();
  await waitFor(() => follower.connected, { what: 'the subscription' });
  served.notify(NotificationType.MiningOn, hash);
  await waitFor(() => of(told, 'mining_on').length === 1, { what: 'mining on' });
  const text = texts.find((one) => one.includes('"SizeInBytes"'));
  assert.match(text!, /"SizeInBytes":9007199254740993,"TxCount":18446744073709551615/);
});

test('our best block is told to one who asks, once in ten seconds however often', async (context) => {
  const chain = await embedded(context);
  const block = await chain.mine();
  const clock = { now: 0 };
  const { announcer, start, direct, count } = announcing(context, chain, {}, 'first', {
    now: () => clock.now,
  });
  await start();
  for (let n = 0; n < 1_000; n++) await announcer.answerBestBlock(asPeer('asker'));
  await announcer.answerBestBlock(asPeer('another'));
  assert.deepEqual(
    direct.map(({ peer, message }) => [peer, message.Hash, message.Height, message.DataHubUrl]),
    [
      ['asker', block.hash, 1, HUB],
      ['another', block.hash, 1, HUB],
    ],
  );
  assert.equal(await count('bestBlockAnswers', 'limited'), 999);
  clock.now = 10_001;
  await announcer.answerBestBlock(asPeer('asker'));
  assert.equal(direct.length, 3);
  for (let n = 0; n < 100; n++) await announcer.answerBestBlock(asPeer(`peer ${n}`));
  assert.ok(direct.length <= 3 + 20, 'a hundred identities share twenty answers a second');
  await announcer.answerBestBlock(asPeer('connected, and asks after all of them'));
  assert.equal(direct.at(-1)?.peer, 'connected, and asks after all of them');
});

test('peers that ask for our best block and do not read it keep no others from it', async (context) => {
  const chain = await embedded(context);
  await chain.mine();
  const { announcer, start, direct, count } = announcing(context, chain, {}, 'first');
  await start();
  const deaf = Array.from({ length: 20 }, (_, n) =>
    announcer.answerBestBlock(asPeer(`connected, deaf ${n}`)),
  );
  const strangers = Array.from({ length: 20 }, (_, n) => announcer.answerBestBlock(asPeer(`deaf ${n}`)));
  await waitFor(() => direct.length === 40, { what: 'the deaf to be sent it' });
  await announcer.answerBestBlock(asPeer('connected'));
  assert.equal(direct.at(-1)?.peer, 'connected');
  // Strangers have half of the places, and those who are connected the others.
  await waitFor(async () => (await count('bestBlockAnswers', 'displaced')) === 25, {
    what: 'those who gave way',
  });
  void [...deaf, ...strangers];
});

test('a listening or silent node answers nobody, nor one that is catching up', async (context) => {
  const chain = await embedded(context);
  for (const listen_mode of ['listen_only', 'silent'] as const) {
    const { announcer, start, direct } = announcing(context, chain, { listen_mode });
    await start();
    await announcer.answerBestBlock(asPeer('asker'));
    assert.deepEqual(direct, []);
  }
  const [served, client] = await service(context);
  served.add(minedChain(1)[0]!, { height: 1 });
  served.fsm = FSMStateType.CATCHINGBLOCKS;
  const { announcer, follower, start, direct } = announcing(context, client);
  await start();
  await waitFor(() => follower.fsmState === 'CATCHINGBLOCKS', { what: 'the state' });
  await announcer.answerBestBlock(asPeer('asker'));
  assert.deepEqual(direct, []);
});

test('an absent chain does not keep the node from starting or saying its status', async (context) => {
  const [served, client] = await service(context);
  served.stop();
  const { start, told, of } = announcing(context, client);
  await start();
  const [status] = of(told, 'node_status');
  assert.deepEqual([status!.fsm_state, status!.best_height], ['UNKNOWN', 0]);
});

test('our best-block request waits for RUNNING and for a peer that listens to it, and goes on until one has it', async (context) => {
  const [served, client] = await service(context);
  served.add(minedChain(1)[0]!, { height: 1 });
  served.fsm = FSMStateType.CATCHINGBLOCKS;
  const mesh = {
    connected: 1,
    listening: 0,
    get reached() {
      return asked() < 5 ? 0 : 1;
    },
  };
  const options = { retryMs: 1, subscription: { fsmPollMs: 10 } };
  const { follower, start, stop, told, of, count } = announcing(
    context,
    client,
    {},
    'current',
    options,
    undefined,
    mesh,
  );
  const asked = () => of(told, 'bestblock').length;
  await start();
  // More time than the attempts would take, twice: while catching up, then while nobody listens, as in today's network.
  for (const state of [FSMStateType.CATCHINGBLOCKS, FSMStateType.RUNNING]) {
    served.fsm = state;
    const name = FSMStateType[state];
    await waitFor(() => follower.fsmState === name, { what: name });
    const until = performance.now() + 250;
    await waitFor(() => performance.now() > until, { what: 'the time of the attempts' });
    assert.equal(asked(), 0, name);
  }
  mesh.listening = 1;
  await waitFor(async () => (await count('publications', 'bestblock', 'published')) === 1, {
    what: 'the request told',
  });
  assert.equal(await count('publications', 'bestblock', 'no_peers'), 4);
  await stop();
  assert.equal(asked(), 5, 'once one has it, no more');
});

test('a node that nobody may hear does not ask for a best block', async (context) => {
  const chain = await embedded(context);
  const { start, stop, told, of } = announcing(context, chain, { listen_mode: 'listen_only' });
  await start();
  await stop();
  assert.deepEqual(of(told, 'bestblock'), []);
});

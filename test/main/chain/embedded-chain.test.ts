import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { MemoryLevel } from 'memory-level';
import {
  EmbeddedChain,
  type EmbeddedChainOptions,
  type EmbeddedChainSettings,
} from '../../../src/main/chain/embedded-chain.js';
import { genesisHeader } from '../../../src/main/chain/genesis.js';
import { type ChainDatabase, CorruptChainError } from '../../../src/main/chain/header-store.js';
import type { ChainNotification } from '../../../src/main/chain/types.js';
import type { HashHex } from '../../../src/shared/bitcoin/hash.js';
import {
  headerHash,
  meetsTarget,
  parseHeader,
  targetOfBits,
  workFromBytes,
} from '../../../src/shared/bitcoin/header.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { NotFoundError } from '../../../src/shared/grpc/call.js';
import { minedChain, minedHeader } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const inMemory = (): ChainDatabase => new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' });

async function openChain(
  context: TestContext,
  settings: Partial<EmbeddedChainSettings> = {},
  options: EmbeddedChainOptions = {},
  store = inMemory(),
): Promise<EmbeddedChain> {
  const chain = new EmbeddedChain(
    { store, logger: keptLog().logger, settings: settingsOf({ network: 'regtest', ...settings }) },
    options,
  );
  await chain.open();
  context.after(() => chain.close());
  return chain;
}

const announced = (header: Uint8Array, height: number) => ({
  hash: headerHash(header) as string,
  height,
  header: Buffer.from(header).toString('hex'),
  dataHubUrl: 'http://peer.example',
});

test('a new chain begins with the network’s first block, RUNNING', async (context) => {
  const chain = await openChain(context);
  const best = await chain.getBestBlockHeader();
  assert.equal(best.hash, headerHash(genesisHeader('regtest')));
  assert.deepEqual([best.height, workFromBytes(best.chainWork)], [0, 2n]);
  assert.equal(await chain.getFsmState(), 'RUNNING');
  await assert.rejects(chain.getBlockHeader('00'.repeat(32) as HashHex), NotFoundError);
});

test('a mined block has real work, connects, and is told before MiningOn', async (context) => {
  const chain = await openChain(context, { clientName: 'miner' });
  const heard: ChainNotification[] = [];
  const ending = new AbortController();
  const reading = (async () => {
    for await (const notification of chain.subscribe('test', ending.signal)) heard.push(notification);
  })();
  await chain.makeSubtree();
  const block = await chain.mine();
  await waitFor(() => heard.length === 4, { what: 'the notifications' });
  ending.abort();
  await reading;
  const header = parseHeader(block.header);
  assert.ok(meetsTarget(block.hash, targetOfBits(header.bits)));
  assert.equal(header.previousHash, headerHash(genesisHeader('regtest')));
  assert.deepEqual([block.height, block.miner, workFromBytes(block.chainWork)], [1, 'miner', 4n]);
  assert.ok(block.txCount > 1n);
  assert.deepEqual(
    heard.map(({ type }) => type),
    ['block', 'subtree', 'block', 'mining_on'],
  );
  assert.deepEqual(heard[2], { type: 'block', hash: block.hash, baseUrl: '' });
});

test('blocks and subtrees come by themselves where the settings say so', async (context) => {
  const chain = await openChain(context, {
    p2p_embedded_mining_interval: 20,
    p2p_embedded_subtree_interval: 10,
  });
  let subtrees = 0;
  const ending = new AbortController();
  const reading = (async () => {
    for await (const { type } of chain.subscribe('test', ending.signal)) if (type === 'subtree') subtrees++;
  })();
  chain.start();
  await waitFor(async () => (await chain.getBestBlockHeader()).height >= 3, { what: 'three blocks' });
  await waitFor(() => subtrees >= 2, { what: 'two subtrees' });
  await chain.close();
  await assert.rejects(reading, /closed/);
  const { height } = await chain.getBestBlockHeader();
  assert.ok(height >= 3);
});

test('mining elsewhere than on regtest is a mistake in the settings', () => {
  assert.throws(
    () =>
      new EmbeddedChain({
        store: inMemory(),
        logger: keptLog().logger,
        settings: settingsOf({ network: 'mainnet', p2p_embedded_mining_interval: 10 }),
      }),
    ConfigurationError,
  );
});

test('chain and states survive a restart', async (context) => {
  const path = temporaryDirectory(context);
  const store = new ClassicLevel<string, Uint8Array>(path, { valueEncoding: 'view' });
  const before = await openChain(context, {}, {}, store);
  await before.mine();
  const block = await before.mine();
  await before.setState('p2p.privateKey', Buffer.from([0, 255]));
  await before.close();
  await store.close();
  const again = new ClassicLevel<string, Uint8Array>(path, { valueEncoding: 'view' });
  const after = await openChain(context, {}, {}, again);
  context.after(() => again.close());
  const best = await after.getBestBlockHeader();
  assert.deepEqual({ ...best, header: Uint8Array.from(best.header) }, block);
  assert.deepEqual([...(await after.getState('p2p.privateKey'))!], [0, 255]);
  assert.equal(await after.getState('other'), undefined);
});

test('a corrupt store is a clear error', async () => {
  const store = inMemory();
  const open = () =>
    new EmbeddedChain({
      store,
      logger: keptLog().logger,
      settings: settingsOf({ network: 'regtest' }),
    }).open();
  await open();
  const rows = store.sublevel<string, string>('chain', { valueEncoding: 'utf8' });
  const genesis = headerHash(genesisHeader('regtest'));
  const good = await rows.get(`header:${genesis}`);
  await rows.put(`header:${genesis}`, '{"header":');
  await assert.rejects(open(), CorruptChainError);
  await rows.put(`header:${genesis}`, good!.replace('"header":"0', '"header":"1'));
  await assert.rejects(open(), CorruptChainError);
  await rows.put(`header:${genesis}`, good!);
  await rows.del('tip');
  await assert.rejects(open(), CorruptChainError);
  await rows.put('tip', 'nonsense');
  await assert.rejects(open(), CorruptChainError);
});

test('an announced block that connects becomes the tip, and is no news of ours', async (context) => {
  const chain = await openChain(context);
  const iterator = chain.subscribe('test', AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  await iterator.next();
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  assert.equal(await chain.adopt(announced(one, 1)), 'tip');
  assert.equal(await chain.adopt(announced(one, 1)), 'known');
  assert.equal(await chain.adopt(announced(two, 2)), 'tip');
  assert.deepEqual((await iterator.next()).value, {
    type: 'block',
    hash: headerHash(one),
    baseUrl: 'http://peer.example',
    followed: true,
  });
  const best = await chain.getBestBlockHeader();
  assert.deepEqual([best.hash, best.height, workFromBytes(best.chainWork)], [headerHash(two), 2, 6n]);
  assert.equal(chain.tipBits, 0x207fffff);
});

test('of two branches the one with more work is the tip', async (context) => {
  const chain = await openChain(context);
  const [one, two] = minedChain(2) as [Uint8Array, Uint8Array];
  const rival = minedHeader(headerHash(genesisHeader('regtest')), 199);
  assert.equal(await chain.adopt(announced(rival, 1)), 'tip');
  assert.equal(await chain.adopt(announced(one, 1)), 'side');
  assert.equal(await chain.adopt(announced(two, 2)), 'tip');
});

test('a block far ahead is followed from the start, and within the lead afterwards', async (context) => {
  const chain = await openChain(context, { p2p_max_unvalidated_advertised_height_lead: 100 });
  const far = minedHeader('11'.repeat(32) as HashHex, 7);
  assert.equal(await chain.adopt(announced(far, 5_000)), 'tip');
  const farther = minedHeader('22'.repeat(32) as HashHex, 8);
  assert.equal(await chain.adopt(announced(farther, 5_101)), 'refused');
  assert.equal(await chain.adopt(announced(farther, 4_999)), 'refused');
  assert.equal(await chain.adopt(announced(farther, 5_100)), 'tip');
});

test('what does not prove itself is refused', async (context) => {
  const chain = await openChain(context);
  const [one] = minedChain(1) as [Uint8Array];
  const good = announced(one, 1);
  const genesis = headerHash(genesisHeader('regtest'));
  const bad = [
    { ...good, header: '' },
    { ...good, header: good.header.slice(2) },
    { ...good, header: `zz${good.header.slice(2)}` },
    { ...good, hash: '33'.repeat(32) },
    { ...good, height: 2 },
    { ...good, height: 0 },
    { ...good, height: -1 },
    { ...good, height: 1.5 },
    { ...good, height: Number.NaN },
    { ...good, height: 2 ** 32 },
    announced(minedHeaderWithoutWork(genesis), 1),
    announced(minedHeader(genesis, 3, 0x2100ffff), 1),
  ];
  for (const block of bad) assert.equal(await chain.adopt(block), 'refused', JSON.stringify(block));
  assert.equal((await chain.getBestBlockHeader()).height, 0);
});

/** A header that claims mainnet's work and has none. */
function minedHeaderWithoutWork(previous: HashHex): Uint8Array {
  const header = Uint8Array.from(minedHeader(previous));
  new DataView(header.buffer).setUint32(72, 0x1d00ffff, true);
  return header;
}

test('old headers go', async (context) => {
  const store = inMemory();
  const chain = await openChain(context, {}, { keepHeaders: 5 }, store);
  for (let n = 0; n < 12; n++) await chain.mine();
  const rows = store.sublevel<string, string>('chain', { valueEncoding: 'utf8' });
  const heights = await rows.keys({ gt: 'height:', lt: 'height;' }).all();
  const headers = await rows.keys({ gt: 'header:', lt: 'header;' }).all();
  assert.deepEqual(
    heights.map((key) => Number(key.split(':')[1])),
    [8, 9, 10, 11, 12],
  );
  assert.equal(headers.length, 5);
  const again = await openChain(context, {}, { keepHeaders: 5 }, store);
  assert.equal((await again.getBestBlockHeader()).height, 12);
});

test('a state has a bound', async (context) => {
  const chain = await openChain(context);
  await assert.rejects(chain.setState('k', new Uint8Array(1_048_577)), RangeError);
});

test('a subscriber that does not read is cut, and the others are not', async (context) => {
  const chain = await openChain(context);
  const lazy = chain.subscribe('lazy', new AbortController().signal)[Symbol.asyncIterator]();
  for (let n = 0; n < 10_000; n++) await chain.makeSubtree();
  let read = 0;
  await assert.rejects(async () => {
    for (;;) {
      await lazy.next();
      read++;
    }
  }, /fell behind/);
  assert.equal(read, 10_000);
});

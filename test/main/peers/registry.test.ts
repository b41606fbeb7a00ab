import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import {
  PeerRegistry,
  type PeerRegistryComponents,
  type PeerRegistryOptions,
} from '../../../src/main/peers/registry.js';
import { steadyTime } from '../../../src/shared/clock.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asHub, asPeer } from '../../support/branded.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const status = (peer: PeerIdText, height: number) =>
  ({
    type: 'node_status',
    peer,
    height,
    hash: 'ab'.repeat(32),
    dataHubUrl: asHub('http://hub.example'),
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
  }) as const;

function storeOf(context: TestContext): ClassicLevel<string, Uint8Array> {
  const level = new ClassicLevel<string, Uint8Array>(join(temporaryDirectory(context), 'level'), {
    valueEncoding: 'view',
  });
  context.after(() => level.close());
  return level;
}

async function openOn(
  context: TestContext,
  level: ClassicLevel<string, Uint8Array>,
  options: Partial<PeerRegistryOptions> = {},
  components: Partial<PeerRegistryComponents> = {},
) {
  const { logger, lines } = keptLog();
  const metrics = new Registry();
  const registry = new PeerRegistry(
    { level, logger, metrics: createPeerMetrics(metrics), ownHeight: () => 100, ...components },
    { maxHeightLead: 50, storeEveryMs: 60_000, ...options },
  );
  context.after(() => registry.stop());
  await registry.open();
  return { registry, lines, metrics };
}

async function storedKeys(level: ClassicLevel<string, Uint8Array>, name: string): Promise<string[]> {
  return level.sublevel(name).keys().all();
}

test('what was known and recorded is there after a restart, to the last digit', async (context) => {
  const level = storeOf(context);
  const { registry: before } = await openOn(context, level);
  before.known.learn(status(asPeer('told'), 120));
  before.known.connected(asPeer('met'));
  before.known.disconnected(asPeer('met'), 2n ** 60n + 1n);
  before.records.catchupFailure(asPeer('failed'), 'call');
  before.records.bytesDownloaded(asPeer('failed'), 2n ** 64n - 1n);
  await before.stop();
  const { registry: after } = await openOn(context, level);
  assert.deepEqual(after.known.get(asPeer('told')), before.known.get(asPeer('told')));
  assert.equal(after.known.get(asPeer('met'))?.bytesReceived, 2n ** 60n + 1n);
  assert.deepEqual(after.records.get(asPeer('failed')), before.records.get(asPeer('failed')));
  assert.equal(after.records.isLow(asPeer('failed')), true);
  assert.deepEqual([...after.peers()].sort(), ['failed', 'met', 'told']);
});

test('it is stored by itself, without an end of the process', async (context) => {
  const level = storeOf(context);
  const { registry, metrics } = await openOn(context, level, { storeEveryMs: 20 });
  registry.known.learn(status(asPeer('told'), 1));
  registry.records.validBlock(asPeer('good'));
  await waitFor(async () => (await storedKeys(level, 'peers-recorded')).includes('good'), {
    what: 'the record',
  });
  assert.deepEqual(await storedKeys(level, 'peers-known'), ['told']);
  assert.match(await metrics.metrics(), /peer_registry_unstored 0/);
});

test('what memory forgets the store forgets, and the oldest stays the first to go after a restart', async (context) => {
  const level = storeOf(context);
  const { registry: before } = await openOn(context, level, { maxPeers: 4 });
  for (const peer of ['e', 'd', 'c', 'b', 'a']) {
    before.known.learn(status(asPeer(peer), 1));
    // The next is heard later, by the clock that orders them after a restart.
    const heard = before.known.get(asPeer(peer))?.lastReceived ?? 0;
    await waitFor(() => steadyTime() > heard, { everyMs: 1 });
    before.records.validBlock(asPeer(`${peer} recorded`));
    await before.flush();
  }
  assert.deepEqual(await storedKeys(level, 'peers-known'), ['a', 'b']);
  const recorded = ['a', 'b', 'c', 'd'].map((peer) => `${peer} recorded`);
  assert.deepEqual(await storedKeys(level, 'peers-recorded'), recorded);
  await before.stop();
  const { registry: after } = await openOn(context, level, { maxPeers: 4 });
  after.known.learn(status(asPeer('f'), 1));
  assert.deepEqual(
    after.known
      .list()
      .map(({ id }) => id)
      .sort(),
    ['a', 'f'],
  );
});

test('when more has changed than may wait, everything is compared and nothing is missed', async (context) => {
  const level = storeOf(context);
  const { registry } = await openOn(context, level, { maxPeers: 6 });
  registry.known.learn(status(asPeer('gone'), 1));
  await registry.flush();
  for (let n = 0; n < 50; n++) registry.known.learn(status(asPeer(`p${n}`), 1));
  await registry.flush();
  assert.deepEqual(await storedKeys(level, 'peers-known'), ['p47', 'p48', 'p49']);
  registry.known.learn(status(asPeer('p49'), 2));
  await registry.stop();
  const { registry: after } = await openOn(context, level, { maxPeers: 6 });
  assert.equal(after.known.get(asPeer('p49'))?.height, 2);
});

test('who was connected or is recorded is known after a restart, however many others spoke', async (context) => {
  const level = storeOf(context);
  const { registry: before } = await openOn(context, level, { maxPeers: 40 });
  for (const peer of ['met', 'good']) before.known.learn(status(asPeer(peer), 7));
  before.known.connected(asPeer('met'));
  before.known.disconnected(asPeer('met'), 9n);
  before.records.validBlock(asPeer('good'));
  for (let n = 0; n < 50; n++) before.known.learn(status(asPeer(`stranger ${n}`), 1));
  await before.stop();
  const { registry: after } = await openOn(context, level, { maxPeers: 4 });
  for (let n = 0; n < 50; n++) after.known.learn(status(asPeer(`newcomer ${n}`), 1));
  assert.deepEqual(
    [after.known.get(asPeer('met'))?.bytesReceived, after.known.get(asPeer('good'))?.height],
    [9n, 7],
  );
  await after.flush();
  assert.equal((await storedKeys(level, 'peers-known')).length, 4);
});

test('the bytes of open connections are stored too: a death takes only the last', async (context) => {
  const level = storeOf(context);
  const open = new Map<PeerIdText, bigint>();
  const connections = () => [...open].map(([id, bytesReceived]) => ({ id, bytesReceived }));
  const { registry } = await openOn(context, level, { countEveryMs: 0 }, { connections });
  registry.known.connected(asPeer('one'));
  registry.known.disconnected(asPeer('one'), 1n);
  registry.known.connected(asPeer('one'));
  open.set(asPeer('one'), 2n ** 60n);
  await registry.flush();
  // As after SIGKILL: it is not stopped.
  const { registry: after } = await openOn(context, level);
  assert.equal(after.known.get(asPeer('one'))?.bytesReceived, 2n ** 60n + 1n);
});

test('a store that fails is told once and tried again; nothing is lost', async (context) => {
  const level = storeOf(context);
  const { registry, lines, metrics } = await openOn(context, level);
  await level.close();
  registry.records.validBlock(asPeer('good'));
  await registry.flush();
  await registry.flush();
  assert.equal(lines.filter(({ msg }) => /is not stored; tried again/.test(String(msg))).length, 1);
  assert.match(await metrics.metrics(), /store_failures_total 2/);
  assert.match(await metrics.metrics(), /peer_registry_unstored 1/);
  await level.open();
  await registry.flush();
  assert.deepEqual(await storedKeys(level, 'peers-recorded'), ['good']);
  assert.match(await metrics.metrics(), /peer_registry_unstored 0/);
});

test('entries that no call could answer with are left out, and times to come are taken as now', async (context) => {
  const level = storeOf(context);
  const known = level.sublevel<string, string>('peers-known', { valueEncoding: 'utf8' });
  const recorded = level.sublevel<string, string>('peers-recorded', { valueEncoding: 'utf8' });
  for (const json of ['{"height":4294967296}', '{"height":1.5}', '{"lastHeard":1e300}']) {
    await known.put(`bad ${json}`, json);
  }
  for (const json of [
    '{"attempts":1.5}',
    '{"lastFailure":1e300}',
    '{"averageMs":"9223372036854775808"}',
    '{"bytesDownloaded":"18446744073709551616"}',
    '{"validatedHeight":4294967296}',
    '{"reputation":101}',
  ]) {
    await recorded.put(`bad ${json}`, json);
  }
  const tomorrow = Date.now() + 86_400_000;
  const low = { reputation: 12.5, lastFailure: tomorrow, storageDoubtedUntil: 2 * tomorrow };
  await recorded.put('low', JSON.stringify(low));
  const { registry } = await openOn(context, level);
  assert.deepEqual([...registry.peers()], ['low']);
  const { reputation, lastFailure, storageDoubtedUntil } = registry.records.get(asPeer('low'));
  assert.equal(reputation, 12.5);
  assert.ok(lastFailure <= Date.now(), 'it recovers as if it had failed just now');
  assert.ok(storageDoubtedUntil <= Date.now() + 3_600_000);
});

test('a damaged entry is left out and said, the others are read, and the next write deletes it', async (context) => {
  const level = storeOf(context);
  await level.sublevel<string, string>('peers-known', { valueEncoding: 'utf8' }).put('bad', '{"height":"x"}');
  await level.sublevel<string, string>('peers-known', { valueEncoding: 'utf8' }).put('good', '{"height":7}');
  const { registry, lines } = await openOn(context, level);
  assert.equal(registry.known.get(asPeer('good'))?.height, 7);
  assert.equal(registry.known.get(asPeer('bad')), undefined);
  assert.ok(lines.some(({ msg }) => /cannot be read/.test(String(msg))));
  await registry.flush();
  assert.deepEqual(await storedKeys(level, 'peers-known'), ['good']);
});

test('an author’s standing is the best that holds of it now', async (context) => {
  const { registry } = await openOn(context, storeOf(context), { isConfigured: (peer) => peer === 'static' });
  const standings = () =>
    ['static', 'good', 'here', 'gone', 'nobody'].map((peer) => registry.standingOf(asPeer(peer)));
  assert.deepEqual(standings(), ['configured', 'stranger', 'stranger', 'stranger', 'stranger']);
  registry.known.learn(status(asPeer('nobody'), 1));
  registry.records.validBlock(asPeer('good'));
  registry.records.catchupAttempt(asPeer('nobody'));
  for (const peer of ['static', 'good', 'here', 'gone']) registry.known.connected(asPeer(peer));
  assert.deepEqual(standings(), ['configured', 'reputed', 'connected', 'connected', 'stranger']);
  registry.known.disconnected(asPeer('gone'), 0n);
  registry.records.malicious(asPeer('good'));
  assert.deepEqual(standings(), ['configured', 'connected', 'connected', 'stranger', 'stranger']);
});

test('what version 0.1 stored of a peer is read', async (context) => {
  const level = storeOf(context);
  const stored = {
    id: 'told',
    height: 120,
    startingHeight: 90,
    bestBlock: 'ab'.repeat(32),
    url: 'http://hub.example',
    name: 'name',
    storage: 'full',
    chainWork: '0f',
    lastHeard: 1_700_000_000_001,
    lastBlock: 1_700_000_000_000,
    connectedAt: 1_699_999_999_999,
    bytesReceived: '18446744073709551616',
  };
  await level.sublevel('peers-known').put('told', JSON.stringify(stored));
  const { registry } = await openOn(context, level);
  const { url, lastHeard, ...others } = stored;
  assert.deepEqual(registry.known.get(asPeer('told')), {
    ...others,
    dataHubUrl: url,
    lastReceived: lastHeard,
    bytesReceived: 2n ** 64n,
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { KnownPeers, type KnownPeersOptions } from '../../../src/main/peers/known-peers.js';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asHub, asPeer } from '../../support/branded.js';
import { settingsOf } from '../../support/settings.js';

const LEAD = settingsOf().p2p_max_unvalidated_advertised_height_lead;

function open(options: Partial<KnownPeersOptions> = {}) {
  const recorded = new Set<string>();
  const changed: string[] = [];
  const chain: { height: number | undefined } = { height: 100 };
  const time = { now: 1000 };
  const registry = new Registry();
  const peers = new KnownPeers(
    {
      metrics: createPeerMetrics(registry),
      ownHeight: () => chain.height,
      isRecorded: (peer) => recorded.has(peer),
      onChange: (peer) => changed.push(peer),
      clock: () => time.now,
    },
    { maxHeightLead: LEAD, ...options },
  );
  return {
    peers,
    chain,
    time,
    registry,
    recorded,
    changed,
    ids: () =>
      peers
        .list()
        .map(({ id }) => id)
        .sort(),
  };
}

const block = (peer: PeerIdText, height: number, hash = 'aa') =>
  ({
    type: 'block',
    peer,
    height,
    hash,
    dataHubUrl: asHub('http://hub'),
    clientName: '',
    header: '',
  }) as const;
const status = (peer: PeerIdText, height: number, changes: object = {}) =>
  ({
    type: 'node_status',
    peer,
    height,
    hash: 'bb',
    dataHubUrl: asHub('http://status'),
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
    ...changes,
  }) as const;

test('blocks and node statuses tell height, best block, data hub and name', () => {
  const { peers, time } = open();
  peers.learn(block(asPeer('one'), 90));
  time.now = 2000;
  const known = peers.learn(status(asPeer('one'), 95));
  assert.deepEqual(known, {
    id: 'one',
    height: 95,
    startingHeight: 90,
    bestBlock: 'bb',
    dataHubUrl: asHub('http://status'),
    name: 'name',
    storage: 'full',
    chainWork: '0f',
    lastReceived: 2000,
    lastBlock: 1000,
    connectedAt: 0,
    bytesReceived: 0n,
  });
  assert.deepEqual(peers.get(asPeer('one')), known);
  assert.equal(peers.get(asPeer('two')), undefined);
});

test('a block below the best one leaves height and best block; a status may go back, as after a reorganisation', () => {
  const { peers } = open();
  peers.learn(block(asPeer('one'), 90));
  assert.equal(peers.learn(block(asPeer('one'), 80, 'cc')).bestBlock, 'aa');
  assert.equal(peers.learn(block(asPeer('one'), 90, 'dd')).bestBlock, 'dd');
  const back = peers.learn(status(asPeer('one'), 85, { clientName: '' }));
  assert.deepEqual([back.height, back.bestBlock, back.name], [85, 'bb', '']);
});

test('heights are believed up to the lead above ours, and never break anything', () => {
  const { peers, chain } = open();
  assert.equal(peers.learn(status(asPeer('one'), 4_000_000_000)).height, 100 + LEAD);
  chain.height = 200;
  assert.equal(peers.learn(status(asPeer('one'), 4_000_000_000)).height, 200 + LEAD);
  chain.height = undefined;
  assert.equal(peers.learn(status(asPeer('one'), 2 ** 40)).height, 0xffff_ffff);
  for (const height of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.equal(peers.learn(status(asPeer('two'), height)).height, 0);
  }
});

test('a request for the best block makes its sender known, no more', () => {
  const { peers } = open();
  const known = peers.learn({ type: 'best_block_requested', peer: asPeer('one') });
  assert.deepEqual([known.height, known.name, known.lastReceived], [0, '', 1000]);
});

test('memory is bounded: the stranger least recently heard is forgotten, and that is told', async () => {
  const { peers, registry, ids, changed } = open({ maxPeers: 4 });
  peers.learn(block(asPeer('one'), 1));
  peers.learn(block(asPeer('two'), 1));
  peers.learn(block(asPeer('one'), 2));
  changed.length = 0;
  peers.learn(block(asPeer('three'), 1));
  assert.deepEqual(ids(), ['one', 'three']);
  assert.deepEqual(changed.sort(), ['three', 'two']);
  assert.match(await registry.metrics(), /teranode_p2p_peers_known 2/);
});

test('made-up identities push out each other, and nobody who is connected, configured, recorded or was here', () => {
  const { peers, recorded, ids } = open({ maxPeers: 20, isConfigured: (id) => id === 'configured' });
  for (const peer of ['recorded', 'configured', 'connected', 'met']) peers.learn(block(asPeer(peer), 1));
  recorded.add('recorded');
  peers.reconsider(asPeer('recorded'));
  peers.connected(asPeer('connected'));
  peers.connected(asPeer('met'));
  peers.disconnected(asPeer('met'), 7n);
  for (let n = 0; n < 10_000; n++) peers.learn(status(asPeer(`stranger ${n}`), 1));
  const familiar = ids().filter((id) => !id.startsWith('stranger'));
  assert.deepEqual(familiar, ['configured', 'connected', 'met', 'recorded']);
  assert.equal(ids().length, 4 + 10);
  assert.deepEqual(
    [peers.get(asPeer('met'))?.bytesReceived, peers.get(asPeer('connected'))?.height],
    [7n, 1],
  );
});

test('who connects with ever new identities pushes out others that have gone, then the recorded, never who is there', () => {
  const { peers, recorded, ids } = open({ maxPeers: 10, isConfigured: (id) => id === 'configured' });
  peers.learn(block(asPeer('heard'), 1));
  peers.learn(block(asPeer('configured'), 1));
  peers.connected(asPeer('connected'));
  for (const peer of ['old record', 'new record']) {
    recorded.add(peer);
    peers.learn(block(asPeer(peer), 1));
  }
  for (let n = 0; n < 100; n++) {
    peers.connected(asPeer(`passing ${n}`));
    peers.disconnected(asPeer(`passing ${n}`), 1n);
  }
  const there = ['configured', 'connected', 'heard', 'new record'];
  assert.deepEqual(ids(), [...there, 'old record', 'passing 99']);
  peers.connected(asPeer('another'));
  assert.deepEqual(ids(), ['another', ...there, 'old record']);
  peers.connected(asPeer('and another'));
  assert.deepEqual(ids(), ['and another', 'another', ...there]);
  for (let n = 0; n < 10; n++) peers.connected(asPeer(`crowd ${n}`));
  assert.equal(ids().length, 1 + 5, 'the bound holds even then');
});

test('a connection is remembered with when it began, and its bytes once it has closed', () => {
  const { peers, time } = open();
  peers.connected(asPeer('one'));
  time.now = 2000;
  peers.disconnected(asPeer('one'), 2n ** 60n);
  peers.connected(asPeer('one'));
  peers.disconnected(asPeer('one'), 1n);
  const known = peers.get(asPeer('one'));
  assert.deepEqual(
    [known?.connectedAt, known?.bytesReceived, known?.lastReceived],
    [2000, 2n ** 60n + 1n, 0],
  );
});

test('of an open connection the bytes are told with the rest, and counted once', () => {
  const { peers, changed } = open();
  const stored = (peer: PeerIdText) => JSON.parse(peers.encoded(peer) ?? '{}').bytesReceived;
  peers.connected(asPeer('one'));
  peers.disconnected(asPeer('one'), 5n);
  peers.connected(asPeer('one'));
  changed.length = 0;
  const count = (bytesReceived: bigint) =>
    peers.counted([
      { id: asPeer('one'), bytesReceived },
      { id: asPeer('gone'), bytesReceived },
    ]);
  count(10n);
  count(10n);
  assert.equal(stored(asPeer('one')), '15');
  assert.deepEqual(changed, ['one'], 'to be stored where it has changed');
  assert.equal(peers.get(asPeer('gone')), undefined);
  assert.equal(peers.get(asPeer('one'))?.bytesReceived, 5n);
  peers.disconnected(asPeer('one'), 12n);
  assert.equal(stored(asPeer('one')), '17');
});

test('times to come are taken as now', () => {
  const { peers, time } = open();
  peers.restore(asPeer('one'), JSON.stringify({ lastHeard: 9_000, lastBlock: 9_000, connectedAt: 9_000 }));
  peers.restore(asPeer('two'), JSON.stringify({ lastHeard: 900 }));
  peers.restored();
  const { lastReceived: lastHeard, lastBlock, connectedAt } = peers.get(asPeer('one')) ?? {};
  assert.deepEqual([lastHeard, lastBlock, connectedAt], [time.now, time.now, time.now]);
  assert.equal(peers.get(asPeer('two'))?.lastReceived, 900);
});

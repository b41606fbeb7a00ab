import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { KnownPeers, type KnownPeersOptions } from '../../../src/main/peers/known-peers.js';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { settingsOf } from '../../support/settings.js';

const LEAD = settingsOf().p2p_max_unvalidated_advertised_height_lead;

function open(options: Partial<KnownPeersOptions> = {}) {
  const chain: { height: number | undefined } = { height: 100 };
  const time = { now: 1000 };
  const registry = new Registry();
  const peers = new KnownPeers(
    { metrics: createPeerMetrics(registry), ownHeight: () => chain.height, clock: () => time.now },
    { maxHeightLead: LEAD, ...options },
  );
  return { peers, chain, time, registry };
}

const block = (peer: string, height: number, hash = 'aa') =>
  ({ type: 'block', peer, height, hash, url: 'http://hub', clientName: '', header: '' }) as const;
const status = (peer: string, height: number, changes: object = {}) =>
  ({
    type: 'node_status',
    peer,
    height,
    hash: 'bb',
    url: 'http://status',
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
    ...changes,
  }) as const;

test('blocks and node statuses tell height, best block, data hub and name', () => {
  const { peers, time } = open();
  peers.learn(block('one', 90));
  time.now = 2000;
  const known = peers.learn(status('one', 95));
  assert.deepEqual(known, {
    id: 'one',
    height: 95,
    startingHeight: 90,
    bestBlock: 'bb',
    url: 'http://status',
    name: 'name',
    storage: 'full',
    chainWork: '0f',
    lastHeard: 2000,
    lastBlock: 1000,
    connectedAt: 0,
    bytesReceived: 0n,
  });
  assert.deepEqual(peers.get('one'), known);
  assert.equal(peers.get('two'), undefined);
});

test('a block below the best one leaves height and best block; a status may go back, as after a reorganisation', () => {
  const { peers } = open();
  peers.learn(block('one', 90));
  assert.equal(peers.learn(block('one', 80, 'cc')).bestBlock, 'aa');
  assert.equal(peers.learn(block('one', 90, 'dd')).bestBlock, 'dd');
  const back = peers.learn(status('one', 85, { clientName: '' }));
  assert.deepEqual([back.height, back.bestBlock, back.name], [85, 'bb', '']);
});

test('heights are believed up to the lead above ours, and never break anything', () => {
  const { peers, chain } = open();
  assert.equal(peers.learn(status('one', 4_000_000_000)).height, 100 + LEAD);
  chain.height = 200;
  assert.equal(peers.learn(status('one', 4_000_000_000)).height, 200 + LEAD);
  chain.height = undefined;
  assert.equal(peers.learn(status('one', 2 ** 40)).height, 0xffff_ffff);
  for (const height of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.equal(peers.learn(status('two', height)).height, 0);
  }
});

test('a request for the best block makes its sender known, no more', () => {
  const { peers } = open();
  const known = peers.learn({ type: 'best_block_requested', peer: 'one' });
  assert.deepEqual([known.height, known.name, known.lastHeard], [0, '', 1000]);
});

test('memory is bounded: the least recently heard is forgotten', async () => {
  const { peers, registry } = open({ maxPeers: 2 });
  peers.learn(block('one', 1));
  peers.learn(block('two', 1));
  peers.learn(block('one', 2));
  peers.learn(block('three', 1));
  assert.deepEqual(
    peers
      .list()
      .map(({ id }) => id)
      .sort(),
    ['one', 'three'],
  );
  assert.match(await registry.metrics(), /teranode_p2p_peers_known 2/);
});

test('a connection is remembered with when it began, and its bytes once it has closed', () => {
  const { peers, time } = open();
  peers.connected('one');
  time.now = 2000;
  peers.disconnected('one', 2n ** 60n);
  peers.connected('one');
  peers.disconnected('one', 1n);
  const known = peers.get('one');
  assert.deepEqual([known?.connectedAt, known?.bytesReceived, known?.lastHeard], [2000, 2n ** 60n + 1n, 0]);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { ClassicLevel } from 'classic-level';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../../../src/main/bans/level-store.js';
import { BanList } from '../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { createBanPolicy } from '../../../src/main/bans/policy.js';
import { createBanProtection, peerIdsOf } from '../../../src/main/bans/protection.js';
import { BanScores, type BanScoresOptions } from '../../../src/main/bans/scores.js';
import type { ConnectedPeer } from '../../../src/main/node/types.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asPeer } from '../../support/branded.js';
import { closing } from '../../support/closing.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const OTHER = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp' as PeerIdText;
const MINUTE = 60_000;
const HOUR = 3_600_000;

interface Setup extends Partial<BanScoresOptions> {
  readonly isProtected?: (peerId: PeerIdText) => boolean;
  readonly addressesOf?: (peerId: PeerIdText) => readonly string[];
  /** A directory, for what is to outlive the list. */
  readonly path?: string;
}

async function openScores(context: TestContext, { isProtected, addressesOf, path, ...options }: Setup = {}) {
  const { logger, lines } = keptLog();
  const registry = new Registry();
  const metrics = createBanMetrics(registry);
  const level =
    path === undefined
      ? new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' })
      : new ClassicLevel<string, Uint8Array>(path, { valueEncoding: 'view' });
  const time = { now: 1_800_000_000_000, set: 0 };
  const clocks = { date: () => time.now + time.set, monotonic: () => time.now };
  const store = new LevelBanStore({ level, logger });
  const list = new BanList({ store, logger, metrics, clocks }, { reloadIntervalMs: 0 });
  await list.open();
  const close = closing(context, async () => {
    await list.stop();
    await level.close();
  });
  const scores = new BanScores(
    {
      list,
      logger,
      metrics,
      clocks,
      isProtected: isProtected ?? (() => false),
      ...(addressesOf && { addressesOf }),
    },
    { threshold: 100, durationMs: HOUR, generation: 'current', ...options },
  );
  return { list, scores, time, registry, lines, close };
}

test('every reason has its points; an unknown one none, or one in the first generation', async (context) => {
  const points: Record<string, number> = {
    invalid_subtree: 10,
    protocol_violation: 20,
    spam: 50,
    invalid_block: 10,
    catchup_failure: 30,
    catchup_malicious: 50,
    corrupt_block_body: 10,
    operator_ban: 0,
    unknown: 0,
    constructor: 0,
    ['__proto__']: 0,
  };
  for (const generation of ['current', 'first'] as const) {
    for (const [reason, expected] of Object.entries(points)) {
      const { scores } = await openScores(context, { generation });
      const wanted = expected === 0 && generation === 'first' ? 1 : expected;
      assert.deepEqual(scores.add(PEER, reason), { score: wanted, banned: false }, reason);
      assert.equal(scores.score(PEER), wanted);
    }
  }
});

test('a point is forgiven each minute, and what is left of a minute counts on', async (context) => {
  const { scores, time } = await openScores(context);
  scores.add(PEER, 'invalid_block');
  time.now += 1.5 * MINUTE;
  assert.equal(scores.score(PEER), 9);
  assert.equal(scores.add(PEER, 'invalid_block').score, 19);
  time.now += 0.5 * MINUTE;
  assert.equal(scores.score(PEER), 18, 'two minutes since the first offence');
  time.now += HOUR;
  assert.equal(scores.score(PEER), 0);
});

test('a clock that is set forgives as it did', async (context) => {
  const { scores, time } = await openScores(context);
  scores.add(PEER, 'invalid_block');
  for (const set of [-HOUR, HOUR]) {
    time.set = set;
    const before = scores.score(PEER);
    time.now += 2 * MINUTE;
    assert.equal(scores.score(PEER), before - 2);
  }
});

test('at the threshold the peer is banned for the duration, then starts anew', async (context) => {
  const { scores, list, time } = await openScores(context, { addressesOf: () => ['203.0.113.5'] });
  assert.deepEqual(scores.add(PEER, 'spam'), { score: 50, banned: false });
  assert.deepEqual(scores.add(PEER, 'spam'), { score: 100, banned: true });
  assert.equal(list.isPeerBanned(PEER), true);
  assert.equal(list.isAddressBanned('203.0.113.5'), true);
  assert.equal(list.until(PEER), time.now + HOUR);
  const until = list.until(PEER);
  time.now += MINUTE;
  scores.add(PEER, 'spam');
  assert.equal(list.until(PEER), until, 'not prolonged while it lasts');
  time.now = until;
  assert.equal(list.isPeerBanned(PEER), false);
  list.expire();
  assert.equal(scores.score(PEER), 0);
  assert.deepEqual(scores.add(PEER, 'spam'), { score: 50, banned: false });
});

test('a ban by score is counted once, by the offence that reached the threshold', async (context) => {
  const { scores, registry } = await openScores(context, { addressesOf: () => ['203.0.113.5'] });
  const events = async (reason: string) =>
    sumOf(await registry.metrics(), 'teranode_p2p_ban_events_total', { reason });
  scores.add(PEER, 'spam');
  assert.equal(await events('spam'), 0);
  for (let n = 0; n < 10; n++) scores.add(PEER, 'corrupt_block_body');
  assert.equal(await events('corrupt_block_body'), 1, 'not for each offence, nor for each address');
  for (const reason of ['spam', 'unknown', 'operator_ban']) assert.equal(await events(reason), 0, reason);
});

test('a peer and the addresses banned with it are let in together, an operator’s ban aside', async (context) => {
  const path = join(temporaryDirectory(context), 'level');
  const setup = { addressesOf: () => ['203.0.113.5', '203.0.113.6'], path };
  const first = await openScores(context, setup);
  first.scores.add(PEER, 'spam');
  first.scores.add(PEER, 'spam');
  await first.list.add('203.0.113.6', first.time.now + HOUR, 'operator');
  await first.close();

  const { list, scores, close } = await openScores(context, setup);
  assert.equal(list.isAddressBanned('203.0.113.5'), true, 'after a restart');
  const heard: string[] = [];
  list.on('removed', (key) => heard.push(key));
  const freed = await list.remove(PEER);
  assert.deepEqual([freed.removed, freed.addresses], [true, ['203.0.113.5']]);
  assert.deepEqual(heard, [PEER, '203.0.113.5']);
  assert.deepEqual(
    list.list().map(({ key }) => key),
    ['203.0.113.6'],
  );

  scores.add(PEER, 'spam');
  scores.add(PEER, 'spam');
  assert.equal((await list.remove('203.0.113.5')).bannedPeer, PEER);
  assert.equal(list.isAddressBanned('203.0.113.5'), false);
  assert.equal(list.isPeerBanned(PEER), true);
  await close();
  const third = await openScores(context, setup);
  assert.deepEqual(
    third.list
      .list()
      .map(({ key }) => key)
      .toSorted(),
    [PEER, '203.0.113.6'].toSorted(),
  );
});

test('a hundred identities banned at once are not a hundred lines in the log', async (context) => {
  const { scores, list, lines } = await openScores(context, { threshold: 20 });
  for (let count = 0; count < 100; count++) {
    scores.add(peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString(), 'protocol_violation');
  }
  assert.equal(list.size, 100);
  const loud = lines.filter(({ level, msg }) => msg === 'peer banned' && Number(level) >= 30);
  assert.ok(loud.length >= 1 && loud.length <= 5, `${loud.length} lines`);
});

test('an operator’s pardon forgives the score too', async (context) => {
  const { scores, list } = await openScores(context);
  scores.add(PEER, 'spam');
  scores.add(PEER, 'spam');
  await list.remove(PEER);
  assert.deepEqual(scores.add(PEER, 'invalid_block'), { score: 10, banned: false });
  scores.add(OTHER, 'spam');
  await list.clear();
  assert.equal(scores.score(OTHER), 0);
});

test('protected peers are never banned automatically, whatever they do', async (context) => {
  const { scores, list, registry, lines } = await openScores(context, { isProtected: (id) => id === PEER });
  for (let index = 0; index < 50; index++) scores.add(PEER, 'spam');
  assert.equal(list.isPeerBanned(PEER), false);
  assert.equal(scores.score(PEER), 100);
  assert.match(await registry.metrics(), /teranode_p2p_ban_spared_total 49/);
  assert.equal(lines.filter(({ msg }) => String(msg).includes('protected')).length, 1, 'said once');
});

test('an operator’s ban is not changed by a score', async (context) => {
  const { scores, list, time } = await openScores(context);
  await list.add(PEER, time.now + 10 * HOUR, 'operator');
  scores.add(PEER, 'spam');
  scores.add(PEER, 'spam');
  assert.equal(list.until(PEER), time.now + 10 * HOUR);
  assert.equal(list.list()[0]?.origin, 'operator');
});

test('scores are bounded: the least recently used is forgotten', async (context) => {
  const { scores } = await openScores(context, { maxPeers: 1 });
  scores.add(PEER, 'spam');
  scores.add(OTHER, 'spam');
  assert.equal(scores.score(PEER), 0);
  assert.equal(scores.score(OTHER), 50);
  assert.throws(() => scores.add('not a peer', 'spam'), RangeError);
});

test('the gate tells the node who is kept out and how GossipSub should think of the rest', async (context) => {
  const { scores, list, time } = await openScores(context);
  const gate = createBanPolicy(list, scores);
  assert.equal(Object.is(gate.applicationScore(PEER), 0), true);
  scores.add(PEER, 'spam');
  assert.equal(gate.applicationScore(PEER), -500);
  scores.add(PEER, 'spam');
  assert.ok(gate.applicationScore(PEER) < -8000, 'below the graylist threshold');
  assert.equal(gate.isPeerBanned(PEER), true);
  await list.add('198.51.100.0/24', time.now + HOUR, 'operator');
  assert.equal(gate.isAddressBanned('198.51.100.1'), true);
});

function connected(id: PeerIdText, address: string, changes: Partial<ConnectedPeer> = {}): ConnectedPeer {
  return {
    id,
    address,
    inbound: true,
    connectedAt: 0,
    lastSend: 0,
    lastReceive: 0,
    bytesSent: 0n,
    bytesReceived: 0n,
    messagesReceived: 0,
    messagesSent: 0,
    pingMs: undefined,
    agent: '',
    protocolVersion: '',
    trusted: false,
    configured: false,
    score: 0,
    ...changes,
  };
}

test('static, bootstrap, relay, loopback and allow-listed peers are protected, and nobody else', () => {
  const settings = settingsOf({
    p2p_static_peers: [`/dns4/a.example/tcp/1/p2p/${PEER}`],
    p2p_allowed_addresses: ['198.51.100.0/24'],
  });
  let peers: ConnectedPeer[] = [];
  const protection = createBanProtection(settings, { peers: () => peers, isNamed: () => false });
  assert.equal(protection.isProtected(PEER), true, 'static, though not connected');
  assert.equal(protection.isProtected(OTHER), false);
  for (const [address, expected] of [
    ['/ip4/127.0.0.9/tcp/1', true],
    ['/ip6/::1/tcp/1', true],
    ['/ip4/198.51.100.7/tcp/1', true],
    ['/ip6/::ffff:198.51.100.7/tcp/1', true],
    ['/ip4/203.0.113.1/tcp/1', false],
    ['/ip4/10.0.0.1/tcp/1', false],
    ['/dns4/localhost/tcp/1', false],
    [`/ip4/127.0.0.1/tcp/1/p2p/${PEER}/p2p-circuit`, false],
  ] as const) {
    peers = [connected(OTHER, address)];
    assert.equal(protection.isProtected(OTHER), expected, address);
  }
  peers = [connected(OTHER, '/ip4/203.0.113.1/tcp/1', { configured: true })];
  assert.equal(protection.isProtected(OTHER), true);
  assert.deepEqual([...peerIdsOf([`/ip4/1.2.3.4/tcp/1/p2p/${PEER}`, '/ip4/1.2.3.4/tcp/1', 'junk'])], [PEER]);
});

test('who came from loopback or an allowed address stays protected when it is gone, until it comes from elsewhere', () => {
  let peers: ConnectedPeer[] = [];
  const protection = createBanProtection(settingsOf({ p2p_allowed_addresses: ['198.51.100.0/24'] }), {
    peers: () => peers,
    isNamed: () => false,
  });
  const meet = (id: PeerIdText, address: string): void => {
    peers = [connected(id, address)];
    protection.met(id);
    peers = [];
  };
  for (const address of ['/ip4/127.0.0.1/tcp/1', '/ip4/198.51.100.7/tcp/1']) {
    meet(PEER, address);
    assert.equal(protection.isProtected(PEER), true, address);
    meet(PEER, '/ip4/203.0.113.1/tcp/1');
    assert.equal(protection.isProtected(PEER), false);
  }
  meet(PEER, '/ip4/127.0.0.1/tcp/1');
  for (let n = 0; n < 1_000; n++) meet(asPeer(`made up ${n}`), '/ip4/203.0.113.1/tcp/1');
  assert.equal(protection.isProtected(PEER), true, 'strangers take no places');
  for (let n = 0; n < 1_000; n++) meet(asPeer(`neighbour ${n}`), '/ip4/127.0.0.1/tcp/1');
  assert.equal(protection.isProtected(PEER), false, 'bounded');
});

test('an address is banned along with a peer unless others share it or it is a relay’s', () => {
  const peers = [
    connected(PEER, '/ip4/203.0.113.1/tcp/1'),
    connected(PEER, '/ip6/2001:db8::1/tcp/1'),
    connected(PEER, `/ip4/203.0.113.3/tcp/1/p2p/${OTHER}/p2p-circuit/p2p/${PEER}`),
    connected(PEER, '/ip4/203.0.113.4/tcp/1'),
    connected(OTHER, '/ip4/203.0.113.4/tcp/2'),
  ];
  const protection = createBanProtection(settingsOf(), { peers: () => peers, isNamed: () => false });
  assert.deepEqual(protection.addressesOf(PEER), ['203.0.113.1', '2001:db8::1']);
});

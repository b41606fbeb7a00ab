import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../../../src/main/bans/level-store.js';
import { BanList, type BanListOptions } from '../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { InvalidBanSubjectError } from '../../../src/main/bans/subject.js';
import type { BanEntry, BanStore } from '../../../src/main/bans/types.js';
import { UnavailableError } from '../../../src/shared/errors.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { closing } from '../../support/closing.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const HOUR = 3_600_000;
const SIGNAL = AbortSignal.timeout(60_000);

class Clock {
  now = 1_800_000_000_000;
  /** By how much the time of day was set. */
  set = 0;
  readonly date = () => this.now + this.set;
  readonly monotonic = () => this.now;
}

interface Setup extends BanListOptions {
  readonly path?: string;
  readonly wrap?: (store: BanStore) => BanStore;
}

async function openList(context: TestContext, { path, wrap = (store) => store, ...options }: Setup = {}) {
  const level = new ClassicLevel<string, Uint8Array>(path ?? join(temporaryDirectory(context), 'level'), {
    valueEncoding: 'view',
  });
  const { logger, lines } = keptLog();
  const clock = new Clock();
  const registry = new Registry();
  const store = wrap(new LevelBanStore({ level, logger }));
  const list = new BanList(
    { store, logger, metrics: createBanMetrics(registry), clocks: clock },
    { reloadIntervalMs: 0, ...options },
  );
  await list.open();
  const close = closing(context, async () => {
    await list.stop();
    await level.close();
  });
  return { list, level, clock, registry, lines, close };
}

test('addresses, subnets and peer IDs are banned in every spelling of them', async (context) => {
  const { list, clock } = await openList(context);
  const until = clock.now + HOUR;
  await list.add('192.0.2.1', until, 'operator');
  await list.add('198.51.100.77/24', until, 'operator');
  await list.add('2001:DB8:0::1', until, 'operator');
  await list.add('2001:db8:1::/48', until, 'operator');
  await list.add('::ffff:203.0.113.9', until, 'operator');
  await list.add(PEER, until, 'operator');
  for (const banned of [
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '::ffff:c000:201',
    '198.51.100.0',
    '198.51.100.255',
    '2001:db8::1',
    '2001:0db8:0000:0000:0000:0000:0000:0001',
    '2001:db8::1%eth0',
    '2001:db8:1:ffff::',
    '203.0.113.9',
  ]) {
    assert.equal(list.isAddressBanned(banned), true, banned);
  }
  for (const free of [
    '192.0.2.2',
    '198.51.99.255',
    '198.51.101.0',
    '2001:db8::2',
    '2001:db8:2::',
    '',
    'example.com',
    '192.0.2.01',
    '999.1.1.1',
    PEER,
  ]) {
    assert.equal(list.isAddressBanned(free), false, free);
  }
  assert.equal(list.isPeerBanned(PEER), true);
  assert.equal(list.isBanned('198.51.100.128/25'), true);
  assert.equal(list.isBanned('198.51.100.0/23'), false);
  assert.equal(list.isBanned('192.0.2.1:9905'), true);
  assert.equal(list.isBanned('[2001:db8::1]:9905'), true);
  assert.equal(list.isBanned(`/ip4/192.0.2.1/tcp/9905/p2p/${PEER}`), true);
  assert.deepEqual(
    list
      .list()
      .map(({ key, kind }) => `${kind} ${key}`)
      .sort(),
    [
      'address 192.0.2.1',
      'address 2001:db8::1',
      'address 203.0.113.9',
      `peer ${PEER}`,
      'subnet 198.51.100.0/24',
      'subnet 2001:db8:1::/48',
    ],
  );
});

test('what is no address, subnet or peer ID is refused with an error that is safe to print', async (context) => {
  const { list, clock } = await openList(context);
  for (const junk of [
    '',
    ' ',
    ':',
    '::::',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    '::/129',
    '0.0.0.0/0',
    '::/0',
    '::ffff:0:0/96',
    'fe80::1%eth0',
    'fe80::%0/64',
    '1.2.3.4:99999999',
    '1.2.3.4:65536',
    '[2001:db8::1]:99999',
    '/ip4/1.2.3.4/tcp/99999',
    'example.com',
    '/dns4/example.com/tcp/9905',
    '\u202e1.2.3.4',
    '１.2.3.4',
    'line\nbreak',
    '12D3KooWnotapeerid',
    'a'.repeat(257),
    '1'.repeat(100_000),
  ]) {
    await assert.rejects(list.add(junk, clock.now + HOUR, 'operator'), (error: Error) => {
      assert.ok(error instanceof InvalidBanSubjectError, junk);
      assert.match(error.message, /^[\x20-\x7e…]{1,200}$/);
      return true;
    });
  }
  assert.equal(list.size, 0);
  await assert.rejects(list.add('192.0.2.1', clock.now, 'operator'), RangeError);
  await assert.rejects(list.add('192.0.2.1', Number.NaN, 'operator'), RangeError);
});

test('bans survive a restart with why they are, corrupt entries do not stop it', async (context) => {
  const path = join(temporaryDirectory(context), 'level');
  const first = await openList(context, { path });
  const reason = 'asks for everything';
  await first.list.add('192.0.2.1', first.clock.now + HOUR, 'operator', { reason });
  await first.list.add(PEER, first.clock.now + HOUR, 'score');
  await first.list.add('192.0.2.7', first.clock.now + HOUR, 'operator');
  await first.list.remove('192.0.2.7');
  const raw = first.level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
  await raw.put('192.0.2.9', '{"until":');
  await raw.put('junk', '{}');
  await raw.put('192.0.2.10', '{"until":"soon","origin":"operator"}');
  await first.close();
  const second = await openList(context, { path });
  const kept = new Map(second.list.list().map((entry) => [entry.key, entry.reason]));
  assert.deepEqual([kept.get('192.0.2.1'), kept.get(PEER)], [reason, undefined]);
  assert.deepEqual(
    second.list
      .list()
      .map(({ key, origin }) => `${key} ${origin}`)
      .sort(),
    [`${PEER} score`, '192.0.2.1 operator'].sort(),
  );
  assert.equal(second.lines.filter(({ msg }) => String(msg).includes('cannot be read')).length, 3);
});

test('a ban ends on time, asked or not, and the store forgets it', async (context) => {
  const { list, clock, level } = await openList(context);
  const removed: string[] = [];
  list.on('removed', (key) => removed.push(key));
  await list.add('192.0.2.1', clock.now + 1000, 'operator');
  await list.add('192.0.2.0/24', clock.now + 2000, 'operator');
  await list.add(PEER, clock.now + 1000, 'score');
  clock.now += 1000;
  assert.equal(list.isPeerBanned(PEER), false);
  assert.equal(list.isAddressBanned('192.0.2.1'), true, 'the subnet still holds');
  assert.deepEqual(removed, []);
  list.expire();
  assert.deepEqual(removed.sort(), [PEER, '192.0.2.1'].sort());
  clock.now += 1000;
  assert.equal(list.isAddressBanned('192.0.2.1'), false);
  list.expire();
  assert.equal(list.size, 0);
  const bans = level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
  await waitFor(async () => (await bans.keys().all()).length === 0, { what: 'an empty store' });
});

for (const [how, set] of [
  ['back', -HOUR],
  ['forward', HOUR],
] as const) {
  test(`a clock that is set ${how} an hour neither ends a ban nor prolongs it`, async (context) => {
    const { list, clock } = await openList(context);
    await list.add('192.0.2.1', clock.date() + HOUR / 2, 'operator');
    await list.add(PEER, clock.date() + HOUR / 2, 'score');
    clock.set = set;
    clock.now += HOUR / 2 - 1;
    list.expire();
    await list.reload();
    assert.equal(list.isAddressBanned('192.0.2.1'), true);
    assert.equal(list.isPeerBanned(PEER), true);
    assert.equal(list.list().length, 2);
    clock.now += 1;
    assert.equal(list.isAddressBanned('192.0.2.1'), false);
    assert.equal(list.isPeerBanned(PEER), false);
    list.expire();
    assert.equal(list.size, 0);
    await list.reload();
    assert.equal(list.size, 0, 'nor does the store bring it back');
    await list.add('192.0.2.2', clock.date() + HOUR, 'operator');
    clock.now += HOUR - 1;
    assert.equal(list.isAddressBanned('192.0.2.2'), true, 'an end is given by the clock as it is now');
    clock.now += 1;
    assert.equal(list.isAddressBanned('192.0.2.2'), false);
  });
}

test('the timer ends bans by the real clock', async (context) => {
  const { list, clock } = await openList(context);
  const removed: string[] = [];
  list.on('removed', (key) => removed.push(key));
  clock.now = Date.now();
  list.start();
  await list.add('192.0.2.1', clock.now + 50, 'operator');
  clock.now += 50;
  await waitFor(() => removed.includes('192.0.2.1'), { what: 'the ban to end' });
});

test('taking back an address inside a banned subnet says that it stays banned, and by what', async (context) => {
  const { list, clock } = await openList(context);
  const until = clock.now + HOUR;
  await list.add('192.0.2.0/24', until, 'operator');
  await list.add('192.0.0.0/16', until, 'operator');
  await list.add('192.0.2.1', until, 'operator');
  const remove = async (subject: string) => {
    const { removed, stillBannedBy } = await list.remove(subject);
    return { removed, stillBannedBy };
  };
  assert.deepEqual(await remove('192.0.2.1'), { removed: true, stillBannedBy: '192.0.2.0/24' });
  assert.deepEqual(await remove('192.0.2.1'), { removed: false, stillBannedBy: '192.0.2.0/24' });
  assert.deepEqual(await remove('192.0.2.0/24'), { removed: true, stillBannedBy: '192.0.0.0/16' });
  assert.deepEqual(await remove('192.0.5.5/16'), { removed: true, stillBannedBy: undefined });
  assert.equal(list.isAddressBanned('192.0.2.1'), false);
  await list.add('192.0.2.1', until, 'operator');
  await list.add('192.0.2.0/24', until, 'operator');
  await list.remove('192.0.2.0/24');
  assert.equal(list.isAddressBanned('192.0.2.1'), true, 'its own ban stays');
  assert.equal(list.isAddressBanned('192.0.2.2'), false);
});

test('automatic bans are bounded, go soonest first, and never displace or shorten an operator’s', async (context) => {
  const { list, clock, registry } = await openList(context, { maxByScore: 3 });
  const until = clock.now + HOUR;
  await list.add('192.0.2.1', until, 'operator');
  const kept = await list.add('192.0.2.1', until + HOUR, 'score');
  assert.deepEqual([kept.origin, kept.until], ['operator', until]);
  for (let index = 1; index <= 5; index++) {
    await list.add(`198.51.100.${index}`, until + (index === 4 ? -1000 : index), 'score');
  }
  assert.deepEqual(
    list
      .list()
      .map(({ key }) => key)
      .sort(),
    ['192.0.2.1', '198.51.100.2', '198.51.100.3', '198.51.100.5'],
  );
  assert.equal((await list.add('198.51.100.5', until - 1, 'score')).until, until + 5, 'not shortened');
  await list.add('198.51.100.5', until - 1, 'operator');
  assert.equal(list.until('198.51.100.5'), until - 1, 'an operator’s word replaces it');
  const scrape = await registry.metrics();
  assert.match(scrape, /teranode_p2p_bans\{kind="address",origin="score"\} 2/);
  assert.match(scrape, /teranode_p2p_bans\{kind="address",origin="operator"\} 2/);
  assert.match(scrape, /teranode_p2p_ban_changes_total\{change="evicted"\} 2/);
});

test('an operator’s bans are counted as such, others are not', async (context) => {
  const { list, clock, registry } = await openList(context);
  const events = async () =>
    sumOf(await registry.metrics(), 'teranode_p2p_ban_events_total', { reason: 'operator_ban' });
  await list.add('192.0.2.1', clock.now + HOUR, 'score');
  assert.equal(await events(), 0);
  await list.add('192.0.2.1', clock.now + HOUR, 'operator');
  await list.add('192.0.2.0/24', clock.now + HOUR, 'operator');
  assert.equal(await events(), 2);
});

test('listeners hear of bans added, removed and cleared; one that throws harms nobody', async (context) => {
  const { list, clock } = await openList(context);
  const heard: string[] = [];
  list.on('added', () => {
    throw new Error('a bad listener');
  });
  list.on('added', (entry) => heard.push(`added ${entry.key}`));
  list.on('removed', (key) => heard.push(`removed ${key}`));
  const off = list.on('cleared', () => heard.push('cleared'));
  await list.add('192.0.2.1', clock.now + HOUR, 'operator');
  await list.remove('192.0.2.1');
  await list.remove('192.0.2.1');
  await list.add('192.0.2.2', clock.now + HOUR, 'operator');
  await list.clear();
  off();
  await list.clear();
  assert.deepEqual(heard, ['added 192.0.2.1', 'removed 192.0.2.1', 'added 192.0.2.2', 'cleared']);
  assert.equal(list.isAddressBanned('192.0.2.2'), false);
});

/** A real store that can be taken away and given back. */
class InterruptedStore implements BanStore {
  readonly isShared = false;
  away = false;
  readonly #store: BanStore;

  constructor(store: BanStore) {
    this.#store = store;
  }

  #there(): BanStore {
    if (this.away) throw new UnavailableError('gone');
    return this.#store;
  }

  readonly open = async () => this.#there().open();
  readonly load = async () => this.#there().load();
  readonly put = async (entry: BanEntry) => this.#there().put(entry);
  readonly delete = async (key: string) => this.#there().delete(key);
  readonly clear = async () => this.#there().clear();
  readonly health = async (signal: AbortSignal) => this.#store.health(signal);
  readonly close = async () => this.#store.close();
}

test('while the store is away bans hold in memory, callers are told, and everything is stored later', async (context) => {
  let store: InterruptedStore | undefined;
  const { list, clock, level } = await openList(context, {
    wrap: (inner) => {
      store = new InterruptedStore(inner);
      return store;
    },
  });
  assert.ok(store !== undefined);
  await list.add('192.0.2.1', clock.now + HOUR, 'operator');
  store.away = true;
  await assert.rejects(list.add('192.0.2.2', clock.now + HOUR, 'operator'), { name: 'UnavailableError' });
  await assert.rejects(list.remove('192.0.2.1'), { name: 'UnavailableError' });
  await assert.rejects(list.add('192.0.2.3', clock.now + HOUR, 'operator'), { name: 'UnavailableError' });
  await assert.rejects(list.remove('192.0.2.3'), { name: 'UnavailableError' });
  await assert.rejects(list.reload(), { name: 'UnavailableError' });
  assert.equal(list.isAddressBanned('192.0.2.2'), true);
  assert.equal((await list.health(SIGNAL)).status, 503);
  store.away = false;
  const bans = level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
  await waitFor(async () => (await bans.keys().all()).join() === '192.0.2.2', {
    what: 'the store to catch up',
  });
  await list.reload();
  assert.equal((await list.health(SIGNAL)).status, 200);
  assert.equal(list.isAddressBanned('192.0.2.1'), false);
  assert.equal(list.isAddressBanned('192.0.2.2'), true);
});

test('a store that is away at the start is loaded when it is back', async (context) => {
  const path = join(temporaryDirectory(context), 'level');
  const first = await openList(context, { path });
  await first.list.add('192.0.2.1', first.clock.now + HOUR, 'operator');
  await first.close();
  let store: InterruptedStore | undefined;
  const { list } = await openList(context, {
    path,
    reloadIntervalMs: 20,
    wrap: (inner) => {
      store = new InterruptedStore(inner);
      store.away = true;
      return store;
    },
  });
  assert.ok(store !== undefined);
  assert.equal((await list.health(SIGNAL)).status, 503);
  list.start();
  store.away = false;
  await waitFor(() => list.isAddressBanned('192.0.2.1'), { what: 'the ban to be loaded' });
  assert.equal((await list.health(SIGNAL)).status, 200);
});

test('a store that nobody else writes is read once, a shared one again and again', async (context) => {
  const counted = async (isShared: boolean) => {
    const reads = { count: 0 };
    const { list } = await openList(context, {
      reloadIntervalMs: 5,
      wrap: (inner) => ({
        isShared,
        open: () => inner.open(),
        load: () => {
          reads.count++;
          return inner.load();
        },
        put: (entry) => inner.put(entry),
        delete: (key) => inner.delete(key),
        clear: () => inner.clear(),
        health: (signal) => inner.health(signal),
        close: () => inner.close(),
      }),
    });
    list.start();
    return reads;
  };
  const own = await counted(false);
  const shared = await counted(true);
  await waitFor(() => shared.count > 5, { what: 'the shared store to be read' });
  assert.equal(own.count, 1);
});

test('what others add to and take from the store is taken over by a reload', async (context) => {
  const { list, clock, level } = await openList(context);
  const heard: string[] = [];
  list.on('added', ({ key }) => heard.push(`+${key}`));
  list.on('removed', (key) => heard.push(`-${key}`));
  const others = level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
  await others.put('198.51.100.0/24', JSON.stringify({ until: clock.now + HOUR, origin: 'operator' }));
  await others.put('198.51.101.1', JSON.stringify({ until: clock.now - 1, origin: 'operator' }));
  await list.reload();
  await list.reload();
  assert.equal(list.isAddressBanned('198.51.100.4'), true);
  assert.equal(list.isAddressBanned('198.51.101.1'), false);
  await others.del('198.51.100.0/24');
  const reloaded = list.reload();
  await list.add('192.0.2.8', clock.now + HOUR, 'operator');
  await reloaded;
  assert.equal(list.isAddressBanned('198.51.100.4'), false);
  assert.equal(list.isAddressBanned('192.0.2.8'), true, 'added while the store was read');
  assert.deepEqual(
    heard.filter((event) => !event.includes('192.0.2.8')),
    ['+198.51.100.0/24', '-198.51.100.0/24'],
  );
});

test('a ban of the registry displaces no other, is not stored, and ends when it is lifted or its time has come', async (context) => {
  const path = join(temporaryDirectory(context), 'level');
  const { list, clock, close } = await openList(context, { path });
  const until = clock.now + HOUR;
  const changes: string[] = [];
  list.on('added', ({ key, origin }) => changes.push(`${origin} ${key}`));
  list.on('removed', (key) => changes.push(`no ${key}`));
  const operators = await list.add(PEER, until, 'operator', { reason: 'mine' });
  assert.deepEqual(await list.add(PEER, until + HOUR, 'registry'), operators);
  list.lift(PEER);
  assert.ok(list.isPeerBanned(PEER));
  await list.remove(PEER);

  await list.add(PEER, until, 'registry', { reason: 'theirs' });
  assert.deepEqual(
    list.list().map(({ origin, reason }) => [origin, reason]),
    [['registry', 'theirs']],
  );
  list.lift(PEER);
  assert.ok(!list.isPeerBanned(PEER));
  await list.add(PEER, until, 'registry');
  clock.now += HOUR;
  list.expire();
  assert.ok(!list.isPeerBanned(PEER));
  assert.deepEqual(changes, [
    `operator ${PEER}`,
    `no ${PEER}`,
    `registry ${PEER}`,
    `no ${PEER}`,
    `registry ${PEER}`,
    `no ${PEER}`,
  ]);
  // What is reloaded says nothing of it, and a restart knows nothing of it.
  await list.add(PEER, clock.now + HOUR, 'registry');
  await list.reload();
  assert.ok(list.isPeerBanned(PEER));
  await close();
  const again = await openList(context, { path });
  assert.equal(again.list.size, 0);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { createBanStore } from '../../../src/main/bans/create-store.js';
import { BanList } from '../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { closing } from '../../support/closing.js';
import { keptLog } from '../../support/logger.js';
import { type Postgres, startPostgres } from '../../support/postgres.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const HOUR = 3_600_000;

async function openList(context: TestContext, url: string, reloadIntervalMs = 0, path?: string) {
  const level = new ClassicLevel<string, Uint8Array>(path ?? join(temporaryDirectory(context), 'level'), {
    valueEncoding: 'view',
  });
  const { logger, lines } = keptLog();
  const store = createBanStore({ blockchain_store: url }, { level, logger });
  const list = new BanList(
    { store, logger, metrics: createBanMetrics(new Registry()) },
    { reloadIntervalMs },
  );
  const close = closing(context, async () => {
    await list.stop();
    await level.close();
  });
  await list.open();
  list.start();
  return { list, level, lines, close };
}

interface Row {
  key: string;
  subnet: string | null;
  expiration_time: Date | null;
}
const rows = (postgres: Postgres) => postgres.query<Row>('SELECT * FROM bans ORDER BY key');

test('bans in the table that Teranode shares', async (context) => {
  const postgres = await startPostgres(context);

  await context.test(
    'the table is made, rows are as the Go service writes them, peer IDs stay at home',
    async (inner) => {
      const { list, level } = await openList(inner, postgres.url);
      const until = Date.now() + HOUR;
      await list.add('192.0.2.1', until, 'operator');
      await list.add('198.51.100.9/24', until, 'operator');
      await list.add('2001:db8::1', until, 'operator');
      await list.add(PEER, until, 'operator');
      await list.add('192.0.2.200', until, 'score');
      assert.deepEqual(
        (await rows(postgres)).map(({ key, subnet }) => [key, subnet]),
        [
          ['192.0.2.1', '192.0.2.1/32'],
          ['198.51.100.0/24', '198.51.100.0/24'],
          ['2001:db8::1', '2001:db8::1/128'],
        ],
      );
      assert.equal((await rows(postgres))[0]?.expiration_time?.getTime(), until);
      const embedded = level.sublevel<string, string>('bans', { valueEncoding: 'utf8' });
      assert.deepEqual((await embedded.keys().all()).sort(), [PEER, '192.0.2.200'].sort());
      await list.remove('192.0.2.1');
      await list.add('2001:db8::1', until + HOUR, 'operator');
      assert.deepEqual(
        (await rows(postgres)).map(({ key }) => key),
        ['198.51.100.0/24', '2001:db8::1'],
      );
      await list.clear();
      assert.deepEqual(await rows(postgres), []);
      assert.deepEqual(await embedded.keys().all(), []);
    },
  );

  await context.test(
    'rows of other nodes count; rows that are no bans are left out with a warning',
    async (inner) => {
      await postgres.query(`INSERT INTO bans VALUES
      ('192.0.2.7', now() + interval '1 hour', '192.0.2.7/32'),
      ('192.0.2.8:8333', now() + interval '1 hour', '192.0.2.8/32'),
      ('10.1.2.3/8', now() + interval '1 hour', '10.0.0.0/8'),
      ('some name', now() + interval '1 hour', '203.0.113.0/24'),
      ('203.0.112.1', 'infinity', '203.0.112.1/32'),
      ('192.0.2.9', now() - interval '1 hour', '192.0.2.9/32'),
      ('192.0.2.10', NULL, '192.0.2.10/32'),
      ('192.0.2.11', now() + interval '1 hour', NULL),
      ('192.0.2.12', now() + interval '1 hour', 'junk'),
      ('0.0.0.0/0', now() + interval '1 hour', '0.0.0.0/0')`);
      const { list, lines } = await openList(inner, postgres.url);
      for (const banned of ['192.0.2.7', '192.0.2.8', '10.200.0.1', '203.0.113.77', '203.0.112.1']) {
        assert.equal(list.isAddressBanned(banned), true, banned);
      }
      for (const free of ['192.0.2.9', '192.0.2.10', '192.0.2.11', '192.0.2.12', '1.1.1.1']) {
        assert.equal(list.isAddressBanned(free), false, free);
      }
      const warnings = lines.filter(({ msg }) => String(msg).includes('is not enforced'));
      assert.deepEqual(warnings.map(({ key }) => key).sort(), [
        '0.0.0.0/0',
        '192.0.2.10',
        '192.0.2.11',
        '192.0.2.12',
      ]);
      await list.remove('192.0.2.8');
      await list.remove('10.0.0.0/8');
      const left = (await rows(postgres)).map(({ key }) => key);
      assert.ok(!left.includes('192.0.2.8:8333') && !left.includes('10.1.2.3/8'), left.join());
      await list.clear();
    },
  );

  await context.test(
    'two nodes on one table see each other’s changes, and keep what the other prolonged',
    async (inner) => {
      const one = await openList(inner, postgres.url, 50);
      const other = await openList(inner, postgres.url, 50);
      const until = Date.now() + HOUR;
      const heard: string[] = [];
      other.list.on('added', ({ key }) => heard.push(key));
      await other.list.add(PEER, until, 'operator');
      await one.list.add('192.0.2.0/24', until, 'operator');
      await waitFor(() => other.list.isAddressBanned('192.0.2.5'), { what: 'the ban at the other node' });
      assert.deepEqual(heard, [PEER, '192.0.2.0/24']);
      await other.list.remove('192.0.2.0/24');
      await waitFor(() => !one.list.isAddressBanned('192.0.2.5'), { what: 'its end at the first node' });
      assert.equal(other.list.isPeerBanned(PEER), true, 'its own bans outlive the reloads');
      assert.equal(one.list.isPeerBanned(PEER), false);

      const short = Date.now() + 3_000;
      await one.list.add('198.51.100.1', short, 'operator');
      await postgres.query(
        "UPDATE bans SET expiration_time = now() + interval '1 hour' WHERE key = '198.51.100.1'",
      );
      await waitFor(() => Date.now() > short + 100, { what: 'the first end' });
      await waitFor(() => one.list.isAddressBanned('198.51.100.1'), { what: 'the prolonged ban' });
      assert.equal((await rows(postgres)).length, 1);
      await one.list.clear();
    },
  );

  await context.test(
    'an outage: bans hold, readiness says so, changes made meanwhile are stored after it',
    async (inner) => {
      const { list } = await openList(inner, postgres.url, 100);
      const until = Date.now() + HOUR;
      await list.add('192.0.2.1', until, 'operator');
      assert.equal((await list.health(AbortSignal.timeout(30_000))).status, 200);
      await postgres.stop();
      await assert.rejects(within(list.add('192.0.2.2', until, 'operator'), 6000, 'the answer'), {
        name: 'UnavailableError',
      });
      await assert.rejects(list.remove('192.0.2.1'), { name: 'UnavailableError' });
      assert.equal(list.isAddressBanned('192.0.2.2'), true);
      assert.equal(list.isAddressBanned('192.0.2.1'), false);
      const health = await list.health(AbortSignal.timeout(2000));
      assert.equal(health.status, 503);
      assert.match(health.error ?? '', /Postgres/);
      await postgres.start();
      await waitFor(async () => (await rows(postgres)).map(({ key }) => key).join() === '192.0.2.2', {
        what: 'the table to catch up',
      });
      await waitFor(async () => (await list.health(AbortSignal.timeout(2000))).status === 200, {
        what: 'health',
      });
      assert.equal(list.isAddressBanned('192.0.2.1'), false);
      await list.clear();
    },
  );

  await context.test(
    'a database that is away at the start is asked again; what is kept at home holds',
    async (inner) => {
      const path = join(temporaryDirectory(inner), 'level');
      const before = await openList(inner, postgres.url, 0, path);
      await before.list.add('192.0.2.7', Date.now() + HOUR, 'operator');
      await before.list.add(PEER, Date.now() + HOUR, 'operator');
      await before.close();
      await postgres.stop();
      const { list } = await openList(inner, postgres.url, 100, path);
      assert.equal(list.isPeerBanned(PEER), true);
      assert.equal(list.isAddressBanned('192.0.2.7'), false);
      assert.equal((await list.health(AbortSignal.timeout(2000))).status, 503);
      await postgres.start();
      await waitFor(() => list.isAddressBanned('192.0.2.7'), { what: 'the ban to be loaded' });
      assert.equal(list.isPeerBanned(PEER), true);
    },
  );
});

test('schemes but that of Postgres mean the embedded store', async (context) => {
  const level = new ClassicLevel<string, Uint8Array>(join(temporaryDirectory(context), 'level'));
  const components = { level, logger: keptLog().logger };
  for (const url of ['', 'sqlite:///blockchain', 'memory:///']) {
    const store = createBanStore({ blockchain_store: url }, components);
    await store.open();
    assert.equal((await store.health(AbortSignal.timeout(1000))).message, 'embedded');
  }
  await level.close();
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { asPeer } from '../support/branded.js';
import { OTHER_PEER } from '../support/sample-messages.js';
import { chainOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/operators/upgrade.md', ROOT), 'utf8');
/** Of the table of keys: the part whose they are, and what they look like. */
const rows = [...page.matchAll(/^\| `(!([\w-]+)![^`]*)` \|/gm)].map(([, key = '', part = '']) => ({
  part,
  key,
  pattern: new RegExp(
    `^${key
      .split(/<[^>]+>/)
      .map((text) => text.replace(/[/.]/g, '\\$&'))
      .join('.+')}$`,
  ),
}));

test('each part that has keys in the store has its row', () => {
  const source = readdirSync(new URL('src/main', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(new URL(`src/main/${path}`, ROOT), 'utf8'))
    .join('\n');
  const named = [
    ...source.matchAll(/\.sublevel(?:<[^>]*>)?\(\s*'([\w-]+)'/g),
    ...source.matchAll(/\{ name: '([\w-]+)', maxWaiting:/g),
  ].map(([, name = '']) => name);
  assert.ok(named.length > 5, `${named}`);
  assert.deepEqual([...new Set(rows.map(({ part }) => part))].sort(), [...new Set(named)].sort());
});

test('what a server leaves in its store is as the table says', async (context) => {
  const neighbour = await startServer(context, serverSettings(context));
  const settings = serverSettings(context, { p2p_static_peers: [neighbour.address] });
  const served = await startServer(context, settings);
  const { bans, registry } = served.server.parts;
  await waitFor(() => registry.known.get(asPeer(neighbour.server.peerId)), {
    what: 'a word of the neighbour',
  });
  await bans.add(OTHER_PEER, Date.now() + 3_600_000, 'operator');
  await bans.add('192.0.2.0/24', Date.now() + 3_600_000, 'operator');
  registry.records.catchupAttempt(asPeer(neighbour.server.peerId));
  await chainOf(served).setState('a name', Buffer.from('a value'));
  await served.server.stop();
  const store = new ClassicLevel(join(settings.DATADIR, 'store'));
  const keys = await store.keys().all();
  await store.close();
  const found = new Set<string>();
  for (const key of keys) {
    const row = rows.filter(({ pattern }) => pattern.test(key));
    assert.equal(row.length, 1, `${key} is of ${row.length} rows`);
    found.add(row[0]?.key ?? '');
  }
  const elsewhere = /registry-pardons|\/dht\//;
  assert.deepEqual(
    [...found].sort(),
    rows
      .map(({ key }) => key)
      .filter((key) => !elsewhere.test(key))
      .sort(),
  );
});

/** Tokens of the feed at a whole server: who gets in, what becomes of a changed file, and that no token is ever written down. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '../../src/shared/errors.js';
import { hashOfToken } from '../../src/shared/firehose/tokens.js';
import { startCollector } from '../support/collector.js';
import { sumOf } from '../support/gossip.js';
import { listen, upgradeStatus } from '../support/notifications.js';
import { serverSettings, startServer } from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const SECRET = 'secret-of-one';
const OTHER = 'secret-of-another';

/** Written beside and moved, so that nobody reads half of it. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function startWithTokens(context: TestContext, text: string) {
  const path = join(temporaryDirectory(context), 'tokens');
  write(path, text);
  const settings = serverSettings(context, {
    p2p_feed_tokens_file: path,
    p2p_notification_servers: 2,
    p2p_websocket_trusted_source_cidrs: ['127.0.0.0/8'],
    logLevel: 'debug',
  });
  const { server, log } = await startServer(context, settings);
  const base = `127.0.0.1:${server.ports.http}`;
  return { path, server, log, feed: `ws://${base}/p2p-ws`, http: `http://${base}` };
}

const line = (name: string, token: string, limits = ''): string =>
  `${name}:${hashOfToken(token)}:${limits}\n`;

test('nobody has the feed without a token, and each has what its line allows, over all processes', async (context) => {
  const { feed, http, server } = await startWithTokens(
    context,
    line('one', SECRET, 'connections=2 kinds=block,node_status'),
  );
  assert.equal(await upgradeStatus(feed), 401);
  assert.equal(await upgradeStatus(`${feed}?token=${OTHER}`), 401);
  assert.equal(await upgradeStatus(`${feed}?token=${SECRET}&kinds=subtree`), 403);
  const page = await listen(context, feed, { origin: http });
  await waitFor(() => page.code === 4401, { what: 'the end of a page without a token' });
  assert.deepEqual(
    page.frames.map(({ type, code }) => [type, code]),
    [['error', 'token_missing']],
  );
  for (const path of ['/events', '/api/v1/events', '/api/v1/segments']) {
    const refused = await fetch(http + path);
    assert.equal(refused.status, 401, path);
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
    assert.equal(refused.headers.get('content-type'), 'application/problem+json');
    assert.equal(((await refused.json()) as { code: string }).code, 'token_missing');
  }
  const headers = { authorization: `Bearer ${SECRET}` };
  assert.equal((await fetch(`${http}/api/v1/events`, { headers })).status, 200);
  assert.equal((await fetch(`${http}/api/v1/segments`, { headers })).status, 403);
  for (const path of ['/health', '/', '/api/v1/openapi.json'])
    assert.equal((await fetch(http + path)).status, 200);

  // Who is greeted has a place once the count over all processes has it.
  const counted = (wanted: number) =>
    waitFor(() => server.parts.notifications.connections === wanted, { what: `${wanted} clients` });
  await counted(0);
  const first = await listen(context, `${feed}?token=${SECRET}`);
  await listen(context, `${feed}?token=${SECRET}`);
  await counted(2);
  // Whichever process it comes to.
  for (let again = 0; again < 8; again++)
    await waitFor(async () => (await upgradeStatus(`${feed}?token=${SECRET}`)) === 429, {
      what: 'a third to be refused',
    });
  first.socket.close();
  await waitFor(async () => (await upgradeStatus(`${feed}?token=${SECRET}`)) === 101, {
    what: 'the place that was left',
  });
  assert.equal(sumOf(await server.scrape(), 'teranode_p2p_feed_tokens'), 1);
});

test('a new file counts at once, a wrong one changes nothing and is told of', async (context) => {
  const { path, feed, log, server } = await startWithTokens(context, line('one', SECRET));
  const told = await listen(context, `${feed}?token=${SECRET}`);
  write(path, line('two', OTHER));
  await waitFor(() => told.code === 4401, { what: 'the end of who has no token any more' });
  assert.equal(await upgradeStatus(`${feed}?token=${SECRET}`), 401);
  assert.equal(await upgradeStatus(`${feed}?token=${OTHER}`), 101);
  const stays = await listen(context, `${feed}?token=${OTHER}`);
  const health = async () =>
    (await server.health(false)).dependencies.find(({ resource }) => resource === 'feed tokens');
  const unreadable = () => {
    rmSync(path);
    // Whoever may read everything cannot read this either.
    mkdirSync(path);
  };
  for (const spoil of [
    () => write(path, 'nonsense\n'),
    () => write(path, ''),
    () => rmSync(path),
    unreadable,
  ]) {
    spoil();
    await waitFor(async () => (await health())?.message?.startsWith('warning: p2p_feed_tokens_file: '), {
      what: 'a warning',
    });
    assert.equal((await health())?.status, 200);
    assert.equal(sumOf(await server.scrape(), 'teranode_p2p_feed_tokens_refused'), 1);
    assert.equal(await upgradeStatus(`${feed}?token=${OTHER}`), 101);
    rmSync(path, { recursive: true, force: true });
    write(path, line('two', OTHER));
    await waitFor(async () => (await health())?.message === '1 in use', { what: 'no warning' });
  }
  assert.equal(stays.code, undefined);
  for (const why of [/line 1 is not name:hash:limits/, /holds no token/, /ENOENT/, /not a file/])
    assert.ok(
      log.lines.some(({ reason }) => why.test(String(reason))),
      String(why),
    );
});

for (const [what, make, says] of [
  ['missing', () => {}, /ENOENT/],
  ['unreadable', (path) => mkdirSync(path), /it is not a file/],
  ['nonsense', (path) => writeFileSync(path, 'one two three\n'), /line 1 is not name:hash:limits/],
  ['empty', (path) => writeFileSync(path, ''), /holds no token/],
] as const satisfies readonly (readonly [string, (path: string) => void, RegExp])[]) {
  test(`a file of tokens that is ${what} at the start is an error that names the setting`, async (context) => {
    const path = join(temporaryDirectory(context), 'tokens');
    make(path);
    const settings = serverSettings(context, { p2p_feed_tokens_file: path, p2p_notification_servers: 1 });
    await assert.rejects(startServer(context, settings), (error: Error) => {
      assert.ok(error instanceof ConfigurationError, String(error));
      assert.match(error.message, /p2p_feed_tokens_file: /);
      assert.match(error.message, says);
      return true;
    });
  });
}

test('a token is in no log, trace, metric or file, wherever it came and whatever became of it', async (context) => {
  const path = join(temporaryDirectory(context), 'tokens');
  write(path, line('one', SECRET, 'kinds=block,node_status'));
  const collector = await startCollector(context);
  const run = launchServer(context, {
    env: collector.env,
    set: { p2p_feed_tokens_file: path, logLevel: 'trace', p2p_notification_servers: '1' },
  });
  const { ports } = await run.ready();
  const host = `127.0.0.1:${ports.http}`;
  for (const query of [
    `token=${SECRET}`,
    `token=${OTHER}`,
    `token=${SECRET}&kinds=subtree`,
    `token=${SECRET}&token=${SECRET}`,
    `token=${SECRET}%00`,
    `kinds=${SECRET}`,
    `${SECRET}=1`,
  ]) {
    await upgradeStatus(`ws://${host}/p2p-ws?${query}`);
    await upgradeStatus(`ws://${host}/p2p-ws?${query}`, { origin: `http://${host}` });
    for (const target of [
      '/events',
      '/api/v1/events',
      '/api/v1/segments',
      '/api/v1/segments/0123456789abcdef/1',
      '/nowhere',
      '/',
    ]) {
      const answer = await fetch(`http://${host}${target}?${query}`, {
        headers: { authorization: `Bearer ${OTHER}` },
      });
      await answer.body?.cancel();
    }
  }
  const metrics = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  assert.match(metrics, /^teranode_p2p_feed_tokens 1$/m);
  run.child.kill('SIGTERM');
  await within(run.exit, 60_000, 'the end');
  assert.ok(collector.bodies.length > 0, 'something was traced');
  const written = [
    run.stdout,
    run.stderr,
    metrics,
    ...collector.bodies.map(String),
    ...readdirSync(run.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')),
  ];
  for (const secret of [SECRET, OTHER]) assert.ok(!written.some((text) => text.includes(secret)), secret);
});

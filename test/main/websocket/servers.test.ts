import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { generate } from 'selfsigned';
import { createNotificationsMetrics, NotificationServers } from '../../../src/main/websocket/index.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { keptLog } from '../../support/logger.js';
import { listen, metricSum, serveNotifications, TRANSPORTS, takenPort } from '../../support/notifications.js';
import { fingerprint, RotatingFiles, shownAt } from '../../support/rotating-files.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

function build(t: TestContext, changes: SettingChanges) {
  const { logger } = keptLog();
  logger.level = 'silent';
  const servers = new NotificationServers(
    {
      settings: settingsOf({ p2p_httpListenAddress: '127.0.0.1:0', ...changes }),
      logger,
      metrics: createNotificationsMetrics(new Registry()),
    },
    { frameSocketPath: join(temporaryDirectory(t), 'none.sock'), peerId: 'me', baseUrl: '' },
  );
  t.after(() => servers.stop());
  return servers;
}

const problemsOf = (error: unknown): string =>
  error instanceof ConfigurationError ? error.problems.join('\n') : `not a ConfigurationError: ${error}`;

async function certificate(name: string) {
  return generate([{ name: 'commonName', value: name }], { keySize: 2048 });
}

describe('notification servers', () => {
  it('starts another for one that is killed, gives back its places, and clients return', async (t) => {
    const { feed, url, servers, registry } = await serveNotifications(t, {
      p2p_websocket_max_connections: 8,
    });
    const listeners = await Promise.all(Array.from({ length: 8 }, () => listen(t, url)));
    const [victim, survivor] = servers.pids;
    process.kill(Number(victim), 'SIGKILL');
    await waitFor(() => servers.serving === 1, { what: 'the death to be noticed' });
    await waitFor(() => servers.connections === listeners.filter((each) => each.code === undefined).length, {
      what: 'places given back',
    });
    await waitFor(() => servers.serving === 2, { what: 'another process' });
    assert.ok(servers.pids.includes(Number(survivor)) && !servers.pids.includes(Number(victim)));
    const gone = listeners.filter((each) => each.code !== undefined);
    const back = await Promise.all(gone.map(() => listen(t, url)));
    await waitFor(async () => (await servers.health()).message.includes(' 2 hear'), { what: 'the stream' });
    await waitFor(() => back.every((each) => each.frames.length > 0), { what: 'greetings' });
    const last = feed.blocks(10);
    const all = [...listeners.filter((each) => each.code === undefined), ...back];
    await waitFor(() => all.every((each) => each.heights().at(-1) === last), { what: 'blocks' });
    assert.match(await registry.metrics(), /teranode_p2p_notification_server_restarts_total 1/);
    assert.equal((await servers.health()).status, 200);
  });

  it('greets from its first moment with what others had, while the publisher is away', async (t) => {
    const { feed, url, servers } = await serveNotifications(t);
    feed.status({ best_height: 7 });
    await waitFor(async () => (await listen(t, url)).frames[0]?.best_height === 7, {
      what: 'the newest status',
    });
    await feed.stop();
    await waitFor(async () => (await servers.health()).message.includes(' 0 hear'), { what: 'the break' });
    const before = servers.pids;
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await waitFor(() => servers.serving === 2 && servers.pids.every((pid) => !before.includes(pid)), {
      what: 'other processes',
      timeoutMs: 20_000,
    });
    const late = await Promise.all(Array.from({ length: 6 }, () => listen(t, url)));
    for (const { frames } of late)
      assert.deepEqual([frames[0]?.type, frames[0]?.best_height], ['node_status', 7]);
    await feed.start();
    feed.status({ best_height: 8 });
    await waitFor(() => late.every(({ frames }) => frames.at(-1)?.best_height === 8), {
      what: 'what follows',
      timeoutMs: 20_000,
    });
    assert.deepEqual(new Set(late.map(({ code }) => code)), new Set([undefined]));
  });

  it('kills one that no longer answers and starts another, while the rest serve on', async (t) => {
    const { feed, url, servers, registry } = await serveNotifications(t, {}, { beatMs: 500 });
    const listeners = await Promise.all(Array.from({ length: 8 }, () => listen(t, url)));
    const [victim, survivor] = servers.pids;
    process.kill(Number(victim), 'SIGSTOP');
    await waitFor(() => servers.serving === 1, { what: 'the hang to be noticed', timeoutMs: 20_000 });
    assert.throws(() => process.kill(Number(victim), 0), /ESRCH/);
    await waitFor(() => servers.serving === 2, { what: 'another process', timeoutMs: 20_000 });
    assert.ok(servers.pids.includes(Number(survivor)) && !servers.pids.includes(Number(victim)));
    const kept = () => listeners.filter((each) => each.code === undefined);
    await waitFor(() => servers.connections === kept().length, { what: 'places given back' });
    const last = feed.blocks(10);
    await waitFor(() => kept().every((each) => each.heights().at(-1) === last), { what: 'blocks' });
    const figures = await registry.metrics();
    assert.match(figures, /teranode_p2p_notification_server_hangs_total 1/);
    assert.match(figures, /teranode_p2p_notification_server_restarts_total 1/);
  });

  it('reports figures of every process, and takes another log level', async (t) => {
    const { url, servers, feed } = await serveNotifications(t);
    const listener = await listen(t, url);
    const last = feed.blocks(3);
    await waitFor(() => listener.heights().at(-1) === last, { what: 'blocks' });
    servers.setLevel('silent');
    assert.equal(servers.metricSources.length, 2);
    for (const [name, sum] of [
      ['teranode_p2p_websocket_clients', 1],
      ['teranode_p2p_websocket_deliveries_total', 3],
    ] as const) {
      await waitFor(async () => (await metricSum(servers, name)) === sum, { what: `${name} of ${sum}` });
    }
  });

  it('refuses a taken port, naming setting and port', async (t) => {
    const port = await takenPort(t);
    await assert.rejects(build(t, { p2p_httpListenAddress: `127.0.0.1:${port}` }).start(), (error) =>
      new RegExp(`^p2p_httpListenAddress: cannot listen on port ${port} .*taken`).test(problemsOf(error)),
    );
  });

  it('takes a port for 0, or says why none is to be had as the setting has it', async (t) => {
    const servers = build(t, { p2p_httpListenAddress: '127.0.0.1:0', p2p_notification_servers: 2 });
    await servers.start();
    assert.equal((await fetch(`http://127.0.0.1:${servers.port}/health`)).status, 200);
    await assert.rejects(build(t, { p2p_httpListenAddress: '192.0.2.1:0' }).start(), (error) =>
      /^p2p_httpListenAddress: cannot listen on port 0 of 192\.0\.2\.1: .*EADDRNOTAVAIL/.test(
        problemsOf(error),
      ),
    );
  });

  it('refuses a second set on the port of a first', async (t) => {
    const { servers } = await serveNotifications(t, { p2p_notification_servers: 1 });
    await assert.rejects(build(t, { p2p_httpListenAddress: `127.0.0.1:${servers.port}` }).start(), (error) =>
      problemsOf(error).includes(`port ${servers.port}`),
    );
  });

  it('names every bad setting at once', async (t) => {
    const directory = temporaryDirectory(t);
    const pems = [await certificate('one'), await certificate('two')];
    const path = (name: string, text: string) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const cert = path('cert.pem', String(pems[0]?.cert));
    const key = path('key.pem', String(pems[0]?.private));
    const otherKey = path('other.pem', String(pems[1]?.private));
    const junk = path('junk.pem', 'junk');
    const problems = (changes: SettingChanges) => {
      try {
        build(t, { securityLevelHTTP: 1, server_certFile: cert, server_keyFile: key, ...changes });
        return '';
      } catch (error) {
        return problemsOf(error);
      }
    };
    assert.equal(problems({}), '');
    assert.match(problems({ server_certFile: '' }), /^server_certFile: needed/);
    assert.match(
      problems({ server_keyFile: join(directory, 'none') }),
      /^server_keyFile: .*cannot be read.*ENOENT/,
    );
    assert.match(problems({ server_certFile: junk }), /^server_certFile: .*not a PEM certificate/);
    assert.match(problems({ server_keyFile: junk }), /^server_keyFile: .*not a PEM key/);
    assert.match(problems({ server_keyFile: otherKey }), /^server_keyFile: .*does not belong to/);
    assert.match(problems({ server_certFile: directory }), /^server_certFile: .*cannot be read/);
    const all = problems({
      server_certFile: '',
      server_keyFile: junk,
    });
    assert.match(all, /^server_keyFile: .*not a PEM key/m);
    assert.equal(all.split('\n').length, 2);
    if (process.getuid?.() !== 0) {
      chmodSync(key, 0o000);
      assert.match(problems({}), /server_keyFile: .*EACCES/);
    }
  });
});

for (const transport of TRANSPORTS)
  describe(`notification servers on ${transport}`, () => {
    it('ends clients with 1001 and leaves no process', async (t) => {
      const { url, servers } = await serveNotifications(t, { p2p_websocket_transport: transport });
      const listeners = await Promise.all(Array.from({ length: 6 }, () => listen(t, url)));
      const pids = servers.pids;
      await servers.stop();
      await waitFor(() => listeners.every((each) => each.code !== undefined), { what: 'closes' });
      assert.deepEqual(new Set(listeners.map((each) => each.code)), new Set([1001]));
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
      assert.equal(servers.serving, 0);
    });

    it('takes a changed certificate, written over the old or behind a moved link, without losing clients, and keeps the old one when the new is bad', async (t) => {
      const files = new RotatingFiles(t);
      const [first, second, third] = [await files.make(), await files.make(), await files.make()] as const;
      files.swap(first);
      const { feed, servers } = await serveNotifications(t, {
        p2p_websocket_transport: transport,
        securityLevelHTTP: 1,
        server_certFile: files.certFile,
        server_keyFile: files.keyFile,
      });
      const url = `wss://localhost:${servers.port}/p2p-ws`;
      const options = { rejectUnauthorized: false };
      const before = await listen(t, url.replace('localhost', '127.0.0.1'), options);
      const shown = () => shownAt(servers.port, 'http/1.1');
      assert.equal(await shown(), fingerprint(first));

      writeFileSync(files.keyFile, 'junk');
      const outcomes = () => metricSum(servers, 'teranode_p2p_websocket_certificate_reloads_total');
      await waitFor(async () => (await outcomes()) === servers.serving, {
        what: 'every process to refuse junk',
      });
      assert.equal(await shown(), fingerprint(first));

      files.overwrite(second);
      await waitFor(async () => (await outcomes()) === 2 * servers.serving, {
        what: 'every process to take the new one',
      });
      for (let count = 0; count < 6; count++) assert.equal(await shown(), fingerprint(second));
      files.swap(third);
      await waitFor(async () => (await outcomes()) === 3 * servers.serving, {
        what: 'every process to take the one behind the link',
      });
      for (let count = 0; count < 6; count++) assert.equal(await shown(), fingerprint(third));
      const after = await listen(t, url.replace('localhost', '127.0.0.1'), options);
      const last = feed.blocks(10);
      await waitFor(() => [before, after].every((each) => each.heights().at(-1) === last), {
        what: 'blocks',
      });
      assert.equal(before.code, undefined);
    });
  });

/** The settings of `docs/operations.md` for nginx, HAProxy and Caddy, in those programs. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Settings } from '../../src/shared/settings/table.js';
import { listenToEvents } from '../support/event-stream.js';
import { pageOf } from '../support/history-pages.js';
import { listen, serveNotifications, TRANSPORTS, upgradeStatus } from '../support/notifications.js';
import { freePorts } from '../support/ports.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { run, serverFigures, statsFrontend } from './program.js';

const DOCS = readFileSync('docs/operations.md', 'utf8');

/** The block of a program, with ports of this test in place of the documented ones. */
function block(program: string, listenPort: number, serverPort: number): string {
  const [, text] = new RegExp(`\`\`\`${program}\\n([\\s\\S]*?)\`\`\``).exec(DOCS) ?? [];
  assert.ok(text !== undefined, `no block for ${program}`);
  return text
    .replaceAll('127.0.0.1:9906', `127.0.0.1:${serverPort}`)
    .replace('listen 80;', `listen 127.0.0.1:${listenPort};`)
    .replace('bind :80', `bind 127.0.0.1:${listenPort}`)
    .replace('http://:80', `http://127.0.0.1:${listenPort}`);
}

/** With these blocks inside `http { }`. */
function runNginx(t: TestContext, directory: string, blocks: string): void {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (each) => `${each}_temp_path ${join(directory, each)};`,
  );
  const file = join(directory, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${join(directory, 'pid')}; error_log stderr; events {}\n` +
      `http { access_log off; ${paths.join(' ')}\n${blocks}}\n`,
  );
  run(t, 'nginx', ['-p', directory, '-c', file, '-e', 'stderr'], directory);
}

type Start = (t: TestContext, listenPort: number, serverPort: number) => void;

const PROGRAMS: Readonly<Record<string, Start>> = {
  nginx(t, listenPort, serverPort) {
    runNginx(t, temporaryDirectory(t), block('nginx', listenPort, serverPort));
  },
  haproxy(t, listenPort, serverPort) {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'haproxy.cfg');
    writeFileSync(file, block('haproxy', listenPort, serverPort));
    run(t, 'haproxy', ['-db', '-f', file], directory);
  },
  caddy(t, listenPort, serverPort) {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'Caddyfile');
    writeFileSync(file, `{\n admin off\n}\n${block('caddy', listenPort, serverPort)}`);
    run(t, 'caddy', ['run', '--config', file, '--adapter', 'caddyfile'], directory);
  },
};

for (const [name, start] of Object.entries(PROGRAMS))
  for (const transport of TRANSPORTS) {
    it(`page, status and feed are there, and each client has the share of its own address, behind ${name}: ${transport}`, async (t) => {
      const { feed, servers } = await serveNotifications(t, {
        p2p_websocket_max_connections: 100,
        p2p_websocket_trusted_source_cidrs: ['none'],
        p2p_websocket_trusted_proxies: ['127.0.0.1'],
        p2p_websocket_allowed_origins: ['https://elsewhere.example'],
        p2p_notification_servers: 1,
        p2p_websocket_transport: transport,
      });
      const [port = 0] = await freePorts(1);
      start(t, port, servers.port);
      const http = `http://127.0.0.1:${port}`;
      await waitFor(async () => (await fetch(`${http}/health`).catch(() => undefined))?.status === 200, {
        what: `${name} to pass on`,
        timeoutMs: 20_000,
      });
      // Checks, and everything else, find it up for longer than it takes to mark a server down.
      for (let count = 0; count < 20; count++) {
        assert.equal((await fetch(`${http}/health`)).status, 200);
        await (await fetch(`${http}/app.js`)).text();
      }
      assert.equal((await fetch(`${http}/app.js`, { method: 'HEAD' })).status, 200);
      assert.match(await (await fetch(`${http}/`)).text(), /<title>/);
      const url = `ws://127.0.0.1:${port}/p2p-ws`;
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => listen(t, url, { localAddress: '127.0.0.5', origin: http })),
      );
      const last = feed.blocks(20);
      await waitFor(() => clients.every((each) => each.heights().at(-1) === last), { what: 'blocks' });
      // The fifth is the last that has a place.
      clients.push(await listen(t, url, { localAddress: '127.0.0.5' }));
      await waitFor(() => servers.connections === 5, { what: 'five places counted' });
      assert.equal(await upgradeStatus(url, { localAddress: '127.0.0.5' }), 503);
      assert.equal(await upgradeStatus(url, { localAddress: '127.0.0.6' }), 101);
      assert.equal(
        await upgradeStatus(url, { localAddress: '127.0.0.6', origin: 'https://evil.example' }),
        403,
      );
      // Each event as it comes: the next one is there only when this one was heard.
      const stream = await listenToEvents(t, `${http}/events?kinds=block`);
      for (let count = 0; count < 3; count++) {
        const next = feed.blocks(1);
        await waitFor(() => stream.heights().at(-1) === next, { what: 'an event' });
      }
      await waitFor(() => stream.parser.comments > 1, {
        what: 'comments that keep the stream',
        timeoutMs: 60_000,
      });
      const page = await pageOf(http, 'order=desc&limit=1');
      assert.equal(page.events[0]?.height, stream.heights().at(-1));
    });
  }

/** Where a proxy's own check finds the server up: what `auto` takes once the proxy is named, and `ws`. */
const TAKES_ANY_CHECK: readonly Settings['p2p_websocket_transport'][] = ['auto', 'ws'];
const NAMED = { p2p_websocket_trusted_proxies: ['127.0.0.1'], p2p_notification_servers: 1 };

/** HAProxy's own check, which is OPTIONS in HTTP/1.0, and the documented one. */
const CHECKS = { 'as it comes': /\n.*http-check.*/, 'as documented': /$^/ };

for (const [check, omitted] of Object.entries(CHECKS))
  for (const transport of check === 'as it comes' ? TAKES_ANY_CHECK : (['auto', ...TRANSPORTS] as const)) {
    it(`is up by HAProxy’s check ${check}: ${transport}`, async (t) => {
      const { servers } = await serveNotifications(t, { ...NAMED, p2p_websocket_transport: transport });
      const down = createServer((_request, response) => response.writeHead(500).end());
      await new Promise<void>((resolve) => down.listen(0, '127.0.0.1', () => resolve()));
      t.after(() => down.close());
      const [port = 0] = await freePorts(1);
      const directory = temporaryDirectory(t);
      const file = join(directory, 'haproxy.cfg');
      const other = `    server down 127.0.0.1:${(down.address() as AddressInfo).port} check inter 200 fall 1\n    timeout check 5s\n`;
      // The other server, whose check fails, shows that checks are made.
      const text = block('haproxy', port, servers.port)
        .replace(omitted, '')
        .replace(/ check\n/, ' check inter 200 fall 1\n');
      const [stats = 0] = await freePorts(1);
      writeFileSync(file, text + other + statsFrontend(stats));
      run(t, 'haproxy', ['-db', '-f', file], directory);
      const figure = async (server: string, name: string) =>
        (await serverFigures(stats, 'teranode_p2p', server).catch(() => undefined))?.[name];
      await waitFor(async () => (await figure('down', 'status')) === 'DOWN', {
        what: 'the checks to be made',
      });
      // One answer may come too late on a busy machine, and only the second after it counts.
      const isUp = async () =>
        (await figure('node1', 'status')) === 'UP' && (await figure('node1', 'check_status')) === 'L7OK';
      await waitFor(isUp, { what: 'the check to be answered well' });
    });
  }

for (const transport of TAKES_ANY_CHECK) {
  it(`is reached through nginx as it speaks unless told otherwise, in HTTP/1.0: ${transport}`, async (t) => {
    const { servers } = await serveNotifications(t, { ...NAMED, p2p_websocket_transport: transport });
    const [port = 0] = await freePorts(1);
    const backup = createServer((_request, response) => response.end('backup'));
    await new Promise<void>((resolve) => backup.listen(0, '127.0.0.1', () => resolve()));
    t.after(() => backup.close());
    const directory = temporaryDirectory(t);
    // One failed answer marks a server down, as nginx's own check has it.
    const upstream = `upstream feed { server 127.0.0.1:${servers.port} max_fails=1 fail_timeout=60s; server 127.0.0.1:${(backup.address() as AddressInfo).port} backup; }`;
    const site = `server { listen 127.0.0.1:${port}; location / { proxy_pass http://feed; proxy_next_upstream error timeout invalid_header http_502 http_503 http_504; proxy_read_timeout 5s; } }`;
    runNginx(t, directory, `${upstream}\n${site}`);
    const http = `http://127.0.0.1:${port}`;
    await waitFor(() => fetch(`${http}/health`).catch(() => undefined), {
      what: 'nginx to pass on',
      timeoutMs: 20_000,
    });
    for (let count = 0; count < 5; count++) {
      const response = await fetch(`${http}/health`);
      assert.deepEqual([response.status, await response.text()], [200, 'OK']);
    }
    assert.equal((await fetch(`${http}/app.js`, { method: 'HEAD' })).status, 200);
    assert.match(await (await fetch(`${http}/`)).text(), /<title>/);
  });

  it(`is up by Caddy’s check: ${transport}`, async (t) => {
    const { servers } = await serveNotifications(t, { ...NAMED, p2p_websocket_transport: transport });
    const [port = 0] = await freePorts(1);
    const directory = temporaryDirectory(t);
    const file = join(directory, 'Caddyfile');
    const checked = 'reverse_proxy 127.0.0.1:9906 {\n health_uri /health\n health_interval 200ms\n }';
    const text = block('caddy', port, servers.port).replace(
      `reverse_proxy 127.0.0.1:${servers.port}`,
      checked.replace('9906', String(servers.port)),
    );
    writeFileSync(file, `{\n admin off\n}\n${text}`);
    run(t, 'caddy', ['run', '--config', file, '--adapter', 'caddyfile'], directory);
    const health = () => fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    await waitFor(async () => (await health())?.status === 200, {
      what: 'Caddy to pass on',
      timeoutMs: 20_000,
    });
    // Five rounds of checks, none of which fails: 503 would be Caddy's own word for a server that is down.
    for (const end = performance.now() + 1000; performance.now() < end; )
      assert.equal((await health())?.status, 200);
  });
}

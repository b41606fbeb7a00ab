import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { nodeCommand } from '../../../src/shared/ipc/node-command.js';
import { chooseTransport } from '../../../src/workers/websocket-server/transport/index.js';
import { reusesPorts } from '../../../src/workers/websocket-server/transport/ws.js';
import { listen, serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const UWS = /^(uWebSockets\.js|uwebsockets-compat) 20\.\d+/;
const WS = /^ws 8\.\d+/;
const loads = TRANSPORTS.includes('uws');
/** The build that says nothing to what it does not take is left to those who ask for it. */
const AUTO = loads && chooseTransport('uws', []).build.startsWith('uWebSockets.js') ? UWS : WS;

describe('what serves WebSockets', () => {
  it('is uWebSockets.js where a build of it loads that answers at once, else `ws`; `ws` behind proxies', () => {
    assert.match(chooseTransport('auto', []).build, AUTO);
    assert.match(chooseTransport('auto', ['10.0.0.0/8']).build, WS);
    if (loads) assert.match(chooseTransport('uws', ['10.0.0.0/8']).build, UWS);
  });

  it('is what the setting says, named with its version; where no native build loads that says why', () => {
    assert.match(chooseTransport('ws', []).build, WS);
    if (loads) assert.match(chooseTransport('uws', []).build, UWS);
    else
      assert.throws(
        () => chooseTransport('uws', []),
        (error) =>
          error instanceof ConfigurationError &&
          /^p2p_websocket_transport: no native build .*Node \d+.*uWebSockets\.js: /.test(
            error.problems[0] ?? '',
          ),
      );
  });

  it('is not led elsewhere by the environment', (t) => {
    process.env.UWS_USE_FALLBACK = 'true';
    t.after(() => {
      delete process.env.UWS_USE_FALLBACK;
    });
    if (loads) assert.match(chooseTransport('uws', []).build, UWS);
    assert.match(chooseTransport('auto', []).build, AUTO);
  });

  for (const transport of TRANSPORTS) {
    it(`is told by readiness and metrics: ${transport}`, async (t) => {
      const { servers, registry } = await serveNotifications(t, { p2p_websocket_transport: transport });
      const name = transport === 'ws' ? 'ws 8' : 'uW\\S+ 20';
      assert.match((await servers.health()).message, new RegExp(`through ${name}\\.`, 'i'));
      assert.match(
        await registry.metrics(),
        new RegExp(`websocket_transport_info\\{build="${name}[^"]*"\\} 1`, 'i'),
      );
    });
  }

  it('shares the port between processes with `ws` where Node can, and else serves from one', async (t) => {
    const { url, feed, servers } = await serveNotifications(t, {
      p2p_websocket_transport: 'ws',
      p2p_notification_servers: 3,
    });
    assert.equal(servers.serving, reusesPorts() ? 3 : 1);
    assert.equal(servers.pids.length, servers.serving);
    assert.equal((await servers.health()).status, 200);
    const listeners = await Promise.all(Array.from({ length: 20 }, () => listen(t, url)));
    const last = feed.blocks(5);
    await waitFor(() => listeners.every((each) => each.heights().at(-1) === last), { what: 'blocks' });
  });

  it('counts each connection out that it has counted in, those too that are reset before they are accepted', async (t) => {
    const counts = { connected: 0, disconnected: 0 };
    const unused = (): never => assert.fail('not asked');
    const listener = chooseTransport('ws', []).listener(
      { tls: undefined, endpoint: '/p2p-ws', maxMessageBytes: 1024, idleSeconds: 120 },
      {
        connected: () => ++counts.connected > 0,
        disconnected: () => {
          counts.disconnected++;
        },
        request: unused,
        upgrade: unused,
        open: unused,
        abandoned: unused,
        message: unused,
        ping: unused,
        pong: unused,
        drain: unused,
        close: unused,
      },
    );
    t.after(() => listener.close());
    const port = await listener.listen('127.0.0.1', 0);
    // Meanwhile this process stands still, so they wait to be accepted.
    const [node, ...args] = nodeCommand();
    execFileSync(node, [
      ...args,
      '-e',
      `for (let i = 0; i < 100; i++) { const s = require('node:net').connect(${port}, '127.0.0.1', () => s.resetAndDestroy()); }`,
    ]);
    await waitFor(() => counts.connected === 100, { what: 'all to have come' });
    await waitFor(() => counts.disconnected === 100, { what: 'all to have gone' });
  });

  it('knows which versions of Node share ports, on which systems', () => {
    for (const version of ['22.12.0', '22.21.1', '23.1.0', '24.0.0', '26.1.0'])
      assert.ok(reusesPorts(version, 'linux'));
    for (const version of ['20.12.0', '20.20.2', '22.11.0', '23.0.0'])
      assert.ok(!reusesPorts(version, 'linux'));
    for (const platform of ['darwin', 'win32']) assert.ok(!reusesPorts('24.0.0', platform));
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { TrustedProxies } from '../../../src/workers/websocket-server/proxies.js';
import { serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const request = (address: string, headers: Record<string, string | string[]>) => ({
  method: 'GET',
  path: '/',
  query: '',
  address,
  headers: Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  ),
});

describe('the client behind proxies', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '2001:db8:1::/64']);
  const clientOf = (address: string, headers: Record<string, string | string[]> = {}) =>
    proxies.clientOf(request(address, headers));

  it('is the rightmost forwarded address that is no trusted proxy', () => {
    assert.equal(clientOf('10.0.0.1', { 'x-forwarded-for': '203.0.113.7' }), '203.0.113.7');
    assert.equal(
      clientOf('10.0.0.1', { 'x-forwarded-for': '198.51.100.1, 203.0.113.7, 10.9.9.9' }),
      '203.0.113.7',
    );
    assert.equal(
      clientOf('10.0.0.1', { 'x-forwarded-for': ['198.51.100.1', '203.0.113.7,10.2.0.1'] }),
      '203.0.113.7',
    );
    assert.equal(clientOf('2001:db8:1::5', { 'x-forwarded-for': '2001:DB8:0::1' }), '2001:db8::1');
    assert.equal(clientOf('10.0.0.1', { 'x-forwarded-for': '203.0.113.7:4711' }), '203.0.113.7');
    assert.equal(clientOf('10.0.0.1', { 'x-forwarded-for': '[2001:db8::2]:4711' }), '2001:db8::2');
    assert.equal(clientOf('10.0.0.1', { 'x-forwarded-for': '10.0.0.3, 10.0.0.2' }), '10.0.0.3');
  });

  it('is told by Forwarded where there is no X-Forwarded-For', () => {
    assert.equal(
      clientOf('10.0.0.1', { forwarded: 'for=192.0.2.43, for="[2001:db8:cafe::17]:4711";proto=https' }),
      '2001:db8:cafe::17',
    );
    assert.equal(clientOf('10.0.0.1', { forwarded: 'by=10.0.0.1;For=192.0.2.60;proto=http' }), '192.0.2.60');
    assert.equal(
      clientOf('10.0.0.1', { forwarded: 'for=192.0.2.60', 'x-forwarded-for': '203.0.113.7' }),
      '203.0.113.7',
    );
  });

  it('is the connection itself, or the last proxy, where nobody trusted says another', () => {
    assert.equal(clientOf('203.0.113.9', { 'x-forwarded-for': '198.51.100.1' }), '203.0.113.9');
    assert.equal(clientOf('10.0.0.1'), '10.0.0.1');
    for (const hop of ['unknown', '_hidden', '', '300.1.1.1', 'x'.repeat(10_000)])
      assert.equal(clientOf('10.0.0.1', { 'x-forwarded-for': `198.51.100.1, ${hop}` }), '10.0.0.1', hop);
    assert.equal(clientOf('10.0.0.1', { forwarded: 'proto=https' }), '10.0.0.1');
  });
});

for (const transport of TRANSPORTS)
  describe(`behind a proxy on ${transport}`, () => {
    it('each client has the share of its own address, and who is no proxy cannot borrow another’s', async (t) => {
      const { url, servers } = await serveNotifications(t, {
        p2p_websocket_transport: transport,
        p2p_notification_servers: 1,
        p2p_websocket_max_connections: 100,
        p2p_websocket_trusted_source_cidrs: ['none'],
        p2p_websocket_trusted_proxies: ['127.0.0.1'],
      });
      const come = async (client: string, localAddress = '127.0.0.1') => {
        const socket = new WebSocket(url, { localAddress, headers: { 'X-Forwarded-For': client } });
        t.after(() => socket.terminate());
        socket.on('error', () => {});
        return new Promise<number>((resolve) => {
          socket.once('message', () => resolve(101));
          socket.once('close', resolve);
          socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
        });
      };
      for (let count = 0; count < 5; count++) assert.equal(await come('203.0.113.7'), 101);
      assert.equal(await come('203.0.113.7'), 503);
      // What a client wrote itself stands left of what the proxy appends.
      assert.equal(await come('198.51.100.9, 203.0.113.7'), 503);
      assert.equal(await come('203.0.113.8'), 101);
      assert.equal(await come('203.0.113.7', '127.0.0.2'), 101, 'no proxy: its word is not heard');
      await waitFor(() => servers.connections === 7, { what: 'seven places counted' });
    });
  });

/** What the WebSocket port says to requests, as the standards have it: RFC 9110, 9112 and, for handshakes, RFC 6455. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { generate } from 'selfsigned';
import { listen, serveNotifications, TRANSPORTS, upgradeStatus } from '../../support/notifications.js';
import type { SettingChanges } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

interface Raw {
  readonly socket: Socket;
  readonly text: () => string;
  ended: boolean;
}

/** Sends bytes and keeps what comes back. */
async function say(
  context: Pick<TestContext, 'after'>,
  port: number,
  text: string | Buffer,
  localAddress = '127.0.0.1',
): Promise<Raw> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  const raw: Raw = { socket, text: () => Buffer.concat(chunks).toString('latin1'), ended: false };
  socket.on('data', (chunk) => chunks.push(chunk));
  for (const event of ['end', 'close']) socket.on(event, () => (raw.ended = true));
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(text);
  return raw;
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The whole answer to one request on a connection of its own. */
async function ask(context: Pick<TestContext, 'after'>, port: number, text: string): Promise<Answer> {
  const raw = await say(context, port, text);
  await waitFor(() => raw.ended || raw.text().startsWith('HTTP/1.1 101'), {
    what: `the end of the answer to ${JSON.stringify(text.slice(0, 60))}`,
  });
  raw.socket.destroy();
  const [head = '', ...bodies] = raw.text().split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  );
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0),
    headers,
    body: bodies.join('\r\n\r\n'),
  };
}

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => `X-Header-${index}: value\r\n`).join('');
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const UPGRADE = 'Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n';
const VERSION = 'Sec-WebSocket-Version: 13\r\n';

for (const transport of TRANSPORTS)
  describe(`HTTP on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(t, { p2p_websocket_transport: transport, ...changes }, options);

    it('answers HEAD as GET without a body, 405 with Allow to other methods, 404 to what there is not', async (t) => {
      const { servers } = await serve(t);
      const request = (line: string) =>
        ask(t, servers.port, `${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
      const got = await request('GET /app.js');
      const head = await request('HEAD /app.js');
      assert.deepEqual([got.status, head.status, head.body], [200, 200, '']);
      assert.equal(head.headers.get('content-type'), got.headers.get('content-type'));
      assert.equal(got.headers.get('connection'), 'close');
      assert.equal(Number(got.headers.get('content-length')), Buffer.byteLength(got.body, 'latin1'));
      assert.equal(head.headers.get('content-length'), got.headers.get('content-length'));
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const refused = await request(`${method} /health`);
        assert.equal(refused.status, 405, method);
        assert.deepEqual(refused.headers.get('allow')?.split(', '), ['GET', 'HEAD', 'OPTIONS']);
      }
      const options = await request('OPTIONS /health');
      assert.deepEqual([options.status, options.headers.get('allow')], [200, 'GET, HEAD, OPTIONS']);
      assert.equal((await request('GET /nothing')).status, 404);
      assert.equal((await request('HEAD /nothing')).status, 404);
    });

    it('answers what is no request at once, and whose length is in doubt with 400', async (t) => {
      const { servers, http, url } = await serve(t);
      for (const text of [
        'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
        'GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
        `GET /p2p-ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 1\r\n${UPGRADE}${KEY}${VERSION}\r\nx`,
      ])
        assert.equal((await ask(t, servers.port, text)).status, 400, text);
      assert.equal((await fetch(`${http}/health`)).status, 200);
      await listen(t, url);
    });

    it('upgrades nothing but an opening handshake', async (t) => {
      const { servers } = await serve(t);
      const request = (headers: string, line = 'GET /p2p-ws HTTP/1.1') =>
        ask(t, servers.port, `${line}\r\nHost: x\r\n${headers}\r\n`);
      const accepted = await request(`${UPGRADE}${KEY}${VERSION}`);
      assert.equal(accepted.status, 101);
      // The example of RFC 6455, section 1.3.
      assert.equal(accepted.headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
      for (const [query, status] of [
        ['cursor=now', 101],
        ['cursor=1', 400],
      ] as const)
        assert.equal(
          (await request(`${UPGRADE}${KEY}${VERSION}`, `GET /p2p-ws?${query} HTTP/1.1`)).status,
          status,
        );
      for (const version of ['', 'Sec-WebSocket-Version: 8\r\n', 'Sec-WebSocket-Version: 12\r\n']) {
        const refused = await request(`${UPGRADE}${KEY}${version}`);
        assert.deepEqual(
          [refused.status, refused.headers.get('sec-websocket-version')],
          [426, '13'],
          version,
        );
      }
      for (const headers of [
        `${KEY}${VERSION}`,
        `Connection: Upgrade\r\n${KEY}${VERSION}`,
        `Upgrade: websocket\r\n${KEY}${VERSION}`,
        `Upgrade: h2c\r\nConnection: Upgrade\r\n${KEY}${VERSION}`,
      ])
        assert.equal((await request(headers)).status, 426, headers);
      const bad = await request(`${UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j????\r\n${VERSION}`);
      assert.equal(bad.status, 400);
      assert.equal((await request(`${UPGRADE}${KEY}${VERSION}`, 'POST /p2p-ws HTTP/1.1')).status, 405);
      assert.equal((await request(`${UPGRADE}${KEY}${VERSION}`, 'GET /health HTTP/1.1')).status, 200);
    });

    it('keeps no place for a handshake that comes to nothing', async (t) => {
      const { servers, url } = await serve(t, {
        p2p_notification_servers: 1,
        p2p_websocket_max_connections: 4,
      });
      const refused = [
        ['POST', `${UPGRADE}${KEY}${VERSION}`],
        ['GET', `${UPGRADE}${KEY}${VERSION}${VERSION}`],
        ['GET', `${UPGRADE}${KEY}${KEY}${VERSION}`],
        // RFC 6455, section 4.1: each protocol once.
        ['GET', `${UPGRADE}${KEY}${VERSION}Sec-WebSocket-Protocol: one, one\r\n`],
        ['GET', `${UPGRADE}${KEY}${VERSION}Sec-WebSocket-Protocol: ,\r\n`],
        ['GET', `Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n${KEY}${VERSION}`],
      ] as const;
      for (const [method, headers] of refused)
        for (let count = 0; count < 5; count++) {
          const text = `${method} /p2p-ws HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
          const { status } = await ask(t, servers.port, text);
          assert.ok([101, 400, 405, 426].includes(status), `${status} to ${text}`);
          await waitFor(() => servers.connections === 0, { what: `no place to be held after ${text}` });
        }
      await Promise.all(Array.from({ length: 4 }, () => listen(t, url)));
    });

    it('gives one connection one answer, however much it asks, and newcomers their frames meanwhile', async (t) => {
      const { servers, feed, url } = await serve(t);
      const one = 'GET /app.js HTTP/1.1\r\nHost: x\r\n\r\n';
      const flood = Buffer.from(one.repeat(Math.ceil((8 * 1024 * 1024) / one.length)));
      const flooders = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const flooder = await say(t, servers.port, '');
          flooder.socket.pause();
          flooder.socket.write(flood);
          return flooder;
        }),
      );
      const newcomers = await Promise.all(Array.from({ length: 4 }, () => listen(t, url)));
      const last = feed.blocks(5);
      await waitFor(() => newcomers.every((each) => each.heights().at(-1) === last), { what: 'blocks' });
      for (const { socket } of flooders) socket.resume();
      await waitFor(() => flooders.every(({ ended }) => ended), { what: 'the end of those who flood' });
      for (const { text } of flooders) {
        const answers = text().match(/HTTP\/1\.1 /g)?.length ?? 0;
        assert.ok(answers <= 2, `${answers} answers`);
      }
      assert.equal(servers.serving, servers.pids.length);
    });

    it('answers a source only so many requests at once, and others as before', async (t) => {
      const { servers, http, url } = await serve(t, {
        p2p_notification_servers: 1,
        p2p_websocket_max_connections: 10_000,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.1'],
      });
      const ended: Raw[] = [];
      const isRefused = (each: Raw) => each.text().startsWith('HTTP/1.1 429');
      // Fifty a second may come back meanwhile: a slow machine needs more rounds.
      for (let round = 0; round < 10 && !ended.some(isRefused); round++) {
        const some = await Promise.all(
          Array.from({ length: 400 }, () =>
            say(t, servers.port, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', '127.0.0.2'),
          ),
        );
        await waitFor(() => some.every((each) => each.ended), { what: 'answers' });
        ended.push(...some);
      }
      const answered = ended.filter((each) => each.text().startsWith('HTTP/1.1 200'));
      assert.ok(answered.length >= 200, `${answered.length} answered`);
      assert.ok(ended.some(isRefused));
      const statuses: number[] = [];
      for (let round = 0; round < 10 && !statuses.includes(429); round++)
        statuses.push(
          ...(await Promise.all(
            Array.from({ length: 400 }, () => upgradeStatus(url, { localAddress: '127.0.0.2' })),
          )),
        );
      assert.ok(statuses.includes(429), 'handshakes are requests');
      assert.equal((await fetch(`${http}/health`)).status, 200);
      await listen(t, url);
    });
  });

/** Where all of HTTP is answered: with `ws`, and so with `auto` behind a proxy. */
const WHOLE: Readonly<Record<string, SettingChanges>> = {
  ws: { p2p_websocket_transport: 'ws' },
  'auto, behind a proxy': { p2p_websocket_transport: 'auto', p2p_websocket_trusted_proxies: ['127.0.0.1'] },
};

for (const [name, settings] of Object.entries(WHOLE))
  it(`answers HTTP/1.0, any target form and a hundred headers; what it does not understand it refuses at once: ${name}`, async (t) => {
    const { servers } = await serveNotifications(t, settings);
    for (const [text, status] of [
      // What nginx and HAProxy send unless told otherwise.
      ['GET /health HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n', 200],
      ['OPTIONS / HTTP/1.0\r\n\r\n', 200],
      ['GET /health HTTP/1.0\r\n\r\n', 200],
      ['GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['GET http://user@x:80/health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['GET HTTP://X:9906/health HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['GET http://x?y=1 HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['GET http://x HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      [`GET /health HTTP/1.1\r\nHost: x\r\n${many(100)}\r\n`, 200],
      ['\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n', 200],
      ['GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n', 200],
      [`GET /p2p-ws HTTP/1.0\r\nHost: x\r\n${UPGRADE}${KEY}${VERSION}\r\n`, 426],
      ['GET /health HTTP/1.1\r\nAccept: */*\r\n\r\n', 400],
      [
        'POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        400,
      ],
      ['GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
      ['GET /health HTTP/3.7\r\nHost: x\r\n\r\n', 505],
      // Who speaks TLS to a plain port, or another protocol, waits for an answer without an empty line.
      ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
      ['SSH-2.0-OpenSSH_9.2\r\n', 400],
      ['GET /health\r\n', 400],
      ['GET  /health HTTP/1.1\r\nHost: x\r\n\r\n', 400],
      ['GET /health HTTP/1.1\r\nHost : x\r\n\r\n', 400],
      ['GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n', 400],
      // RFC 9110, section 9.1: methods are case-sensitive, and 501 is for those that the server does not know.
      ['get /health HTTP/1.1\r\nHost: x\r\n\r\n', 501],
      ['BREW /health HTTP/1.1\r\nHost: x\r\n\r\n', 501],
      [`GET /health HTTP/1.1\r\nHost: x\r\n${many(2000)}\r\n`, 431],
      ['GET /health HTTP/1.1\r\nHost: x\r\nExpect: the unexpected\r\n\r\n', 200],
      ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ] as const)
      assert.equal((await ask(t, servers.port, text)).status, status, text.slice(0, 200));
  });

it('leaves nobody who says a whole request without an answer, whatever `auto` takes', async (t) => {
  const { servers } = await serveNotifications(t, { p2p_websocket_transport: 'auto' });
  const refused = [400, 505];
  for (const [text, statuses] of [
    ['OPTIONS / HTTP/1.0\r\n\r\n', [200, ...refused]],
    ['GET /health HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n', [200, ...refused]],
    ['HEAD /health HTTP/1.0\r\n\r\n', [200, ...refused]],
    ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', [200, ...refused]],
    ['GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n', [200, ...refused]],
    ['GET /health HTTP/1.1\r\n\r\n', [400]],
    ['GET /health HTTP/1.1\r\nAccept: */*\r\n\r\n', [400]],
    [`GET /health HTTP/1.1\r\nHost: x\r\n${many(49)}\r\n`, [200]],
    [`GET /health HTTP/1.1\r\nHost: x\r\n${many(150)}\r\n`, [200, 431]],
    ['GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n', [400]],
    ['GET /health HTTP/1.1\r\nHost : x\r\n\r\n', [400]],
    ['GET /health HTTP/3.7\r\nHost: x\r\n\r\n', [505]],
    ['GET /health\r\n\r\n', refused],
    ['BREW /health HTTP/1.1\r\nHost: x\r\n\r\n', [501]],
    ['POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', [405]],
  ] as const) {
    const { status } = await ask(t, servers.port, text);
    assert.ok((statuses as readonly number[]).includes(status), `${status} to ${text.slice(0, 100)}`);
  }
});

describe('HTTP on ws, by the letter', () => {
  it('reads a head that comes in pieces, and answers one whose sender has closed its side', async (t) => {
    const { servers } = await serveNotifications(t, { p2p_websocket_transport: 'ws' });
    const raw = await say(t, servers.port, '');
    for (const byte of 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n') {
      raw.socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    raw.socket.end();
    await waitFor(() => raw.ended, { what: 'the answer' });
    assert.match(raw.text(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nOK$/);
  });

  it('lets a client that still sends a body have its answer', async (t) => {
    const { servers } = await serveNotifications(t, { p2p_websocket_transport: 'ws' });
    const body = 'x'.repeat(200_000);
    const text = `POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    for (let count = 0; count < 20; count++) assert.equal((await ask(t, servers.port, text)).status, 405);
  });

  for (const tls of [false, true])
    it(`takes only a share of the connections from one source, whatever they do, ${tls ? 'TLS handshakes too' : 'and others’ as before'}`, async (t) => {
      const { servers, url } = await serveNotifications(t, {
        p2p_websocket_transport: 'ws',
        p2p_notification_servers: 1,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.9'],
        ...(tls ? await certificateSettings(t) : {}),
      });
      const idle = await Promise.all(
        Array.from({ length: 80 }, () => say(t, servers.port, tls ? '' : 'GET /he', '127.0.0.2')),
      );
      // Who says nothing is closed after some seconds too.
      await waitFor(() => idle.filter(({ ended }) => ended).length >= 30, {
        what: 'all above the share to be closed',
      });
      const feed = tls ? url.replace('ws:', 'wss:') : url;
      await assert.rejects(listen(t, feed, { localAddress: '127.0.0.2', rejectUnauthorized: false }));
      await listen(t, feed, { rejectUnauthorized: false });
      const trusted = await Promise.all(
        Array.from({ length: 80 }, () => say(t, servers.port, 'GET /he', '127.0.0.9')),
      );
      if (!tls) {
        for (const { socket } of trusted) socket.write('alth HTTP/1.1\r\nHost: x\r\n\r\n');
        await waitFor(() => trusted.every((each) => each.text().startsWith('HTTP/1.1 200')), {
          what: 'answers',
        });
      }
      // Who gives up gives back.
      for (const { socket } of idle) socket.destroy();
      await waitFor(
        () =>
          listen(t, feed, { localAddress: '127.0.0.2', rejectUnauthorized: false }).catch(() => undefined),
        { what: 'a place again' },
      );
    });
});

async function certificateSettings(context: Pick<TestContext, 'after'>) {
  const directory = temporaryDirectory(context);
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 });
  const [server_certFile, server_keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(server_certFile, pem.cert);
  writeFileSync(server_keyFile, pem.private);
  return { securityLevelHTTP: 1, server_certFile, server_keyFile };
}

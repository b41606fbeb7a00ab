import assert from 'node:assert/strict';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import {
  GuardedHttp,
  type GuardedHttpOptions,
  InsideAddressError,
  LateAnswerError,
  type ResolvedAddress,
} from '../../../src/main/sync/guarded-http.js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { Refusal } from '../../../src/shared/messages/refusal.js';
import { checkContextOf } from '../../../src/shared/pipeline/check-context.js';
import { makeCertificate } from '../../support/certificates.js';
import { startDataHub } from '../../support/data-hub.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const LOOPBACK: ResolvedAddress = { address: '127.0.0.1', family: 4 };

function client(settings: SettingChanges, options: Partial<GuardedHttpOptions> = {}): GuardedHttp {
  const context = checkContextOf(settingsOf({ network: 'regtest', ...settings }));
  return new GuardedHttp({ context, ...options });
}
const open = (options: Partial<GuardedHttpOptions> = {}) =>
  client({ p2p_allow_private_ips: true }, { allowLoopback: true, ...options });
const guarded = (resolve: GuardedHttpOptions['resolve']) =>
  client({ p2p_allow_private_ips: false }, resolve === undefined ? {} : { resolve });

describe('the guarded HTTP client', () => {
  it('never connects to what a name resolves to inside, whatever else it resolves to', async (context) => {
    const hub = await startDataHub(context);
    const inside = [
      '127.0.0.1',
      '::1',
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '169.254.169.254',
      'fe80::1',
      'fd00::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      '255.255.255.255',
      '240.0.0.1',
      '::ffff:127.0.0.1',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '192.0.2.1',
    ];
    for (const address of inside) {
      const found = { address, family: address.includes(':') ? 6 : 4 };
      for (const addresses of [[found], [found, { address: '203.0.114.1', family: 4 }]]) {
        const http = guarded(async () => addresses);
        await assert.rejects(
          http.get(`http://hub.example.com:${hub.port}/x`),
          InsideAddressError,
          JSON.stringify(addresses),
        );
      }
    }
    assert.equal(hub.connections, 0);
  });

  it('refuses inside addresses in any spelling, local names, other schemes and credentials without a look at the network', async (context) => {
    const hub = await startDataHub(context);
    let looked = 0;
    const http = guarded(async () => {
      looked++;
      return [LOOPBACK];
    });
    for (const url of [
      `http://127.0.0.1:${hub.port}/`,
      `http://127.1:${hub.port}/`,
      `http://2130706433:${hub.port}/`,
      `http://0x7f.0.0.1:${hub.port}/`,
      `http://[::1]:${hub.port}/`,
      `http://[::ffff:127.0.0.1]:${hub.port}/`,
      `http://localhost:${hub.port}/`,
      `http://hub.localhost.:${hub.port}/`,
      `ftp://hub.example.com:${hub.port}/`,
      'file:///etc/passwd',
      `http://user:secret@hub.example.com:${hub.port}/`,
      'no url',
    ]) {
      await assert.rejects(http.get(url), Refusal, url);
    }
    assert.equal(looked, 0);
    assert.equal(hub.connections, 0);
  });

  it('never connects to this machine, its link or nowhere, however private addresses are allowed', async (context) => {
    const hub = await startDataHub(context);
    const never = [
      '127.0.0.1',
      '127.1.2.3',
      '::1',
      '169.254.169.254',
      'fe80::1',
      '0.0.0.0',
      '::',
      '::ffff:127.0.0.1',
    ];
    for (const address of never) {
      const found = { address, family: address.includes(':') ? 6 : 4 };
      const http = client({ p2p_allow_private_ips: true }, { resolve: async () => [found] });
      await assert.rejects(http.get(`http://hub.example:${hub.port}/`), InsideAddressError, address);
      const literal = found.family === 6 ? `[${address}]` : address;
      await assert.rejects(http.get(`http://${literal}:${hub.port}/`), InsideAddressError, literal);
    }
    assert.equal(hub.connections, 0);
  });

  it('with reserved addresses refused, private ones that carriers share are not asked either', async () => {
    /** What became of it; whoever answers there, or nobody. */
    const asked = (address: string, refuseReserved: boolean): Promise<unknown> =>
      client(
        { p2p_allow_private_ips: true },
        {
          refuseReserved,
          timeoutMs: 20,
          resolve: async () => [{ address, family: address.includes(':') ? 6 : 4 }],
        },
      )
        .get('http://hub.example:1/')
        .catch((error: unknown) => error);
    for (const address of ['100.64.0.1', '100.127.255.254', '::ffff:100.64.0.1', '64:ff9b::6440:1']) {
      assert.ok((await asked(address, true)) instanceof InsideAddressError, address);
      assert.ok(!((await asked(address, false)) instanceof InsideAddressError), address);
    }
    assert.ok(!((await asked('10.255.255.1', true)) instanceof InsideAddressError));
  });

  it('connects to the very address that it looked at: a name that changes its mind gains nothing', async (context) => {
    const first = await startDataHub(context, (_, response) => void response.end('first'), '127.0.0.2');
    const answers = [[{ address: '127.0.0.2', family: 4 }], [LOOPBACK]];
    let looked = 0;
    const http = open({
      resolve: async () => answers[Math.min(looked++, 1)] ?? [],
    });
    const { status, body } = await http.get(`http://rebinds.example:${first.port}/x`);
    assert.equal(status, 200);
    assert.equal(body.toString(), 'first');
    assert.equal(looked, 1, 'looked up once, here');
  });

  it('looks at where a redirect leads as at the first address', async (context) => {
    const inner = await startDataHub(context);
    const names: string[] = [];
    const outer = await startDataHub(context);
    const resolve = async (name: string): Promise<ResolvedAddress[]> => {
      names.push(name);
      return name === 'inside.example' ? [{ address: '0.0.0.0', family: 4 }] : [LOOPBACK];
    };
    const http = client(
      { p2p_allow_private_ips: true, subtreevalidation_blacklisted_baseurls: ['bad.example'] },
      { resolve, allowLoopback: true },
    );
    const leadsTo = (location: string) => {
      outer.answer = (_, response) => void response.writeHead(302, { location }).end();
    };
    const ask = () => http.get(`http://outer.example:${outer.port}/x`);
    leadsTo(`http://inside.example:${inner.port}/`);
    await assert.rejects(ask(), InsideAddressError);
    leadsTo(`http://bad.example:${inner.port}/`);
    await assert.rejects(ask(), Refusal);
    leadsTo('file:///etc/passwd');
    await assert.rejects(ask(), Refusal);
    assert.equal(inner.connections, 0);
    leadsTo('/x');
    outer.asked.length = 0;
    await assert.rejects(ask(), /redirects/);
    assert.equal(outer.asked.length, 4);
    leadsTo(`http://inner.example:${inner.port}/there`);
    assert.equal((await ask()).status, 200);
    assert.deepEqual(inner.asked, ['/there']);
    assert.ok(names.includes('inner.example'));
  });

  it('bounds the body, the time, and how much is under way', async (context) => {
    const hub = await startDataHub(context);
    const http = open({ maxBytes: 1_000, timeoutMs: 1_500, maxConcurrent: 2 });
    hub.answer = (_, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(600), () => setImmediate(more));
      };
      more();
    };
    await assert.rejects(http.get(hub.url), /more than 1000 bytes/);
    hub.answer = (_, response) => {
      response.write('a');
      const drip = setInterval(() => response.write('a'), 20);
      response.once('close', () => clearInterval(drip));
    };
    await assert.rejects(http.get(hub.url), LateAnswerError, 'a body that never ends');
    hub.answer = () => {};
    const began = performance.now();
    const silent = [http.get(hub.url), http.get(hub.url)];
    await assert.rejects(http.get(hub.url), UnavailableError);
    for (const one of silent) await assert.rejects(one, LateAnswerError);
    assert.ok(performance.now() - began < 10_000);
    hub.answer = (_, response) => void response.end('ok');
    assert.equal((await http.get(hub.url)).body.toString(), 'ok', 'there is room again');
  });

  it('does not wait for a resolver that never answers, and counts it until it does', async () => {
    const ends: (() => void)[] = [];
    const http = open({
      timeoutMs: 50,
      maxConcurrent: 1,
      resolve: () => new Promise((resolve) => ends.push(() => resolve([LOOPBACK]))),
    });
    await assert.rejects(http.get('http://slow.example:1/'), LateAnswerError);
    await assert.rejects(http.get('http://other.example:1/'), UnavailableError);
    for (const end of ends) end();
    await waitFor(
      async () => {
        const asked = http.get('http://third.example:1/');
        return asked.catch((error: unknown) => error instanceof LateAnswerError);
      },
      { what: 'room for a lookup' },
    );
  });

  it('ends at the signal', async (context) => {
    const hub = await startDataHub(context, () => {});
    const stop = new AbortController();
    const asked = open().get(hub.url, stop.signal);
    await waitFor(() => hub.asked.length === 1);
    stop.abort(new Error('stopping'));
    await assert.rejects(asked, /stopping/);
    await assert.rejects(open().get(hub.url, stop.signal), /stopping/);
    assert.equal(hub.connections, 1);
  });

  it('ends in time whatever the server says, and a late fault ends nothing else', async (context) => {
    const http = open({ timeoutMs: 500 });
    const sent = [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\n',
      'not HTTP\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'HTTP/1.1 302 Found\r\nLocation: http://[::bad\r\n\r\n',
      'HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 100\r\n\r\nab',
      `HTTP/1.1 302 Found\r\nLocation: /${'x'.repeat(3_000)}\r\n\r\n`,
      `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`,
    ];
    for (const text of sent) {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.write(text);
        const cut = setTimeout(() => socket.destroy(), 50);
        socket.once('close', () => clearTimeout(cut));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      context.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const asked = http.get(`http://127.0.0.1:${port}/`);
      await assert.rejects(
        within(asked, 2_000, 'the end'),
        (error: Error) => !/took longer/.test(error.message),
        text,
      );
    }
  });

  it('asks over TLS for the name, and believes no certificate that nobody vouches for', async (context) => {
    const { certificate, key } = await makeCertificate(temporaryDirectory(context), 'hub');
    const asked: string[] = [];
    const server = createHttpsServer({
      cert: certificate,
      key,
      SNICallback: (name, done) => {
        asked.push(name);
        done(null);
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const http = open({ resolve: async () => [LOOPBACK] });
    await assert.rejects(http.get(`https://hub.example:${port}/`), /self-signed|SELF_SIGNED/);
    assert.deepEqual(asked, ['hub.example']);
  });
});

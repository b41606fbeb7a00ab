import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Client, credentials, type ServiceError, status as Status } from '@grpc/grpc-js';
import type { BanEntry, BanStore } from '../../../src/main/bans/types.js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { RpcError } from '../../../src/shared/grpc/call.js';
import { PeerServiceClient } from '../../../src/shared/grpc/peer-service-client.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { createPeer } from '../../support/peer.js';
import { waitFor } from '../../support/wait.js';
import { ADMIN_KEY, BAN_MS, startService } from './service-fixture.js';

const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const soon = () => BigInt(Math.floor(Date.now() / 1000) + 60);

function code(expected: Status): (error: Error) => boolean {
  return (error) => {
    assert.ok(error instanceof RpcError, `${error.name}: ${error.message}`);
    assert.equal(error.codeName, Status[expected], error.message);
    return true;
  };
}

test('GetPeers shows connected peers with what is known of them, without the node and its bootstrap peers', async (context) => {
  const bootstrap = await createPeer({ context });
  const { client, peer, scores, peerRegistry } = await startService(context, {
    bootstrapPeers: new Set([bootstrap.id]),
  });
  const other = await createPeer({ context });
  await other.dial(peer.address);
  await bootstrap.dial(peer.address);
  await waitFor(() => peer.libp2p.getPeers().length === 2, { what: 'both peers to be connected' });
  scores.add(other.id, 'spam');
  const fact = {
    type: 'block',
    peer: other.id,
    hash: 'ab'.repeat(32),
    dataHubUrl: '',
    clientName: 'n',
    header: '',
  } as const;
  peerRegistry.known.learn({ ...fact, height: 120 });
  peerRegistry.known.learn({ ...fact, height: 4_000_000_000 });
  const [shown, ...more] = await client.getPeers();
  assert.ok(shown !== undefined);
  assert.deepEqual(more, []);
  assert.equal(shown.id, other.id);
  assert.match(shown.addr, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/);
  assert.equal(shown.banscore, 50);
  assert.equal(shown.inbound, true);
  assert.equal(shown.startingHeight, 120);
  assert.equal(shown.currentHeight, 150, 'capped at ours plus the lead');
  assert.equal(shown.lastSend, 1_700_000_001n);
  assert.equal(shown.lastRecv, 1_700_000_002n);
  assert.equal(shown.bytesSent, 12n);
  assert.equal(shown.bytesReceived, 2n ** 60n);
  assert.ok(shown.avgRecvBandwidth > 0n);
  assert.equal(shown.pingTime, 1500n);
  assert.equal(shown.subVer, 'agent/1');
  assert.ok(Math.abs(Number(shown.connTime) - Date.now() / 1000) < 60);
});

test('whom an address was banned with is listed, and both are let in together', async (context) => {
  const { client, list } = await startService(context);
  const until = Date.now() + BAN_MS;
  await list.add(PEER, until, 'score');
  await list.add('203.0.113.9', until, 'score', { peer: PEER });
  await list.add('203.0.113.10', until, 'score', { peer: PEER });
  const bans = (await client.listBans()).toSorted((a, b) => a.subject.localeCompare(b.subject));
  assert.deepEqual(
    bans.map(({ subject, peer }) => ({ subject, peer })),
    [
      { subject: PEER, peer: undefined },
      { subject: '203.0.113.10', peer: PEER },
      { subject: '203.0.113.9', peer: PEER },
    ].toSorted((a, b) => a.subject.localeCompare(b.subject)),
  );
  assert.deepEqual(await client.unban('203.0.113.10'), {
    ok: true,
    message: `its peer ${PEER} stays banned`,
  });
  assert.deepEqual(await client.unban(PEER), { ok: true, message: 'with it 203.0.113.9' });
  assert.deepEqual(await client.unban(PEER), { ok: true, message: '' });
  assert.deepEqual(await client.listBanned(), []);
});

test('bans are made, asked for, listed, taken back and cleared', async (context) => {
  const { client, list } = await startService(context);
  const until = soon();
  assert.equal(await client.banPeer('198.51.100.7/24', until), true);
  assert.equal(await client.banPeer('2001:db8::1', until), true);
  assert.equal(await client.banPeer(PEER), true);
  assert.equal(list.until('198.51.100.0/24'), Number(until) * 1000);
  assert.ok(Math.abs(list.until(PEER) - Date.now() - BAN_MS) < 30_000, 'no time given: the usual one');
  assert.deepEqual((await client.listBanned()).sort(), [PEER, '198.51.100.0/24', '2001:db8::1'].sort());
  assert.equal(await client.isBanned('198.51.100.200'), true);
  assert.equal(await client.isBanned('::ffff:198.51.100.200'), true);
  assert.equal(await client.isBanned(PEER), true);
  assert.equal(await client.isBanned('192.0.2.1'), false);
  await assert.rejects(client.unbanPeer('198.51.100.9'), (error: Error) => {
    assert.match(error.message, /stays banned by 198\.51\.100\.0\/24/);
    return code(Status.FAILED_PRECONDITION)(error);
  });
  assert.equal(await client.unbanPeer('198.51.100.0/24'), true);
  assert.equal(await client.unbanPeer('198.51.100.0/24'), true, 'again is no error');
  assert.equal(await client.isBanned('198.51.100.200'), false);
  assert.equal(await client.clearBanned(), true);
  assert.deepEqual(await client.listBanned(), []);
  await client.banPeer('192.0.2.1', BigInt(Date.UTC(2999, 11, 31) / 1000));
  assert.equal(new Date(list.until('192.0.2.1')).getUTCFullYear(), 2999);
});

test('the list of bans tells of each until when it is, by whom and why', async (context) => {
  const { client } = await startService(context);
  const until = soon();
  await client.banPeer('192.0.2.1', until, undefined, 'asks for everything\u202e');
  await client.banPeer('192.0.2.2', until);
  await client.addBanScore(PEER, 'invalid_block');
  await client.addBanScore(PEER, 'spam');
  const before = Date.now();
  await client.addBanScore(PEER, 'catchup_malicious');
  const bans = new Map((await client.listBans()).map((ban) => [ban.subject, ban]));
  const end = new Date(Number(until) * 1000);
  assert.deepEqual(bans.get('192.0.2.1'), {
    ...{ subject: '192.0.2.1', peer: undefined, until: end, by: 'operator', reason: 'asks for everything' },
  });
  assert.deepEqual(bans.get('192.0.2.2'), {
    ...{ subject: '192.0.2.2', peer: undefined, until: end, by: 'operator', reason: undefined },
  });
  const scored = bans.get(PEER);
  assert.deepEqual([scored?.by, scored?.reason], ['score', 'score 110, the last for catchup_malicious']);
  const left = Number(scored?.until) - before;
  assert.ok(Math.abs(left - BAN_MS) < 60_000, `${left} ms`);
});

test('an end beyond the year 3000, which is milliseconds taken for seconds, is refused', async (context) => {
  const { client, list } = await startService(context);
  for (const until of [BigInt(Date.now()), BigInt(Date.UTC(3000, 0) / 1000), 2n ** 62n, 2n ** 63n - 1n]) {
    await assert.rejects(client.banPeer('192.0.2.1', until), (error: Error) => {
      assert.match(error.message, /until: .*seconds, not milliseconds/);
      return code(Status.INVALID_ARGUMENT)(error);
    });
  }
  await assert.rejects(
    client.banPeer('192.0.2.1', soon(), undefined, 'r'.repeat(257)),
    /reason: is too long/,
  );
  assert.equal(list.size, 0);
});

test('the bound of metadata is told to each client, and more ends the call and not the connection', async (context) => {
  const { address } = await startService(context);
  const session = connectHttp2(`http://${address}`, { maxSendHeaderBlockLength: 2 ** 30 });
  session.on('error', () => {});
  context.after(() => session.destroy());
  const [settings] = await once(session, 'remoteSettings');
  // What clients in Go and Java go by: they send no more.
  assert.equal(settings.maxHeaderListSize, 65_536);
  const call = (more: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/p2p_api.PeerService/ListBanned',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...more,
      });
      stream.on('trailers', (trailers) => resolve(`status ${String(trailers['grpc-status'])}`));
      stream.on('error', (error) => resolve(error.message));
      stream.resume();
      stream.end(Buffer.alloc(5));
    });
  const parts = Array.from({ length: 8 }, (_, index) => [`x-part-${index}`, 'm'.repeat(15_000)]);
  assert.equal(await call({ 'x-one': 'm'.repeat(40_000) }), 'status 0');
  assert.match(await call(Object.fromEntries(parts)), /Stream closed/);
  assert.equal(session.destroyed || session.closed, false);
  assert.equal(await call({}), 'status 0');
});

test('scores add up to a ban', async (context) => {
  const { client, scores } = await startService(context);
  assert.equal(await client.addBanScore(PEER, 'spam'), true);
  assert.equal(await client.addBanScore(PEER, 'no such reason'), true);
  assert.equal(scores.score(PEER), 50);
  assert.equal(await client.isBanned(PEER), false);
  await client.addBanScore(PEER, 'catchup_malicious');
  assert.equal(await client.isBanned(PEER), true);
});

test('bad arguments are INVALID_ARGUMENT and change nothing; what is nothing is not banned', async (context) => {
  const { client, list } = await startService(context);
  const invalid = code(Status.INVALID_ARGUMENT);
  for (const subject of [
    '',
    ':',
    '1.2.3',
    '0.0.0.0/0',
    '::/0',
    'fe80::1%1',
    'x'.repeat(300),
    '１.2.3.4',
    'y'.repeat(60_000),
    '5.6.7.8:99999',
    '[2001:db8::1]:65536',
    '/ip4/5.6.7.8/tcp/99999',
  ]) {
    await assert.rejects(client.banPeer(subject, soon()), invalid, subject);
    await assert.rejects(client.unbanPeer(subject), invalid, subject);
    assert.equal(await client.isBanned(subject), false, subject);
    await assert.rejects(client.addBanScore(subject, 'spam'), invalid, subject);
    await assert.rejects(client.disconnectPeer(subject), invalid, subject);
  }
  for (const until of [-1n, 1n, BigInt(Math.floor(Date.now() / 1000) - 1), -(2n ** 63n)]) {
    await assert.rejects(client.banPeer('192.0.2.1', until), invalid, String(until));
  }
  await assert.rejects(client.addBanScore(PEER, ''), invalid);
  await assert.rejects(client.addBanScore(PEER, 'r'.repeat(257)), invalid);
  await assert.rejects(client.connectPeer(''), invalid);
  await assert.rejects(client.connectPeer('not a multiaddr'), invalid);
  await assert.rejects(client.connectPeer(`/${'a'.repeat(2000)}`), invalid);
  assert.equal(list.size, 0);
});

test('calls that change anything need the key, and exactly it', async (context) => {
  const { address, client, list, registry } = await startService(context);
  await client.banPeer('192.0.2.9', soon());
  const wrong = [undefined, '', 'x', ADMIN_KEY.slice(0, -1), `${ADMIN_KEY}x`, ADMIN_KEY.toUpperCase()];
  for (const adminKey of wrong) {
    const stranger = new PeerServiceClient(address, adminKey === undefined ? {} : { adminKey });
    const refused = code(Status.UNAUTHENTICATED);
    await assert.rejects(stranger.banPeer('192.0.2.1', soon()), refused);
    await assert.rejects(stranger.unbanPeer('192.0.2.9'), refused);
    await assert.rejects(stranger.clearBanned(), refused);
    await assert.rejects(stranger.addBanScore(PEER, 'spam'), refused);
    await assert.rejects(stranger.connectPeer('/ip4/127.0.0.1/tcp/1'), refused);
    await assert.rejects(stranger.disconnectPeer(PEER), refused);
    assert.deepEqual(await stranger.listBanned(), ['192.0.2.9']);
    assert.deepEqual(await stranger.getPeers(), []);
    assert.equal(await stranger.isBanned('192.0.2.9'), true);
    stranger.close();
  }
  assert.equal(list.size, 1);
  const scrape = await registry.metrics();
  assert.match(scrape, /grpc_calls_total\{method="BanPeer",code="UNAUTHENTICATED"\} 6/);
});

test('peers are connected and disconnected on demand', async (context) => {
  const { client, peer } = await startService(context);
  const other = await createPeer({ context });
  assert.deepEqual(await client.connectPeer(other.address), { success: true, error: '' });
  assert.deepEqual(peer.libp2p.getPeers().map(String), [other.id]);
  assert.deepEqual(await client.disconnectPeer(other.id), { success: true, error: '' });
  assert.deepEqual(await client.disconnectPeer(PEER), { success: false, error: 'not connected' });
  const { address } = other;
  await other.stop();
  const failed = await client.connectPeer(address);
  assert.equal(failed.success, false);
  assert.notEqual(failed.error, '');
});

test('a call that its caller gives up is no error of this server’s, and told by why it was given up', async (context) => {
  const { address, registry, lines } = await startService(context);
  // Takes connections and says nothing.
  const silent = createServer();
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const sockets: Socket[] = [];
  silent.on('connection', (socket) => sockets.push(socket.on('error', () => {})));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const target = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}/p2p/${PEER}`;
  const impatient = new PeerServiceClient(address, { adminKey: ADMIN_KEY, deadlineMs: 2_000 });
  const leaving = new PeerServiceClient(address, { adminKey: ADMIN_KEY });
  context.after(() => {
    impatient.close();
    leaving.close();
  });
  const counted = (status: string) =>
    waitFor(
      async () =>
        (await registry.metrics()).includes(
          `teranode_p2p_grpc_calls_total{method="ConnectPeer",code="${status}"} 1`,
        ),
      { what: status },
    );
  // On an open channel the call that follows arrives before its deadline.
  await impatient.getPeers();
  await assert.rejects(impatient.connectPeer(target), { name: 'DeadlineError' });
  await counted('DEADLINE_EXCEEDED');
  const going = new AbortController();
  const before = sockets.length;
  const left = assert.rejects(leaving.connectPeer(target, going.signal), { name: 'AbortedError' });
  await waitFor(() => sockets.length > before, { what: 'the dial' });
  going.abort();
  await left;
  await counted('CANCELLED');
  const said = lines.filter(({ msg }) => /gRPC call/.test(String(msg)));
  assert.deepEqual(
    said.map(({ level }) => level),
    [20, 20],
  );
});

test('a ban that cannot be stored is in force, and UNAVAILABLE says so', async (context) => {
  const away = async (): Promise<never> => {
    throw new UnavailableError('the database is gone');
  };
  const { client } = await startService(context, {
    wrap: (store): BanStore => ({
      isShared: true,
      open: () => store.open(),
      load: () => store.load(),
      put: (_entry: BanEntry) => away(),
      delete: away,
      clear: away,
      health: (signal) => store.health(signal),
      close: () => store.close(),
    }),
  });
  await assert.rejects(client.banPeer('192.0.2.1', soon()), (error: Error) => {
    assert.equal(error.name, 'UnavailableError');
    assert.match(error.message, /in force/);
    return true;
  });
  assert.equal(await client.isBanned('192.0.2.1'), true);
});

test('garbage on the socket, an unknown method and a request past the bound harm nobody', async (context) => {
  const { client, address } = await startService(context);
  const { connect } = await import('node:net');
  const [host, port] = address.split(':');
  for (const junk of [Buffer.alloc(70_000, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
    const socket = connect(Number(port), host);
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()).on('error', () => {}));
    socket.resume();
    socket.end(junk);
    await closed;
  }
  const raw = new Client(address, credentials.createInsecure());
  const call = (method: string, bytes: Buffer) =>
    new Promise<ServiceError | null>((resolve) =>
      raw.makeUnaryRequest(
        method,
        (buffer: Buffer) => buffer,
        (buffer: Buffer) => buffer,
        bytes,
        (error) => resolve(error),
      ),
    );
  const unknown = await call('/p2p_api.PeerService/NoSuchCall', Buffer.alloc(0));
  assert.equal(unknown?.code, Status.UNIMPLEMENTED);
  const large = await call('/p2p_api.PeerService/IsBanned', Buffer.alloc(100_000));
  assert.equal(large?.code, Status.RESOURCE_EXHAUSTED);
  const undecodable = await call('/p2p_api.PeerService/IsBanned', Buffer.from([0x0a, 0xff, 0xff]));
  assert.ok(undecodable !== null);
  raw.close();
  assert.equal(await client.isBanned('192.0.2.1'), false);
});

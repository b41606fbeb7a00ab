/** PeerService, called by grpc-go. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';
import { ADMIN_KEY, BAN_MS, type ServiceOptions, startService } from '../main/grpc/service-fixture.js';
import { createPeer } from '../support/peer.js';
import { waitFor } from '../support/wait.js';
import { GoGrpcClient } from './grpc.js';

const SERVICE = 'p2p_api.PeerService';
const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const MAX_INT64 = '9223372036854775807';
const MIN_INT64 = '-9223372036854775808';
const MAX_UINT64 = '18446744073709551615';
/** The calls of both generations that a node's operator has: name, whether the admin key is needed, a request. */
const CALLS: readonly (readonly [string, boolean, object])[] = [
  ['GetPeers', false, {}],
  ['BanPeer', true, { addr: '198.51.100.1' }],
  ['UnbanPeer', true, { addr: '198.51.100.1' }],
  ['IsBanned', false, { ipOrSubnet: '198.51.100.1' }],
  ['ListBanned', false, {}],
  ['ClearBanned', true, {}],
  ['AddBanScore', true, { peer_id: PEER, reason: 'spam' }],
  ['ConnectPeer', true, { peer_address: `/ip4/127.0.0.1/tcp/1/p2p/${PEER}` }],
  ['DisconnectPeer', true, { peer_id: PEER }],
];
const WRONG_KEYS: readonly Record<string, string>[] = [
  {},
  { 'x-api-key': `${ADMIN_KEY}x` },
  { authorization: ADMIN_KEY },
];
const PEER_FIELDS = [
  'id=1 string',
  'addr=2 string',
  'addrLocal=3 string',
  'services=4 string',
  'lastSend=5 int64',
  'lastRecv=6 int64',
  'sendSize=7 int64',
  'recvSize=8 int64',
  'sendMemory=9 int64',
  'pauseSend=10 bool',
  'unpauseSend=11 bool',
  'bytesSent=12 uint64',
  'bytesReceived=13 uint64',
  'avgRecvBandwidth=14 int64',
  'assocId=15 string',
  'streamPolicy=16 string',
  'inbound=17 bool',
  'connTime=18 int64',
  'pingTime=19 int64',
  'timeOffset=20 int64',
  'version=21 uint32',
  'subVer=22 string',
  'startingHeight=23 uint32',
  'currentHeight=24 uint32',
  'banscore=25 int32',
  'whitelisted=26 bool',
  'feeFilter=27 int64',
];

async function served(context: TestContext, options: ServiceOptions = {}) {
  const service = await startService(context, options);
  const go = await GoGrpcClient.dial(context, service.address);
  const key = { metadata: { 'x-api-key': ADMIN_KEY } };
  /** The answer to a call with the admin key. */
  const ask = async (method: string, message: object = {}) => {
    const outcome = await go.call(SERVICE, method, message, key);
    assert.equal(outcome.code, 'OK', `${method}: ${outcome.details}`);
    return outcome.message as Record<string, unknown>;
  };
  return { ...service, go, ask };
}

test('every call answers a Go client', async (context) => {
  const { ask, peer, list, scores } = await served(context);
  const other = await createPeer({ context });
  assert.deepEqual(await ask('ConnectPeer', { peer_address: other.address }), { success: true, error: '' });
  const { peers } = (await ask('GetPeers')) as { peers: Record<string, unknown>[] };
  assert.deepEqual(
    peers.map(({ id, addr, inbound }) => [id, addr, inbound]),
    [[other.id, other.address, false]],
  );
  assert.deepEqual(
    Object.keys(peers[0] ?? {}).sort(),
    PEER_FIELDS.map((field) => field.replace(/=.*/, '')).sort(),
  );
  assert.deepEqual(await ask('DisconnectPeer', { peer_id: other.id }), { success: true, error: '' });
  await waitFor(() => peer.libp2p.getConnections().length === 0, { what: 'the end of the connection' });
  assert.deepEqual(await ask('DisconnectPeer', { peer_id: other.id }), {
    success: false,
    error: 'not connected',
  });
  const refused = await ask('ConnectPeer', { peer_address: `/ip4/127.0.0.1/tcp/1/p2p/${PEER}` });
  assert.equal(refused.success, false);
  assert.notEqual(refused.error, '');

  for (const addr of ['198.51.100.0/24', '2001:db8::1', PEER]) {
    assert.deepEqual(await ask('BanPeer', { addr }), { ok: true });
  }
  assert.ok(Math.abs(list.until(PEER) - Date.now() - BAN_MS) < 60_000, 'no time given: the usual one');
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: '198.51.100.7' }), { isBanned: true });
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: PEER }), { isBanned: true });
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: '192.0.2.1' }), { isBanned: false });
  const listed = (await ask('ListBanned')) as { banned: string[] };
  assert.deepEqual(listed.banned.sort(), [PEER, '198.51.100.0/24', '2001:db8::1'].sort());
  assert.deepEqual(await ask('UnbanPeer', { addr: '198.51.100.0/24' }), { ok: true, message: '' });
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: '198.51.100.7' }), { isBanned: false });
  assert.deepEqual(await ask('ClearBanned'), { ok: true });
  assert.deepEqual(await ask('ListBanned'), { banned: [], peers: [], until: [], reasons: [], by_score: [] });
  // As Go's own service.
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: '300.1.1.1' }), { isBanned: false });

  assert.deepEqual(await ask('AddBanScore', { peer_id: other.id, reason: 'spam' }), { ok: true });
  assert.ok(scores.score(other.id) > 49, 'spam is 50, less what has decayed');
});

test('what is wrong with a request comes as a code that Go knows', async (context) => {
  const { go } = await served(context);
  const wrong: readonly (readonly [string, object])[] = [
    ['BanPeer', { addr: 'nowhere' }],
    ['BanPeer', { addr: '198.51.100.1', until: 1 }],
    ['UnbanPeer', { addr: '' }],
    ['BanPeer', { addr: '198.51.100.1', until: MAX_INT64 }],
    ['BanPeer', { addr: '198.51.100.1:99999' }],
    ['AddBanScore', { peer_id: 'nobody', reason: 'spam' }],
    ['AddBanScore', { peer_id: PEER, reason: '' }],
    ['ConnectPeer', { peer_address: '' }],
    ['ConnectPeer', { peer_address: 'x'.repeat(2_000) }],
    ['DisconnectPeer', { peer_id: 'nobody' }],
  ];
  for (const [method, message] of wrong) {
    const { code, details } = await go.call(SERVICE, method, message, {
      metadata: { 'x-api-key': ADMIN_KEY },
    });
    assert.equal(code, 'InvalidArgument', `${method} ${JSON.stringify(message)}`);
    assert.match(details, /\w/);
  }
});

test('admin calls need the key, the others do not', async (context) => {
  const { go, list } = await served(context);
  for (const [method, admin, message] of CALLS) {
    for (const metadata of WRONG_KEYS) {
      const { code } = await go.call(SERVICE, method, message, { metadata });
      assert.equal(code, admin ? 'Unauthenticated' : 'OK', `${method} with ${JSON.stringify(metadata)}`);
    }
    // Metadata keys have no case in HTTP/2; Go sends them in small letters.
    const allowed = await go.call(SERVICE, method, message, { metadata: { 'X-API-Key': ADMIN_KEY } });
    assert.equal(allowed.code, 'OK', method);
  }
  assert.deepEqual(list.list(), [], 'what was refused left nothing behind');
});

test('metadata of 300 kB ends the call and not the connection', async (context) => {
  const { go } = await served(context);
  assert.equal((await go.call(SERVICE, 'GetPeers', {})).code, 'OK');
  const large = await go.call(SERVICE, 'GetPeers', {}, { metadata: { 'x-large': 'm'.repeat(300_000) } });
  assert.equal(large.code, 'Internal');
  assert.match(large.details, /header list size .*65536/);
  assert.equal((await go.call(SERVICE, 'GetPeers', {})).code, 'OK');
});

test('64-bit integers arrive whole at their limits', async (context) => {
  const { ask, go, list, peer } = await served(context, {
    changes: {
      bytesSent: BigInt(MAX_UINT64),
      bytesReceived: BigInt(MAX_UINT64),
      // A connection counts as one second old at the least: the most bytes in it are more than an int64 holds.
      connectedAt: Date.now() + 3_600_000,
    },
  });
  const other = await createPeer({ context });
  await other.dial(peer.address);
  const { peers } = (await ask('GetPeers')) as { peers: Record<string, unknown>[] };
  assert.deepEqual(
    [peers[0]?.bytesSent, peers[0]?.bytesReceived, peers[0]?.avgRecvBandwidth],
    [MAX_UINT64, MAX_UINT64, MAX_INT64],
  );

  const end = Date.UTC(2999, 11, 31, 23, 59, 59) / 1000;
  assert.deepEqual(await ask('BanPeer', { addr: '198.51.100.1', until: String(end) }), { ok: true });
  assert.deepEqual(await ask('IsBanned', { ipOrSubnet: '198.51.100.1' }), { isBanned: true });
  assert.ok(list.until('198.51.100.1') > Date.now() + 365 * 86_400_000);
  const past = await go.call(
    SERVICE,
    'BanPeer',
    { addr: '198.51.100.2', until: MIN_INT64 },
    { metadata: { 'x-api-key': ADMIN_KEY } },
  );
  assert.equal(past.code, 'InvalidArgument');
});

test('health and reflection speak with Go', async (context) => {
  const { go } = await served(context);
  for (const name of ['', SERVICE]) {
    for (const how of ['check', 'watch'] as const) {
      assert.deepEqual((await go.health(name, how)).message, { status: 'SERVING' }, `${how} ${name}`);
    }
  }
  assert.equal((await go.health('p2p_api.Nothing')).code, 'NotFound');

  for (const version of ['v1', 'v1alpha'] as const) {
    const { services, methods, fields } = await go.reflection(SERVICE, version);
    for (const name of [SERVICE, 'grpc.health.v1.Health']) assert.ok(services.includes(name), name);
    for (const [method] of CALLS) {
      const none = ['GetPeers', 'ListBanned', 'ClearBanned'].includes(method);
      const request = none ? 'google.protobuf.Empty' : `p2p_api.${method}Request`;
      const found = methods.find(([name]) => name === method);
      assert.deepEqual(found, [method, request, `p2p_api.${method}Response`], version);
    }
    const ofPeer = fields.filter((field) => field.startsWith('p2p_api.Peer.'));
    assert.deepEqual(
      ofPeer,
      PEER_FIELDS.map((field) => `p2p_api.Peer.${field}`),
    );
  }
  await assert.rejects(go.reflection('p2p_api.Nothing', 'v1'));
});

/** PeerService's calls about the peer registry, by grpc-go. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';
import { ADMIN_KEY, startService } from '../main/grpc/service-fixture.js';
import { asHub } from '../support/branded.js';
import { AUTHOR, OTHER_PEER } from '../support/sample-messages.js';
import { GoGrpcClient } from './grpc.js';

const SERVICE = 'p2p_api.PeerService';
const HASH = 'ab'.repeat(32);
const HUB = asHub('https://hub.example/api');
const MAX_INT64 = '9223372036854775807';
const MIN_INT64 = '-9223372036854775808';
const MAX_UINT64 = '18446744073709551615';
const MAX_UINT32 = 4_294_967_295;
const key = { metadata: { 'x-api-key': ADMIN_KEY } };
/** Protobuf's JSON has bytes in base64. */
const WORK = Buffer.from([9]).toString('base64');
const PROGRESS = { peer_id: AUTHOR, height: MAX_UINT32, block_hash: HASH, chain_work: WORK };

/** Each call: name, whether the admin key is needed, a request that makes sense, the fields of the answer. */
const CALLS: readonly (readonly [string, boolean, object, readonly string[]])[] = [
  ['RecordCatchupAttempt', true, { peer_id: AUTHOR }, ['ok']],
  ['RecordCatchupSuccess', true, { peer_id: AUTHOR, duration_ms: '1' }, ['ok']],
  ['RecordCatchupFailure', true, { peer_id: AUTHOR, failure_kind: 'generic', block_hash: HASH }, ['ok']],
  ['RecordCatchupMalicious', true, { peer_id: AUTHOR }, ['ok']],
  ['UpdateCatchupError', true, { peer_id: AUTHOR, error_msg: 'no such block' }, ['ok']],
  ['ResetReputation', true, { peer_id: AUTHOR }, ['ok', 'peers_reset']],
  ['ReportValidSubtree', true, { peer_id: AUTHOR, subtree_hash: HASH }, ['success', 'message']],
  ['ReportValidBlock', true, { peer_id: AUTHOR, block_hash: HASH }, ['success', 'message']],
  ['ReportValidBlockHeaders', true, { peer_id: AUTHOR, duration_ms: '1' }, ['success', 'message']],
  ['ReportValidatedChainProgress', true, PROGRESS, ['success', 'message']],
  ['RecordBytesDownloaded', true, { peer_id: AUTHOR, bytes_downloaded: '1' }, ['ok']],
  ['GetPeersForCatchup', false, {}, ['peers']],
  ['IsPeerMalicious', false, { peer_id: AUTHOR }, ['is_malicious', 'reason']],
  ['IsPeerUnhealthy', false, { peer_id: AUTHOR }, ['is_unhealthy', 'reason', 'reputation_score']],
  ['GetPeerRegistry', false, {}, ['peers']],
  ['GetPeer', false, { peer_id: AUTHOR }, ['peer', 'found']],
];
const WRONG_KEYS: readonly Record<string, string>[] = [
  {},
  { 'x-api-key': `${ADMIN_KEY}x` },
  { 'x-api-key': '' },
  { authorization: ADMIN_KEY },
];
/** WIRE's numbers and types; 12 and 13 were used once. */
const REGISTRY_FIELDS = [
  'id=1 string',
  'height=2 uint32',
  'block_hash=3 string',
  'data_hub_url=4 string',
  'ban_score=5 int32',
  'is_banned=6 bool',
  'is_connected=7 bool',
  'connected_at=8 int64',
  'bytes_received=9 uint64',
  'last_block_time=10 int64',
  'last_message_time=11 int64',
  'interaction_attempts=14 int64',
  'interaction_successes=15 int64',
  'interaction_failures=16 int64',
  'last_interaction_attempt=17 int64',
  'last_interaction_success=18 int64',
  'last_interaction_failure=19 int64',
  'reputation_score=20 double',
  'malicious_count=21 int64',
  'avg_response_time_ms=22 int64',
  'storage=23 string',
  'client_name=24 string',
  'last_catchup_error=25 string',
  'last_catchup_error_time=26 int64',
  'catchup_attempts=27 int64',
  'catchup_successes=28 int64',
  'catchup_failures=29 int64',
];

async function served(context: TestContext) {
  const service = await startService(context);
  const go = await GoGrpcClient.dial(context, service.address);
  /** The answer to a call with the admin key. */
  const ask = async (method: string, message: object = {}) => {
    const outcome = await go.call(SERVICE, method, message, key);
    assert.equal(outcome.code, 'OK', `${method}: ${outcome.details}`);
    return outcome.message as Record<string, unknown>;
  };
  /** What the registry shows of a peer. */
  const shown = async (peer_id: string) => {
    const { peer, found } = await ask('GetPeer', { peer_id });
    assert.equal(found, true);
    return peer as Record<string, unknown>;
  };
  return { ...service, go, ask, shown };
}

/** A peer with a data hub that has said its height. */
const status = (peer: PeerIdText) =>
  ({
    type: 'node_status',
    peer,
    height: 120,
    hash: HASH,
    dataHubUrl: HUB,
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
  }) as const;

test('what a Go client records of a peer, it is shown', async (context) => {
  const { ask, shown, peerRegistry, scores } = await served(context);
  peerRegistry.known.learn(status(AUTHOR));
  scores.add(AUTHOR, 'spam');
  const of = { peer_id: AUTHOR };
  assert.deepEqual(await ask('RecordCatchupAttempt', of), { ok: true });
  assert.deepEqual(await ask('RecordCatchupSuccess', { ...of, duration_ms: '300' }), { ok: true });
  assert.deepEqual(await ask('RecordCatchupFailure', of), { ok: true });
  assert.deepEqual(await ask('UpdateCatchupError', { ...of, error_msg: 'no such block' }), { ok: true });
  assert.deepEqual(await ask('RecordBytesDownloaded', { ...of, bytes_downloaded: '12' }), { ok: true });
  const peer = await shown(AUTHOR);
  assert.deepEqual(Object.keys(peer).sort(), REGISTRY_FIELDS.map((field) => field.replace(/=.*/, '')).sort());
  const now = Date.now() / 1000;
  const recent = [
    'last_message_time',
    'last_interaction_attempt',
    'last_interaction_success',
    'last_interaction_failure',
    'last_catchup_error_time',
  ];
  for (const field of recent) assert.ok(Math.abs(Number(peer[field]) - now) < 60, field);
  const fixed = Object.fromEntries(Object.entries(peer).filter(([field]) => !recent.includes(field)));
  assert.deepEqual(
    { ...fixed, reputation_score: Math.round(Number(fixed.reputation_score) * 100) / 100 },
    {
      id: AUTHOR,
      height: 120,
      block_hash: HASH,
      data_hub_url: HUB,
      ban_score: 50,
      is_banned: false,
      is_connected: false,
      connected_at: '0',
      bytes_received: '12',
      last_block_time: '0',
      interaction_attempts: '1',
      interaction_successes: '1',
      interaction_failures: '1',
      reputation_score: 49.5,
      malicious_count: '0',
      avg_response_time_ms: '300',
      storage: 'full',
      client_name: 'name',
      last_catchup_error: 'no such block',
      catchup_attempts: '1',
      catchup_successes: '1',
      catchup_failures: '1',
    },
  );
  assert.deepEqual(await ask('GetPeerRegistry'), { peers: [peer] });
  const { peers } = (await ask('GetPeersForCatchup')) as { peers: Record<string, unknown>[] };
  const [listed] = peers;
  assert.deepEqual(peers, [
    {
      id: AUTHOR,
      height: 120,
      block_hash: HASH,
      data_hub_url: HUB,
      catchup_reputation_score: listed?.catchup_reputation_score,
      catchup_attempts: '1',
      catchup_successes: '1',
      catchup_failures: '1',
    },
  ]);
  assert.ok(Math.abs(Number(listed?.catchup_reputation_score) - 49.5) < 0.01);
});

test('reports count, and a peer is judged by them', async (context) => {
  const { ask, shown } = await served(context);
  const of = { peer_id: AUTHOR };
  assert.deepEqual(await ask('GetPeer', of), { peer: null, found: false });
  assert.deepEqual(await ask('IsPeerUnhealthy', of), {
    is_unhealthy: true,
    reason: 'unknown peer',
    reputation_score: 0,
  });
  assert.deepEqual(await ask('ReportValidSubtree', { ...of, subtree_hash: HASH }), {
    success: true,
    message: 'subtree validation recorded',
  });
  assert.deepEqual(await ask('ReportValidBlock', { ...of, block_hash: HASH.toUpperCase() }), {
    success: true,
    message: 'block validation recorded',
  });
  assert.deepEqual(await ask('ReportValidBlockHeaders', { ...of, duration_ms: '0' }), {
    success: true,
    message: 'headers success recorded',
  });
  assert.deepEqual(await ask('ReportValidatedChainProgress', PROGRESS), {
    success: true,
    message: 'validated chain progress recorded',
  });
  const peer = await shown(AUTHOR);
  assert.deepEqual([peer.height, peer.block_hash, peer.interaction_successes], [MAX_UINT32, HASH, '3']);
  assert.deepEqual(await ask('IsPeerMalicious', of), { is_malicious: false, reason: '' });
  const healthy = await ask('IsPeerUnhealthy', of);
  assert.deepEqual([healthy.is_unhealthy, healthy.reason], [false, '']);
  assert.ok(Number(healthy.reputation_score) > 50);

  assert.deepEqual(await ask('RecordCatchupMalicious', of), { ok: true });
  assert.equal((await ask('IsPeerMalicious', of)).is_malicious, true);
  assert.deepEqual(await ask('IsPeerUnhealthy', of), {
    is_unhealthy: true,
    reason: 'low reputation score: 5.00',
    reputation_score: 5,
  });
  await ask('RecordCatchupAttempt', { peer_id: OTHER_PEER });
  assert.deepEqual(await ask('ResetReputation', of), { ok: true, peers_reset: 1 });
  assert.equal((await shown(AUTHOR)).reputation_score, 50);
  assert.deepEqual(await ask('ResetReputation'), { ok: true, peers_reset: 2 });
});

test('what records, reports and resets needs the key; what is only asked does not', async (context) => {
  const { go, peerRegistry } = await served(context);
  for (const [method, admin, message, fields] of CALLS) {
    for (const metadata of WRONG_KEYS) {
      const outcome = await go.call(SERVICE, method, message, { metadata });
      assert.equal(outcome.code, admin ? 'Unauthenticated' : 'OK', `${method} ${JSON.stringify(metadata)}`);
      if (!admin) assert.deepEqual(Object.keys(outcome.message ?? {}).sort(), [...fields].sort(), method);
    }
  }
  assert.deepEqual(peerRegistry.records.peers(), [], 'what was refused left nothing behind');
  for (const [method, , message, fields] of CALLS) {
    const outcome = await go.call(SERVICE, method, message, key);
    assert.equal(outcome.code, 'OK', `${method}: ${outcome.details}`);
    assert.deepEqual(Object.keys(outcome.message ?? {}).sort(), [...fields].sort(), method);
  }
});

test('numbers are whole at their limits, and beyond them refused', async (context) => {
  const { ask, go, shown, peerRegistry } = await served(context);
  const of = { peer_id: AUTHOR };
  for (let n = 0; n < 2; n++) {
    assert.deepEqual(await ask('RecordBytesDownloaded', { ...of, bytes_downloaded: MAX_UINT64 }), {
      ok: true,
    });
  }
  await ask('RecordCatchupSuccess', { ...of, duration_ms: MAX_INT64 });
  await ask('ReportValidBlockHeaders', { ...of, duration_ms: MAX_INT64 });
  await ask('UpdateCatchupError', { ...of, error_msg: 'e'.repeat(5_000) });
  const peer = await shown(AUTHOR);
  assert.deepEqual([peer.bytes_received, peer.avg_response_time_ms], [MAX_UINT64, MAX_INT64]);
  assert.equal(peer.last_catchup_error, 'e'.repeat(1024));

  const wrong: readonly (readonly [string, object])[] = [
    ['RecordCatchupSuccess', { peer_id: OTHER_PEER, duration_ms: '-1' }],
    ['RecordCatchupSuccess', { peer_id: OTHER_PEER, duration_ms: MIN_INT64 }],
    ['ReportValidBlockHeaders', { peer_id: OTHER_PEER, duration_ms: MIN_INT64 }],
    ['RecordCatchupFailure', { peer_id: OTHER_PEER, failure_kind: 'k'.repeat(257) }],
    ['RecordCatchupFailure', { peer_id: OTHER_PEER, block_hash: 'ab' }],
    ['ReportValidSubtree', { peer_id: OTHER_PEER, subtree_hash: 'g'.repeat(64) }],
    ['ReportValidBlock', { peer_id: OTHER_PEER, block_hash: '' }],
    ['ReportValidatedChainProgress', { ...PROGRESS, peer_id: OTHER_PEER, height: 0 }],
    ['ReportValidatedChainProgress', { ...PROGRESS, peer_id: OTHER_PEER, chain_work: '' }],
    [
      'ReportValidatedChainProgress',
      { ...PROGRESS, peer_id: OTHER_PEER, chain_work: Buffer.alloc(33, 1).toString('base64') },
    ],
    ...CALLS.filter(([method, admin]) => admin && method !== 'ResetReputation').map(
      ([method, , message]) => [method, { ...message, peer_id: '' }] as const,
    ),
    ...CALLS.filter(([method, admin]) => admin || method === 'GetPeer').map(
      ([method, , message]) => [method, { ...message, peer_id: 'nobody' }] as const,
    ),
  ];
  for (const [method, message] of wrong) {
    const { code, details } = await go.call(SERVICE, method, message, key);
    assert.equal(code, 'InvalidArgument', `${method} ${JSON.stringify(message).slice(0, 200)}`);
    assert.match(details, /\w/);
  }
  assert.deepEqual(peerRegistry.records.peers(), [AUTHOR]);
});

test('reflection tells a Go client the contract of these calls', async (context) => {
  const { go } = await served(context);
  const { methods, fields } = await go.reflection(SERVICE, 'v1');
  for (const [method] of CALLS) {
    const request = method === 'GetPeerRegistry' ? 'google.protobuf.Empty' : `p2p_api.${method}Request`;
    const found = methods.find(([name]) => name === method);
    assert.deepEqual(found, [method, request, `p2p_api.${method}Response`]);
  }
  const start = 'p2p_api.PeerRegistryInfo.';
  const told = fields.filter((field) => field.startsWith(start)).map((field) => field.slice(start.length));
  assert.deepEqual(told, REGISTRY_FIELDS);
});

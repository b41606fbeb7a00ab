import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials, status as Status } from '@grpc/grpc-js';
import { PeerRegistryInfo } from '../../../src/shared/generated/p2p_api.js';
import { RpcError } from '../../../src/shared/grpc/call.js';
import { PeerServiceClient } from '../../../src/shared/grpc/peer-service-client.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asHub, asPeer } from '../../support/branded.js';
import { sumOf } from '../../support/gossip.js';
import { createPeer } from '../../support/peer.js';
import { AUTHOR, OTHER_PEER } from '../../support/sample-messages.js';
import { shiftDate } from '../../support/shifted-clock.js';
import { waitFor } from '../../support/wait.js';
import { startService } from './service-fixture.js';

const HASH = 'ab'.repeat(32);
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;
const STRANGER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;

const status = (peer: PeerIdText, changes: object = {}) =>
  ({
    type: 'node_status',
    peer,
    height: 120,
    hash: HASH,
    dataHubUrl: asHub('https://hub.example/api'),
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
    ...changes,
  }) as const;

function code(expected: Status): (error: Error) => boolean {
  return (error) => {
    assert.ok(error instanceof RpcError, `${error.name}: ${error.message}`);
    assert.equal(error.codeName, Status[expected], error.message);
    return true;
  };
}

const recent = (seconds: bigint) => Math.abs(Number(seconds) - Date.now() / 1000) < 60;

test('the registry shows of each peer what it told, its connection, its bans and how dealing with it went', async (context) => {
  const { client, peer, peerRegistry, scores } = await startService(context);
  const other = await createPeer({ context });
  await other.dial(peer.address);
  await waitFor(() => peer.libp2p.getPeers().length === 1, { what: 'the connection' });
  peerRegistry.known.learn(status(other.id));
  scores.add(other.id, 'spam');
  assert.equal(await client.recordCatchupAttempt(other.id), true);
  assert.equal(await client.recordCatchupSuccess(other.id, 300n), true);
  assert.equal(await client.recordCatchupFailure(other.id), true);
  assert.equal(await client.updateCatchupError(other.id, 'no <b>such</b> block'), true);
  const shown = await client.getPeer(other.id);
  assert.ok(shown !== undefined);
  const { connected_at, last_message_time, last_interaction_attempt, ...rest } = shown;
  const { last_interaction_success, last_interaction_failure, last_catchup_error_time, ...fixed } = rest;
  for (const time of [connected_at, last_message_time, last_interaction_attempt, last_interaction_success]) {
    assert.ok(recent(time));
  }
  assert.ok(recent(last_interaction_failure) && recent(last_catchup_error_time));
  assert.deepEqual(
    { ...fixed, reputation_score: Math.round(fixed.reputation_score * 100) / 100 },
    {
      id: other.id,
      height: 120,
      block_hash: HASH,
      data_hub_url: 'https://hub.example/api',
      ban_score: 50,
      is_banned: false,
      is_connected: true,
      bytes_received: 2n ** 60n,
      last_block_time: 0n,
      interaction_attempts: 1n,
      interaction_successes: 1n,
      interaction_failures: 1n,
      reputation_score: 49.5,
      malicious_count: 0n,
      avg_response_time_ms: 300n,
      storage: 'full',
      client_name: 'name',
      last_catchup_error: 'no bsuch/b block',
      catchup_attempts: 1n,
      catchup_successes: 1n,
      catchup_failures: 1n,
    },
  );
  assert.deepEqual(await client.getPeerRegistry(), [shown]);
  assert.equal(await client.getPeer(STRANGER), undefined);
  scores.add(other.id, 'spam');
  assert.equal((await client.getPeer(other.id))?.is_banned, true);
});

for (const hours of [-1, 2]) {
  test(`times are told by the clock as it is: set by ${hours} hours, a moment ago is a moment ago`, async (context) => {
    const { client, peerRegistry } = await startService(context);
    let shift = 0;
    context.after(shiftDate(() => shift));
    const told = async () => {
      const shown = await client.getPeer(STRANGER);
      assert.ok(shown !== undefined);
      return [shown.last_message_time, shown.last_interaction_attempt, shown.connected_at];
    };
    peerRegistry.known.learn(status(STRANGER));
    await client.recordCatchupAttempt(STRANGER);
    shift = hours * 3_600_000;
    const [heard, attempt, connected] = await told();
    assert.ok(recent(heard ?? 0n), `heard at ${heard}`);
    assert.ok(recent(attempt ?? 0n), `attempt at ${attempt}`);
    assert.equal(connected, 0n, 'never stays never');
  });
}

test('the registry has the best reputation first, and no entry of the node itself', async (context) => {
  const { client, peer, peerRegistry } = await startService(context);
  peerRegistry.known.learn(status(peer.id));
  peerRegistry.known.learn(status(STRANGER));
  await client.recordCatchupMalicious(AUTHOR);
  await client.reportValidBlock(OTHER_PEER, HASH);
  const ids = (await client.getPeerRegistry()).map(({ id }) => id);
  assert.deepEqual(ids, [OTHER_PEER, STRANGER, AUTHOR]);
});

test('int64 and uint64 are whole at their limits', async (context) => {
  const { client } = await startService(context);
  assert.equal(await client.recordBytesDownloaded(AUTHOR, MAX_UINT64), true);
  assert.equal(await client.recordBytesDownloaded(AUTHOR, MAX_UINT64), true);
  await client.recordCatchupSuccess(AUTHOR, MAX_INT64);
  await client.reportValidBlockHeaders(AUTHOR, MAX_INT64);
  const shown = await client.getPeer(AUTHOR);
  assert.equal(shown?.bytes_received, MAX_UINT64);
  assert.equal(shown?.avg_response_time_ms, MAX_INT64);
});

test('catch-ups are counted as services report them, failures by kind', async (context) => {
  const { client, registry } = await startService(context);
  const count = async (name: string, labels: Record<string, string> = {}) =>
    sumOf(await registry.metrics(), `teranode_p2p_catchup_${name}_total`, labels);
  await client.recordCatchupAttempt(AUTHOR);
  await client.recordCatchupAttempt(AUTHOR);
  await client.recordCatchupSuccess(AUTHOR, 10n);
  await client.recordCatchupFailure(AUTHOR);
  await client.recordCatchupFailure(AUTHOR, 'nonsense of theirs');
  await client.recordCatchupFailure(AUTHOR, 'block_incomplete', HASH);
  await client.reportValidBlock(AUTHOR, HASH);
  await assert.rejects(client.recordCatchupAttempt('nobody'));
  assert.equal(await count('attempts'), 2);
  assert.equal(await count('successes'), 1);
  assert.equal(await count('failures', { kind: 'generic' }), 2);
  assert.equal(await count('failures', { kind: 'block_incomplete' }), 1);
});

test('reports say what was recorded and count as successes', async (context) => {
  const { client } = await startService(context);
  assert.deepEqual(await client.reportValidSubtree(AUTHOR, HASH), {
    success: true,
    message: 'subtree validation recorded',
  });
  assert.equal((await client.getPeer(AUTHOR))?.last_block_time, 0n);
  assert.deepEqual(await client.reportValidBlock(AUTHOR, HASH.toUpperCase()), {
    success: true,
    message: 'block validation recorded',
  });
  assert.deepEqual(await client.reportValidBlockHeaders(AUTHOR, 0n), {
    success: true,
    message: 'headers success recorded',
  });
  const shown = await client.getPeer(AUTHOR);
  assert.equal(shown?.interaction_successes, 3n);
  assert.equal(shown?.interaction_attempts, 1n);
  assert.equal(shown?.catchup_successes, 0n);
  assert.ok(recent(shown?.last_block_time ?? 0n));
});

test('heights are capped at ours plus the lead until they are validated', async (context) => {
  const { client, peerRegistry } = await startService(context);
  peerRegistry.known.learn(status(AUTHOR, { height: 4_000_000_000 }));
  assert.equal((await client.getPeer(AUTHOR))?.height, 150);
  const progress = { height: 4_294_967_295, blockHash: 'cd'.repeat(32), chainWork: Uint8Array.of(9) };
  const taken = await client.reportValidatedChainProgress(AUTHOR, progress);
  assert.deepEqual(taken, { success: true, message: 'validated chain progress recorded' });
  const lifted = await client.getPeer(AUTHOR);
  assert.deepEqual([lifted?.height, lifted?.block_hash], [4_294_967_295, 'cd'.repeat(32)]);
  const less = { height: 1, blockHash: HASH, chainWork: Uint8Array.of(0, 8) };
  assert.match((await client.reportValidatedChainProgress(AUTHOR, less)).message, /most work stays/);
  assert.equal((await client.getPeer(AUTHOR))?.height, 4_294_967_295);
});

test('for catching up, full storage goes first, then reputation; the banned, blacklisted and hubless are left out', async (context) => {
  const { client, peerRegistry, list } = await startService(context);
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.push((await createPeer({ context, listen: false })).id);
  const [full, worse, pruned, unknown, banned, hubless, blacklisted] = ids as [string, ...string[]];
  for (const id of [full, worse ?? '', banned ?? '']) peerRegistry.known.learn(status(asPeer(id)));
  peerRegistry.known.learn(status(asPeer(pruned ?? ''), { storage: 'pruned' }));
  peerRegistry.known.learn(status(asPeer(unknown ?? ''), { storage: '' }));
  peerRegistry.known.learn(status(asPeer(hubless ?? ''), { dataHubUrl: '' }));
  peerRegistry.known.learn(
    status(asPeer(blacklisted ?? ''), { dataHubUrl: asHub('https://BLACKLISTED.example./x') }),
  );
  await list.add(banned ?? '', Date.now() + 60_000, 'operator');
  await client.recordCatchupAttempt(worse ?? '');
  await client.recordCatchupFailure(worse ?? '');
  await client.reportValidBlock(unknown ?? '', HASH);
  const peers = await client.getPeersForCatchup();
  assert.deepEqual(
    peers.map(({ id }) => id),
    [full, worse, pruned, unknown],
  );
  assert.deepEqual(peers[1], {
    id: worse,
    height: 120,
    block_hash: HASH,
    data_hub_url: 'https://hub.example/api',
    catchup_reputation_score: 5,
    catchup_attempts: 1n,
    catchup_successes: 0n,
    catchup_failures: 1n,
  });

  // Who lacked a block is not believed to have all of them.
  await client.recordCatchupFailure(full, 'block_incomplete', HASH);
  const after = await client.getPeersForCatchup();
  assert.deepEqual(
    after.map(({ id }) => id),
    [worse, pruned, unknown, full],
  );
  const doubted = await client.getPeer(full);
  assert.equal(doubted?.storage, '');
  assert.equal(doubted?.last_catchup_error, `block incomplete during catchup: ${HASH}`);
});

test('a peer is malicious when it is banned or was found to cheat', async (context) => {
  const { client, list } = await startService(context);
  assert.deepEqual(await client.isPeerMalicious(''), { is_malicious: false, reason: 'empty peer ID' });
  assert.deepEqual(await client.isPeerMalicious('junk'), { is_malicious: false, reason: 'invalid peer ID' });
  assert.deepEqual(await client.isPeerMalicious(AUTHOR), { is_malicious: false, reason: '' });
  await client.recordCatchupMalicious(AUTHOR);
  const cheat = { is_malicious: true, reason: 'malicious behaviour is recorded' };
  assert.deepEqual(await client.isPeerMalicious(AUTHOR), cheat);
  await list.add(OTHER_PEER, Date.now() + 60_000, 'operator');
  assert.deepEqual(await client.isPeerMalicious(OTHER_PEER), {
    is_malicious: true,
    reason: 'peer is banned',
  });
});

test('a peer is unhealthy when it is unknown, below 40, or mostly fails', async (context) => {
  const { client, peerRegistry } = await startService(context);
  const answer = async (id: PeerIdText) => {
    const { is_unhealthy, reason, reputation_score } = await client.isPeerUnhealthy(id);
    return [is_unhealthy, reason, Math.round(reputation_score)];
  };
  assert.deepEqual(await answer(asPeer('')), [true, 'empty peer ID', 0]);
  assert.deepEqual(await answer(asPeer('junk')), [true, 'invalid peer ID', 0]);
  assert.deepEqual(await answer(AUTHOR), [true, 'unknown peer', 0]);
  peerRegistry.known.learn(status(AUTHOR));
  assert.deepEqual(await answer(AUTHOR), [false, '', 50]);
  await client.recordCatchupFailure(AUTHOR);
  assert.deepEqual(await answer(AUTHOR), [true, 'low reputation score: 5.00', 5]);
  // Fast, and still wrong more often than right.
  await client.resetReputation(AUTHOR);
  for (let n = 0; n < 6; n++) await client.recordCatchupFailure(AUTHOR);
  for (let n = 0; n < 5; n++) await client.recordCatchupSuccess(AUTHOR, 1n);
  assert.deepEqual(await answer(AUTHOR), [false, '', 51]);
  await client.recordCatchupFailure(AUTHOR);
  assert.deepEqual(await answer(AUTHOR), [true, 'low success rate: 41.67%', 48]);
});

test('reputations are reset for one peer or for all, and the number says how many', async (context) => {
  const { client, peerRegistry } = await startService(context);
  for (const id of [AUTHOR, OTHER_PEER]) await client.recordCatchupMalicious(id);
  peerRegistry.known.learn(status(STRANGER));
  assert.equal(await client.resetReputation(AUTHOR), 1);
  assert.equal((await client.getPeer(AUTHOR))?.reputation_score, 50);
  assert.equal((await client.getPeer(OTHER_PEER))?.reputation_score, 5);
  assert.equal(await client.resetReputation((await createPeer({ context, listen: false })).id), 0);
  assert.equal(await client.resetReputation(), 3);
  assert.equal((await client.getPeer(OTHER_PEER))?.malicious_count, 0n);
  assert.equal(peerRegistry.records.isLow(OTHER_PEER), false);
});

/** Each call that changes something, with good arguments. */
const CHANGES: readonly (readonly [string, (client: PeerServiceClient, peer: string) => Promise<unknown>])[] =
  [
    ['RecordCatchupAttempt', (client, peer) => client.recordCatchupAttempt(peer)],
    ['RecordCatchupSuccess', (client, peer) => client.recordCatchupSuccess(peer, 1n)],
    ['RecordCatchupFailure', (client, peer) => client.recordCatchupFailure(peer, 'generic', HASH)],
    ['RecordCatchupMalicious', (client, peer) => client.recordCatchupMalicious(peer)],
    ['UpdateCatchupError', (client, peer) => client.updateCatchupError(peer, 'e')],
    ['ReportValidSubtree', (client, peer) => client.reportValidSubtree(peer, HASH)],
    ['ReportValidBlock', (client, peer) => client.reportValidBlock(peer, HASH)],
    ['ReportValidBlockHeaders', (client, peer) => client.reportValidBlockHeaders(peer, 1n)],
    [
      'ReportValidatedChainProgress',
      (client, peer) =>
        client.reportValidatedChainProgress(peer, {
          height: 1,
          blockHash: HASH,
          chainWork: Uint8Array.of(1),
        }),
    ],
    ['RecordBytesDownloaded', (client, peer) => client.recordBytesDownloaded(peer, 1n)],
    ['ResetReputation', (client, peer) => client.resetReputation(peer)],
  ];

test('what records, reports and resets needs the key; what is only asked does not', async (context) => {
  const { address, client, peerRegistry, registry } = await startService(context);
  for (const adminKey of [undefined, 'wrong']) {
    const stranger = new PeerServiceClient(address, adminKey === undefined ? {} : { adminKey });
    context.after(() => stranger.close());
    for (const [name, call] of CHANGES) {
      await assert.rejects(call(stranger, AUTHOR), code(Status.UNAUTHENTICATED), name);
    }
    assert.equal(await stranger.getPeer(AUTHOR), undefined);
    assert.deepEqual(await stranger.getPeerRegistry(), []);
    assert.deepEqual(await stranger.getPeersForCatchup(), []);
    assert.equal((await stranger.isPeerMalicious(AUTHOR)).is_malicious, false);
    assert.equal((await stranger.isPeerUnhealthy(AUTHOR)).is_unhealthy, true);
  }
  assert.deepEqual(peerRegistry.records.peers(), []);
  for (const [name, call] of CHANGES) await assert.doesNotReject(call(client, AUTHOR), name);
  const scrape = await registry.metrics();
  for (const [name] of CHANGES) {
    assert.match(scrape, new RegExp(`grpc_calls_total\\{method="${name}",code="UNAUTHENTICATED"\\} 2`));
  }
});

test('bad arguments are INVALID_ARGUMENT and record nothing', async (context) => {
  const { client, peerRegistry } = await startService(context);
  const invalid = code(Status.INVALID_ARGUMENT);
  for (const peer of ['', 'junk', 'x'.repeat(300), '１２Ｄ', `${AUTHOR} `, `${AUTHOR}x`]) {
    for (const [name, call] of CHANGES) {
      // Without a peer ID a reset is of all.
      if (name === 'ResetReputation' && peer === '') continue;
      await assert.rejects(call(client, peer), invalid, `${name} ${peer}`);
    }
    await assert.rejects(client.getPeer(peer), invalid, peer);
  }
  for (const ms of [-1n, -(2n ** 63n)]) {
    await assert.rejects(client.recordCatchupSuccess(AUTHOR, ms), invalid);
    await assert.rejects(client.reportValidBlockHeaders(AUTHOR, ms), invalid);
  }
  for (const hash of ['', 'ab', HASH.slice(1), `${HASH}0`, 'g'.repeat(64)]) {
    await assert.rejects(client.reportValidSubtree(AUTHOR, hash), invalid);
    await assert.rejects(client.reportValidBlock(AUTHOR, hash), invalid);
    if (hash !== '') await assert.rejects(client.recordCatchupFailure(AUTHOR, '', hash), invalid);
    const progress = { height: 1, blockHash: hash, chainWork: Uint8Array.of(1) };
    await assert.rejects(client.reportValidatedChainProgress(AUTHOR, progress), invalid);
  }
  await assert.rejects(client.recordCatchupFailure(AUTHOR, 'k'.repeat(257)), invalid);
  for (const changes of [
    { height: 0 },
    { chainWork: new Uint8Array() },
    { chainWork: new Uint8Array(33).fill(1) },
  ]) {
    const progress = { height: 1, blockHash: HASH, chainWork: Uint8Array.of(1), ...changes };
    await assert.rejects(client.reportValidatedChainProgress(AUTHOR, progress), invalid);
  }
  assert.deepEqual(peerRegistry.records.peers(), []);
  await client.updateCatchupError(AUTHOR, `\u0000\u202e${'e'.repeat(5_000)}`);
  assert.equal((await client.getPeer(AUTHOR))?.last_catchup_error, 'e'.repeat(1024));
});

test('the fields have the numbers of the contract', () => {
  const info = PeerRegistryInfo.fromPartial({
    interaction_attempts: MAX_INT64,
    catchup_failures: MAX_INT64,
    bytes_received: MAX_UINT64,
  });
  // 14, 29 and 9 as varints of int64 and uint64.
  const bytes = Buffer.from(PeerRegistryInfo.encode(info).finish()).toString('hex');
  assert.equal(bytes, `48${'ff'.repeat(9)}0170${'ff'.repeat(8)}7fe801${'ff'.repeat(8)}7f`);
});

test('a full registry is answered whole', async (context) => {
  const { address, peerRegistry } = await startService(context);
  for (let n = 0; n < 10_000; n++) {
    peerRegistry.known.learn(
      status(asPeer(`known-${n}`), { dataHubUrl: `https://${'h'.repeat(200)}.example/${n}` }),
    );
    peerRegistry.records.catchupError(asPeer(`recorded-${n}`), 'e'.repeat(1024));
  }
  const raw = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 256 * 1024 * 1024,
  });
  context.after(() => raw.close());
  const answer = await new Promise<Buffer>((resolve, reject) =>
    raw.makeUnaryRequest(
      '/p2p_api.PeerService/GetPeerRegistry',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.alloc(0),
      (error, bytes) => (error === null && bytes !== undefined ? resolve(bytes) : reject(error)),
    ),
  );
  assert.ok(answer.length > 10_000_000, `${answer.length} bytes`);
});

/** The blockchain service's registry of peers, on a grpc-go server that keeps one as Go does. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { base58btc } from 'multiformats/bases/base58';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../../src/main/bans/level-store.js';
import { BanList } from '../../src/main/bans/list.js';
import { createBanMetrics } from '../../src/main/bans/metrics.js';
import { BanScores } from '../../src/main/bans/scores.js';
import { GrpcBlockchainClient } from '../../src/main/chain/grpc-client.js';
import { createPeerMetrics } from '../../src/main/peers/metrics.js';
import { PeerRegistry } from '../../src/main/peers/registry.js';
import { RegistryClient, type RegistryClientOptions } from '../../src/main/peers/service/client.js';
import { createRegistryClientMetrics } from '../../src/main/peers/service/metrics.js';
import { type HashHex, hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import {
  GetPeerResponse,
  ListPeersResponse,
  PeerRegistryInfo,
} from '../../src/shared/generated/peer_registry.js';
import type { PeerFact } from '../../src/shared/messages/fact.js';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';
import { asHub, asPeer } from '../support/branded.js';
import { closing } from '../support/closing.js';
import { minedChain } from '../support/headers.js';
import { keptLog } from '../support/logger.js';
import { AUTHOR, OTHER_PEER } from '../support/sample-messages.js';
import { serverSettings, startServer } from '../support/server.js';
import { type SettingChanges, settingsOf } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { BusClient } from './bus.js';
import { type GoAnswer, GoGrpcClient, GoGrpcServer, GoStatus, type RegistryRow } from './grpc.js';
import { goTopic } from './params.js';

const CHAIN = 'blockchain_api.BlockchainAPI';
const REGISTRY = 'blockchain_api.PeerRegistryService';
const OWN_PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;
const HUB = asHub('https://hub.example/api/v1');
const HASH = `${'ab'.repeat(31)}cd`;
const KEY = 'the-key-of-the-node';
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const wire = base64(hashToBytes(HASH as HashHex));

/** A peer ID of a key that nobody has. */
function madeUpPeer(): string {
  const identity = Buffer.concat([Buffer.from([0, 36, 8, 1, 18, 32]), randomBytes(32)]);
  return base58btc.encode(identity).slice(1);
}

const status = (peer: PeerIdText, changes: Partial<Extract<PeerFact, { type: 'node_status' }>> = {}) =>
  ({
    type: 'node_status',
    peer,
    height: 120,
    hash: HASH,
    dataHubUrl: HUB,
    clientName: 'a name',
    storage: 'full',
    chainWork: '0f',
    ...changes,
  }) as const;

interface Setup {
  readonly go?: GoGrpcServer;
  /** Of the embedded store; a new one unless told. */
  readonly directory?: string;
  readonly settings?: SettingChanges;
  readonly options?: Partial<RegistryClientOptions>;
  readonly spared?: readonly string[];
  /** Whether Go's server listens before the client starts. */
  readonly listen?: boolean;
}

/** What a server has around its client of the registry, without the rest of it. */
async function clientOf(context: TestContext, setup: Setup = {}) {
  const go =
    setup.go ??
    new GoGrpcServer(context, [CHAIN, REGISTRY], { GetFSMCurrentState: () => ({ state: 'RUNNING' }) });
  if (setup.go === undefined) {
    await go.listen({ registry: true });
    if (setup.listen === false) await go.stop();
  }
  const directory = setup.directory ?? join(temporaryDirectory(context), 'level');
  const level = new ClassicLevel<string, Uint8Array>(directory, { valueEncoding: 'view' });
  const { logger, lines } = keptLog();
  const metrics = new Registry();
  const chain = new GrpcBlockchainClient({
    settings: settingsOf({ blockchain_grpcAddress: go.address, ...setup.settings }),
    logger,
  });
  const banMetrics = createBanMetrics(metrics);
  const list = new BanList({ store: new LevelBanStore({ level, logger }), logger, metrics: banMetrics });
  await list.open();
  list.start();
  const isProtected = (peer: PeerIdText) => setup.spared?.includes(peer) ?? false;
  const connections: { id: PeerIdText; bytesSent: bigint; bytesReceived: bigint }[] = [];
  const scores = new BanScores(
    {
      list,
      logger,
      metrics: banMetrics,
      isProtected,
    },
    { threshold: 100, durationMs: 3_600_000, generation: 'current' },
  );
  const peers = new PeerRegistry(
    {
      level,
      logger,
      metrics: createPeerMetrics(metrics),
      ownHeight: () => 100,
    },
    { maxHeightLead: 1000 },
  );
  await peers.open();
  const client = new RegistryClient(
    {
      calls: chain.peerRegistry,
      logger,
      metrics: createRegistryClientMetrics(metrics),
      registry: peers,
      list,
      level,
      ownPeer: () => OWN_PEER,
      connections: () => connections,
      isConfigured: () => false,
      isProtected,
    },
    // A busy machine's answers are late in no test but the one of late answers.
    { intervalMs: 30, banDurationMs: 3_600_000, awayMs: 200, freshMs: 200, callMs: 60_000, ...setup.options },
  );
  peers.records.on('report', (report) => client.reported(report));
  scores.on('offence', (peer, reason, points) => client.offended(peer, reason, points));
  const close = closing(context, async () => {
    await client.stop();
    await list.stop();
    await peers.stop();
    await chain.close();
    await level.close();
  });
  await client.start();
  const connect = (peer: PeerIdText): void => {
    connections.push({ id: peer, bytesSent: 0n, bytesReceived: 0n });
    peers.known.connected(peer);
  };
  const disconnect = (peer: PeerIdText, bytes = 0n): void => {
    connections.splice(
      connections.findIndex(({ id }) => id === peer),
      1,
    );
    peers.known.disconnected(peer, bytes);
    client.disconnected(peer, bytes);
  };
  /** As a server takes an accepted status. */
  const speak = (peer: PeerIdText, changes: Parameters<typeof status>[1] = {}): void => {
    client.received(peer);
    peers.known.learn(status(peer, changes));
    client.told(peer);
  };
  const reaches = (state: RegistryClient['state']) =>
    waitFor(() => client.state === state, { what: `state ${state}, not ${client.state}`, timeoutMs: 60_000 });
  const figure = async (name: string, labels: Record<string, string> = {}) => {
    const { values } = (await metrics
      .getSingleMetric(`teranode_p2p_peer_registry_service_${name}`)
      ?.get()) ?? { values: [] };
    return values
      .filter((value) => Object.entries(labels).every(([key, wanted]) => value.labels[key] === wanted))
      .reduce((sum, { value }) => sum + value, 0);
  };
  return {
    go,
    registry: go.registry,
    client,
    peers,
    list,
    scores,
    lines,
    directory,
    connections,
    connect,
    disconnect,
    speak,
    reaches,
    figure,
    close,
  };
}

/** The row of a peer, once `wanted` takes it. */
const rowOf = (
  { registry }: { registry: GoGrpcServer['registry'] },
  peer: string,
  wanted: (row: RegistryRow) => boolean = () => true,
) =>
  waitFor(
    async () => {
      const row = await registry.row(peer);
      return row !== undefined && wanted(row) ? row : undefined;
    },
    { what: `a row of ${peer} as wanted`, timeoutMs: 60_000, everyMs: 20 },
  );

const said = (lines: readonly Record<string, unknown>[], level: number) =>
  lines.filter((line) => Number(line.level) >= level).map(({ msg }) => String(msg));
const WARN = 40;
const INFO = 30;

test('what a peer tells stands in the registry, its connection once it has spoken, and many messages are few calls', async (context) => {
  const tested = await clientOf(context, { options: { intervalMs: 500 } });
  const { registry, connect, disconnect, speak, reaches, client } = tested;
  await reaches('serving');
  const silent = madeUpPeer();
  connect(AUTHOR);
  connect(asPeer(silent));
  for (let height = 1; height <= 200; height++) speak(AUTHOR, { height });
  speak(OTHER_PEER, { storage: 'pruned', dataHubUrl: '' });
  const row = await rowOf(tested, AUTHOR, (found) => found.is_connected === true && found.height === 200);
  assert.deepEqual(
    [row.transport_type, row.client_name, row.data_hub_url, row.storage, row.block_hash, row.is_banned],
    ['TRANSPORT_HTTP', 'a name', HUB, 'full', wire, false],
  );
  assert.notEqual(row.last_message_time, undefined);
  // Heard over others: it is known, and not connected.
  const other = await rowOf(tested, OTHER_PEER, (found) => found.storage === 'pruned');
  assert.equal(other.is_connected, false);
  // Connected, and never heard: nothing to say yet.
  assert.equal(await registry.row(silent), undefined);
  const registered = (await registry.requests('RegisterPeer')).filter(
    ({ message }) => (message.peer as RegistryRow).peer_id === AUTHOR,
  );
  assert.ok(registered.length <= 3, `${registered.length} calls for 200 messages`);
  disconnect(AUTHOR, 5_000n);
  await rowOf(tested, AUTHOR, (found) => found.is_connected === false && found.bytes_received === '5000');
  assert.equal(client.health().status, 200);
});

test('bytes of connections are told as what was added', async (context) => {
  const tested = await clientOf(context);
  const { connect, connections, speak, reaches, disconnect } = tested;
  await reaches('serving');
  connect(AUTHOR);
  speak(AUTHOR);
  await rowOf(tested, AUTHOR, (row) => row.is_connected === true);
  Object.assign(connections[0] as object, { bytesSent: 70n, bytesReceived: 1_000n });
  await rowOf(tested, AUTHOR, (row) => row.bytes_received === '1000' && row.bytes_sent === '70');
  disconnect(AUTHOR, 1_500n);
  await rowOf(tested, AUTHOR, (row) => row.bytes_received === '1500');
});

test('what the services report of a peer is passed on, each report once, with Go’s reputation', async (context) => {
  const tested = await clientOf(context);
  const { peers, registry, scores, reaches, speak, client } = tested;
  await reaches('serving');
  speak(AUTHOR);
  const { records } = peers;
  records.catchupAttempt(AUTHOR);
  records.catchupSuccess(AUTHOR, 300n);
  records.catchupFailure(AUTHOR, 'call');
  records.catchupError(AUTHOR, 'no such block');
  records.validBlock(AUTHOR);
  records.validSubtree(AUTHOR);
  records.validHeaders(AUTHOR, 100n);
  records.subtreeFailure(AUTHOR);
  records.bytesDownloaded(AUTHOR, 77n);
  records.validatedProgress(AUTHOR, 119, HASH, Uint8Array.of(0, 9));
  records.doubtStorage(AUTHOR);
  client.syncAttempt(AUTHOR);
  scores.add(AUTHOR, 'spam');
  scores.add(AUTHOR, 'catchup_malicious');
  const row = await rowOf(tested, AUTHOR, ({ is_banned }) => is_banned === true);
  assert.deepEqual(
    [row.catchup_attempts, row.catchup_successes, row.catchup_failures, row.last_catchup_error],
    ['1', '1', '1', 'no such block'],
  );
  assert.deepEqual([row.blocks_received, row.subtrees_received, row.bytes_received], ['1', '1', '77']);
  assert.deepEqual([row.interaction_successes, row.interaction_failures], ['4', '2']);
  assert.deepEqual(
    [row.validated_height, row.validated_block_hash, row.validated_chain_work],
    [119, wire, base64(Uint8Array.of(0, 9))],
  );
  assert.deepEqual([row.storage, row.full_storage_contradictions, row.sync_attempt_count], ['', '1', 2]);
  assert.ok(Date.parse(String(row.full_storage_penalty_until)) > Date.now());
  assert.deepEqual(await registry.reasons(AUTHOR), ['spam', 'catchup_malicious']);
  // The same figures make the same reputation on both sides.
  assert.ok(Math.abs(Number(row.reputation_score) - records.get(AUTHOR).reputation) < 0.001);
  records.malicious(AUTHOR);
  await rowOf(tested, AUTHOR, ({ reputation_score }) => reputation_score === 5);
  await waitFor(() => client.isLow(AUTHOR) === true, { what: 'the low reputation' });
  records.reset(AUTHOR);
  assert.notEqual(client.isLow(AUTHOR), true);
  await rowOf(tested, AUTHOR, (found) => found.reputation_score === 50 && found.malicious_count === '0');
});

test('what others recorded there counts here for messages, is asked in the background, and joins what PeerService answers', async (context) => {
  const tested = await clientOf(context);
  const { registry, client, speak, reaches, peers } = tested;
  await reaches('serving');
  speak(AUTHOR);
  const row = await rowOf(tested, AUTHOR);
  assert.equal(client.isLow(AUTHOR), undefined);
  await registry.put({ ...row, malicious_count: '1', interaction_failures: '1', reputation_score: 5 });
  // Nobody waits: it is answered when the background has asked.
  await waitFor(() => client.isLow(AUTHOR) === true, { what: 'the low reputation' });
  await registry.put({ ...row, interaction_successes: '3', reputation_score: 80 });
  await waitFor(() => client.isLow(AUTHOR) === false, { what: 'the good reputation' });
  assert.equal(client.row(AUTHOR)?.successes, 3);
  // Before its signature anybody may be named: nobody is asked about strangers.
  const before = (await registry.counts()).GetPeer ?? 0;
  for (let many = 0; many < 500; many++) assert.equal(client.isLow(asPeer(madeUpPeer())), undefined);
  peers.known.learn(status(OTHER_PEER));
  client.isLow(OTHER_PEER);
  await waitFor(async () => ((await registry.counts()).GetPeer ?? 0) > before, { what: 'a question' });
  assert.ok(
    (await registry.requests('GetPeer')).every(({ message }) =>
      [AUTHOR, OTHER_PEER].includes(asPeer(String(message.peer_id))),
    ),
  );
});

test('who is banned there is banned here until it is not, whom an operator lets in stays, and protected peers are spared', async (context) => {
  const spared = madeUpPeer();
  const first = await clientOf(context, { spared: [spared] });
  const { registry, list, lines } = first;
  await first.reaches('serving');
  await registry.ban(
    AUTHOR,
    OTHER_PEER,
    spared,
    OWN_PEER,
    '192.0.2.7:8333',
    'no peer ID',
    'x'.repeat(1_000_000),
  );
  await waitFor(() => list.isPeerBanned(AUTHOR) && list.isPeerBanned(OTHER_PEER), { what: 'the bans' });
  assert.deepEqual(
    [list.isPeerBanned(asPeer(spared)), list.isPeerBanned(OWN_PEER), list.size],
    [false, false, 2],
  );
  assert.deepEqual(
    list.list().map(({ origin, reason }) => [origin, reason]),
    Array(2).fill(['registry', 'by the peer registry of the blockchain service']),
  );
  assert.ok((await first.figure('rows_refused_total')) >= 3);
  await registry.unban(AUTHOR);
  await waitFor(() => !list.isPeerBanned(AUTHOR), { what: 'the end of a ban' });

  // As PeerService does it.
  assert.equal(first.client.pardon(OTHER_PEER), true);
  await list.remove(OTHER_PEER);
  const asked = async () => (await registry.counts()).ListBannedPeers ?? 0;
  const looks = await asked();
  await waitFor(async () => (await asked()) > looks + 1, { what: 'two more looks' });
  assert.equal(list.isPeerBanned(OTHER_PEER), false);
  await first.close();

  const second = await clientOf(context, { go: first.go, directory: first.directory });
  await second.reaches('serving');
  await waitFor(() => second.list.isPeerBanned(asPeer(spared)), { what: 'a ban of whom nobody spares now' });
  assert.equal(second.list.isPeerBanned(OTHER_PEER), false);
  // Let in there, and banned anew: the operator's word was about the other ban.
  await registry.unban(OTHER_PEER);
  const seen = await asked();
  await waitFor(async () => (await asked()) > seen + 1, { what: 'two more looks' });
  await registry.ban(OTHER_PEER);
  await waitFor(() => second.list.isPeerBanned(OTHER_PEER), { what: 'the new ban' });
  assert.deepEqual(said(lines, WARN), []);
});

test('a ban that our report made there is in force at once, and a protected peer is not reported', async (context) => {
  const tested = await clientOf(context, { spared: [OTHER_PEER] });
  const { registry, list, client, scores, peers, reaches } = tested;
  await reaches('serving');
  for (const peer of [AUTHOR, OTHER_PEER]) client.offended(peer, 'spam', 50);
  client.offended(AUTHOR, 'a reason of tomorrow', 60);
  await waitFor(() => list.isPeerBanned(AUTHOR), { what: 'the ban' });
  assert.match(list.list()[0]?.reason ?? '', /a reason of tomorrow/);
  scores.add(OTHER_PEER, 'spam');
  peers.records.catchupError(OTHER_PEER, 'told after it');
  await rowOf(tested, OTHER_PEER, ({ last_catchup_error }) => last_catchup_error === 'told after it');
  assert.deepEqual(await registry.reasons(OTHER_PEER), []);
});

test('at the start rows of ours that say connected are taken back, other transports’ are not touched', async (context) => {
  const go = new GoGrpcServer(context, [CHAIN, REGISTRY]);
  await go.listen({ registry: true });
  const wire = madeUpPeer();
  const row = (peer_id: string, changes: object = {}): RegistryRow => ({
    peer_id,
    client_name: 'before',
    height: 7,
    is_connected: true,
    reputation_score: 50,
    ...changes,
  });
  await go.registry.put(
    row(AUTHOR),
    row(OTHER_PEER, { is_connected: false }),
    row('192.0.2.7:8333', { transport_type: 'TRANSPORT_WIRE_PROTOCOL' }),
    row(wire, { transport_type: 'TRANSPORT_WIRE_PROTOCOL' }),
  );
  const tested = await clientOf(context, { go });
  await rowOf(tested, AUTHOR, ({ is_connected }) => is_connected === false);
  await waitFor(() => tested.client.legacyConnected === 2, { what: 'the legacy peers' });
  // They are who they were while it cannot say so.
  await go.registry.behave({ code: INTERNAL, methods: ['ListPeers'] });
  const { ListPeers: before = 0 } = await go.registry.counts();
  await waitFor(async () => ((await go.registry.counts()).ListPeers ?? 0) > before + 1, {
    what: 'questions in vain',
  });
  assert.equal(tested.client.legacyConnected, 2);
  // Even one that bears a peer ID that we hear of.
  tested.speak(asPeer(wire));
  tested.speak(OTHER_PEER);
  await rowOf(tested, OTHER_PEER, ({ height }) => height === 120);
  for (const id of ['192.0.2.7:8333', wire]) {
    const { transport_type, is_connected, height }: Partial<Record<string, unknown>> =
      (await go.registry.row(id)) ?? {};
    assert.deepEqual([transport_type, is_connected, height], ['TRANSPORT_WIRE_PROTOCOL', true, 7]);
  }
  const touched = (await go.registry.requests()).filter(({ message }) => message.peer_id === wire);
  assert.deepEqual(touched, []);
  assert.equal(tested.client.row(asPeer(wire)), undefined);
});

test('a service that was away gets what it missed; one that lost its file gets everything, nothing twice', async (context) => {
  const began = performance.now();
  const tested = await clientOf(context);
  const { go, registry, client, peers, speak, connect, reaches, lines } = tested;
  await reaches('serving');
  connect(AUTHOR);
  speak(AUTHOR);
  peers.records.catchupAttempt(AUTHOR);
  await rowOf(tested, AUTHOR, (row) => row.catchup_attempts === '1' && row.is_connected === true);
  for (const lost of [false, true]) {
    await go.stop();
    await reaches('away');
    if (lost) await registry.clear();
    peers.records.catchupAttempt(AUTHOR);
    peers.records.validBlock(AUTHOR);
    peers.records.bytesDownloaded(AUTHOR, 10n);
    speak(OTHER_PEER, { height: lost ? 300 : 200 });
    speak(AUTHOR);
    await go.listen({ registry: true });
    const attempts = lost ? '3' : '2';
    await rowOf(tested, AUTHOR, (row) => row.catchup_attempts === attempts && row.is_connected === true);
    await rowOf(tested, OTHER_PEER, ({ height }) => height === (lost ? 300 : 200));
    await reaches('serving');
    // What comes next counts on from there.
    peers.records.catchupError(AUTHOR, `after ${attempts}`);
    const row = await rowOf(
      tested,
      AUTHOR,
      ({ last_catchup_error }) => last_catchup_error === `after ${attempts}`,
    );
    // Of what the service alone counts it knows what was reported since it lost its file.
    assert.deepEqual(
      [
        row.catchup_attempts,
        row.interaction_successes,
        row.blocks_received,
        row.bytes_received,
        row.client_name,
      ],
      [attempts, lost ? '2' : '1', '1', '10', 'a name'],
    );
  }
  assert.equal(client.health().status, 200);
  // It came and went within a minute: that is told once.
  const most = 1 + Math.floor((performance.now() - began) / 60_000);
  for (const told of ['does not answer', 'the peer registry of the blockchain service is in use']) {
    const { length } = said(lines, INFO).filter((line) => line.includes(told));
    assert.ok(length >= 1 && length <= most, `${length} lines with “${told}”`);
  }
});

test('a service that answers too late holds nobody up, and what may have been done is not done twice', async (context) => {
  const tested = await clientOf(context, { options: { callMs: 1_000 } });
  const { registry, client, peers, speak, reaches } = tested;
  await reaches('serving');
  speak(AUTHOR);
  await rowOf(tested, AUTHOR);
  await registry.behave({ delayMs: 600_000, afterEffect: true, methods: ['RecordCatchupAttempt'] });
  peers.records.catchupAttempt(AUTHOR);
  peers.records.catchupError(AUTHOR, 'told after it');
  const began = performance.now();
  for (let many = 0; many < 10_000; many++) client.received(AUTHOR);
  await reaches('away');
  assert.ok(performance.now() - began < 600_000);
  await registry.behave();
  const row = await rowOf(tested, AUTHOR, ({ last_catchup_error }) => last_catchup_error === 'told after it');
  assert.equal(row.catchup_attempts, '1');
  // Others may be late as well.
  assert.ok((await tested.figure('calls_total', { outcome: 'late' })) >= 1);
});

test('what waits while the service is away is bounded, strangers go first, and the rest is counted', async (context) => {
  const tested = await clientOf(context, { listen: false, options: { maxPending: 1_000 } });
  const { go, client, peers, connect, speak, reaches, figure, registry } = tested;
  await reaches('away');
  for (let many = 0; many < 3_000; many++) client.received(asPeer(madeUpPeer()));
  connect(AUTHOR);
  speak(AUTHOR);
  peers.records.validBlock(OTHER_PEER);
  assert.equal(await figure('dropped_total'), 2_002);
  await go.listen({ registry: true });
  await rowOf(tested, AUTHOR, ({ is_connected }) => is_connected === true);
  await rowOf(tested, OTHER_PEER);
  await waitFor(async () => (await registry.rows()).length === 1_000, {
    what: 'all that waited',
    timeoutMs: 60_000,
  });
});

test('a full registry takes no more peers, and goes on with those that it has', async (context) => {
  const tested = await clientOf(context);
  const { registry, speak, reaches, client, lines, figure } = tested;
  await reaches('serving');
  speak(AUTHOR);
  await rowOf(tested, AUTHOR);
  await registry.behave({ capacity: 1 });
  speak(OTHER_PEER);
  speak(asPeer(madeUpPeer()));
  await waitFor(() => client.health().message.includes('full'), { what: 'the word full' });
  speak(AUTHOR, { height: 130 });
  await rowOf(tested, AUTHOR, ({ height }) => height === 130);
  assert.equal((await registry.rows()).length, 1);
  assert.equal(client.state, 'serving');
  assert.ok((await figure('dropped_total')) >= 2);
  assert.equal(said(lines, WARN).length, 1);
  // One that sheds everything is no reason to stop.
  await registry.behave({ code: 8 });
  speak(AUTHOR, { height: 131 });
  await waitFor(async () => (await figure('calls_total', { outcome: 'full' })) > 3, { what: 'refusals' });
  await registry.behave();
  await rowOf(tested, AUTHOR, ({ height }) => {
    speak(AUTHOR, { height: 131 });
    return height === 131;
  });
});

test('an older service without a registry is normal: one quiet line, nothing gathered, and it is asked again', async (context) => {
  const older = new GoGrpcServer(context, [CHAIN]);
  await older.listen();
  const without = await clientOf(context, { go: older });
  await without.reaches('absent');
  without.speak(AUTHOR);
  without.peers.records.validBlock(AUTHOR);
  assert.equal(await without.figure('pending'), 0);
  assert.match(without.client.health().message, /no peer registry/);
  assert.deepEqual(said(without.lines, WARN), []);
  assert.equal(said(without.lines, INFO).length, 1);

  const go = new GoGrpcServer(context, [CHAIN, REGISTRY]);
  await go.listen({ registry: true });
  await go.registry.behave({ code: UNIMPLEMENTED });
  const tested = await clientOf(context, { go, options: { absentMs: 100 } });
  await tested.reaches('absent');
  tested.connect(AUTHOR);
  tested.speak(AUTHOR);
  tested.peers.records.catchupAttempt(AUTHOR);
  await waitFor(async () => ((await go.registry.counts()).ListPeers ?? 0) > 3, { what: 'more questions' });
  assert.equal(said(tested.lines, INFO).length, 1);
  // It is updated: everything that is known here is offered.
  await go.registry.behave();
  const row = await rowOf(tested, AUTHOR, ({ catchup_attempts }) => catchup_attempts === '1');
  assert.deepEqual([row.client_name, row.interaction_attempts], ['a name', '1']);
  // A method that it lacks is left out, the others go on.
  await go.registry.behave({
    code: UNIMPLEMENTED,
    methods: ['UpdateLastMessageTime', 'ReconsiderBadPeers', 'GetPeer'],
  });
  tested.speak(AUTHOR, { height: 140 });
  await rowOf(tested, AUTHOR, ({ height }) => height === 140);
  tested.peers.records.validBlock(AUTHOR);
  await rowOf(tested, AUTHOR, ({ blocks_received }) => blocks_received === '1');
  assert.equal(tested.client.state, 'serving');
});

test('the key of the node goes with every call; without it nothing is used, and the log says so once', async (context) => {
  const go = new GoGrpcServer(context, [CHAIN, REGISTRY]);
  await go.listen({ registry: true, apiKey: KEY });
  const keyed = await clientOf(context, { go, settings: { grpc_admin_api_key: KEY } });
  await keyed.reaches('serving');
  keyed.speak(AUTHOR);
  await rowOf(keyed, AUTHOR);
  const keyless = await clientOf(context, { go });
  await keyless.reaches('refused');
  assert.match(keyless.client.health().message, /grpc_admin_api_key/);
  assert.equal(said(keyless.lines, WARN).length, 1);
});

test('answers with fields of tomorrow are understood, and those that make no sense do no harm', async (context) => {
  const tested = await clientOf(context);
  const { registry, client, speak, reaches, list, figure } = tested;
  await reaches('serving');
  speak(AUTHOR);
  await rowOf(tested, AUTHOR);
  const info = (changes: Partial<PeerRegistryInfo>) =>
    PeerRegistryInfo.fromPartial({
      peer_id: AUTHOR,
      reputation_score: 70,
      interaction_successes: 1n,
      ...changes,
    });
  /** Field 200 of a message, a length and some bytes. */
  const unknown = Buffer.from([0xc2, 0x0c, 3, 1, 2, 3]);
  const answers = async (method: string, bytes: Uint8Array) => {
    const count = async () => (await registry.counts())[method] ?? 0;
    const before = await count();
    await registry.behave({ methods: [method], raw: base64(bytes) });
    return { asked: () => waitFor(async () => (await count()) > before, { what: method }) };
  };
  const nested = Buffer.concat([PeerRegistryInfo.encode(info({ catchup_successes: 9n })).finish(), unknown]);
  const tomorrow = Buffer.concat([Buffer.from([0x0a, nested.length]), nested, unknown]);
  await answers('GetPeer', tomorrow);
  await waitFor(() => client.isLow(AUTHOR) === false && client.row(AUTHOR)?.catchupSuccesses === 9, {
    what: 'the row of tomorrow',
  });

  const got = (changes: Partial<PeerRegistryInfo>) =>
    GetPeerResponse.encode(GetPeerResponse.fromPartial({ peer: info(changes) })).finish();
  const hostile = [
    got({ reputation_score: Number.NaN }),
    got({ peer_id: OTHER_PEER, reputation_score: 1 }),
    got({ peer_id: 'no peer ID' }),
    got({ transport_type: 1 }),
    got({ transport_type: 99 as 1 }),
  ];
  for (const bytes of hostile) {
    const refused = await figure('rows_refused_total');
    await answers('GetPeer', bytes);
    await waitFor(
      async () => {
        client.isLow(AUTHOR);
        return (await figure('rows_refused_total')) > refused;
      },
      { what: 'a refused row' },
    );
    assert.notEqual(client.isLow(AUTHOR), true);
  }
  const odd = got({
    client_name: `<b>${'n'.repeat(300_000)}`,
    data_hub_url: `javascript:${'x'.repeat(1_000_000)}`,
    block_hash: Buffer.alloc(5),
    storage: 'everything',
    reputation_score: 1e300,
    ban_score: -5,
    avg_response_time_ms: -1n,
    interaction_failures: -7n,
    bytes_received: 2n ** 64n - 1n,
    last_catchup_error: '\u202e'.repeat(100_000),
    last_seen: new Date(8.64e15),
  });
  await answers('GetPeer', odd);
  const row = await waitFor(
    () => {
      client.isLow(AUTHOR);
      const found = client.row(AUTHOR);
      return found?.name.startsWith('bnnn') ? found : undefined;
    },
    { what: 'the odd row' },
  );
  assert.deepEqual(
    [
      row.name.length,
      row.dataHubUrl,
      row.blockHash,
      row.storage,
      row.reputation,
      row.banScore,
      row.averageMs,
      row.failures,
      row.catchupError,
    ],
    [64, '', '', '', 100, 0, 0n, 0, ''],
  );

  // No protobuf at all, and a list of ten thousand rows, half of them nonsense.
  const failed = await figure('calls_total', { outcome: 'failed' });
  await answers('GetPeer', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff]));
  await waitFor(
    async () => {
      client.isLow(AUTHOR);
      return (await figure('calls_total', { outcome: 'failed' })) > failed;
    },
    { what: 'a failed call' },
  );
  const rows = Array.from({ length: 10_000 }, (_, at) =>
    info({ peer_id: at % 2 === 0 ? madeUpPeer() : `nobody ${at}`, client_name: 'n'.repeat(100) }),
  );
  const refusedRows = await figure('rows_refused_total');
  await answers('ListPeers', ListPeersResponse.encode({ peers: rows }).finish());
  await waitFor(
    async () => {
      await client.refresh();
      return [...client.rows()].length === 5_000;
    },
    { what: 'the five thousand' },
  );
  assert.ok((await figure('rows_refused_total')) >= refusedRows + 5_000);
  assert.equal(list.size, 0);
  // The large answer may have come too late once.
  await reaches('serving');
});

/** An answer to GetPeer. */
const gotten = (changes: Partial<PeerRegistryInfo>): string =>
  base64(
    GetPeerResponse.encode(
      GetPeerResponse.fromPartial({ peer: { peer_id: AUTHOR, reputation_score: 50, ...changes } }),
    ).finish(),
  );

test('a peer of which the service does not keep all that it was told does not end the use of the registry', async (context) => {
  const tested = await clientOf(context);
  const { registry, client, speak, reaches, lines } = tested;
  await reaches('serving');
  // As a newer service that does not keep a data hub at such an address.
  await registry.behave({ methods: ['GetPeer'], raw: gotten({ client_name: 'a name', height: 120 }) });
  speak(AUTHOR, { dataHubUrl: asHub('http://192.168.0.1/api') });
  await waitFor(async () => ((await registry.counts()).GetPeer ?? 0) > 0, { what: 'the question about it' });
  // Written one after another: the state after the question is that of the second peer's writing.
  speak(OTHER_PEER);
  await rowOf(tested, OTHER_PEER);
  assert.equal(client.state, 'serving');
  assert.deepEqual(said(lines, WARN), []);
});

test('a service that gives nothing back of what it was told is not used: of another version', async (context) => {
  const tested = await clientOf(context);
  const { registry, speak, reaches, lines } = tested;
  await reaches('serving');
  await registry.behave({ methods: ['GetPeer'], raw: gotten({}) });
  speak(AUTHOR);
  await reaches('away');
  assert.match(JSON.stringify(lines), /of a version that this server does not know/);
});

test('a flood of questions about made-up peers is not passed on to the service one for one', async (context) => {
  const { registry, client, reaches } = await clientOf(context);
  await reaches('serving');
  const asked = async () => (await registry.counts()).GetPeer ?? 0;
  const [before, began] = [await asked(), performance.now()];
  for (let round = 0; round < 100; round++) {
    await Promise.all(Array.from({ length: 32 }, () => client.refreshPeer(asPeer(madeUpPeer()))));
  }
  const seconds = (performance.now() - began) / 1000;
  const passed = (await asked()) - before;
  // 50 at once, and as many a second after that.
  assert.ok(passed >= 32 && passed <= 50 + 50 * seconds + 1, `${passed} of 3,200 in ${seconds} s`);
});

test('an answer beyond any sense is refused before it is decoded, and main is not held up by it', async (context) => {
  const { registry, client, reaches, figure } = await clientOf(context, { options: { callMs: 60_000 } });
  await reaches('serving');
  const row = ListPeersResponse.encode(
    ListPeersResponse.fromPartial({
      peers: [{ peer_id: AUTHOR, client_name: 'n'.repeat(1000), reputation_score: 60 }],
    }),
  ).finish();
  // Some 72 MB.
  await registry.behave({ methods: ['ListPeers'], raw: base64(row), times: 70_000 });
  const failed = await figure('calls_total', { outcome: 'failed' });
  const refused = await figure('rows_refused_total');
  await waitFor(
    async () => {
      await client.refresh();
      return (await figure('calls_total', { outcome: 'failed' })) > failed;
    },
    { what: 'the refusal', timeoutMs: 120_000, everyMs: 100 },
  );
  assert.equal(await figure('rows_refused_total'), refused);
  assert.equal(client.row(AUTHOR), undefined);
  await registry.behave();
  await reaches('serving');
});

test('thousands of peers are offered, familiar ones first, within what one second allows', async (context) => {
  const tested = await clientOf(context, { listen: false });
  const { go, peers, registry, reaches, speak, connect } = tested;
  await reaches('away');
  for (let many = 0; many < 3_000; many++) peers.known.learn(status(asPeer(madeUpPeer()), { height: many }));
  connect(AUTHOR);
  speak(AUTHOR);
  await go.listen({ registry: true });
  const registered = async () =>
    (await registry.requests('RegisterPeer')).map(({ message }) => (message.peer as RegistryRow).peer_id);
  await waitFor(async () => new Set(await registered()).size === 3_001, {
    what: 'all of them',
    timeoutMs: 60_000,
    everyMs: 200,
  });
  assert.equal((await registry.rows()).length, 3_001);
  assert.equal((await registry.row(AUTHOR))?.is_connected, true);
  // Among the first that go together.
  assert.ok((await registered()).indexOf(AUTHOR) < 16);
});

/** What a whole server asks of a chain that stands at one block. */
function chainAnswers(): Record<string, GoAnswer> {
  const [header] = minedChain(1) as [Uint8Array];
  const tip = { blockHeader: base64(header), height: 1, chain_work: base64(Buffer.alloc(32, 1)) };
  return {
    HealthGRPC: () => ({ ok: true }),
    GetBestBlockHeader: () => tip,
    GetBlockHeader: ({ message }) =>
      message.blockHash === base64(hashToBytes(headerHash(header))) ? tip : {},
    GetFSMCurrentState: () => ({ state: 'RUNNING' }),
    GetState: () => new GoStatus(5),
  };
}

test('a whole server beside a Go peer: its row comes with its first message and goes with the server, PeerService joins both', async (context) => {
  const go = new GoGrpcServer(context, [CHAIN, REGISTRY], chainAnswers());
  await go.listen({ registry: true });
  const elsewhere = madeUpPeer();
  await go.registry.put({
    peer_id: elsewhere,
    data_hub_url: HUB,
    height: 9,
    storage: 'full',
    reputation_score: 90,
    interaction_successes: '4',
  });
  const settings = serverSettings(context, {
    p2p_notification_servers: 1,
    blockchain_grpcAddress: go.address,
    p2p_peer_registry_batch_interval: 50,
  });
  const { server, address } = await startServer(context, settings);
  const topic = goTopic('node_status');
  const bus = await BusClient.start(context, {
    name: 'a go node',
    protocolVersion: '/teranode/bitcoin/regtest/1.0.0',
    bootstrap: [address],
    dhtMode: 'off',
    topics: [topic],
  });
  await waitFor(() => server.parts.node.peers().some(({ id }) => id === bus.id), { what: 'the Go peer' });
  await waitFor(
    async () => {
      await bus.publish(topic, {
        peer_id: bus.id,
        client_name: 'a go node',
        type: 'node_status',
        base_url: HUB,
        best_block_hash: HASH,
        best_height: 2,
        storage: 'full',
      });
      return (await go.registry.row(bus.id))?.is_connected === true;
    },
    { what: 'its row', timeoutMs: 60_000, everyMs: 500 },
  );
  const row = await rowOf(
    { registry: go.registry },
    bus.id,
    ({ client_name }) => client_name === 'a go node',
  );
  assert.deepEqual([row.data_hub_url, row.height, row.storage], [HUB, 2, 'full']);

  const service = await GoGrpcClient.dial(context, `127.0.0.1:${server.ports.grpc}`);
  const ask = async (method: string, message: object = {}) => {
    const outcome = await service.call('p2p_api.PeerService', method, message);
    assert.equal(outcome.code, 'OK', `${method}: ${outcome.details}`);
    return outcome.message as Record<string, unknown>;
  };
  await go.registry.put({
    ...row,
    catchup_attempts: '6',
    interaction_successes: '5',
    avg_response_time_ms: '6000',
    reputation_score: 64,
  });
  const joined = await waitFor(
    async () => {
      const { peers } = (await ask('GetPeerRegistry')) as { peers: Record<string, unknown>[] };
      const ours = peers.find(({ id }) => id === bus.id);
      return ours?.reputation_score === 64 ? peers : undefined;
    },
    { what: 'the joined registry', everyMs: 200 },
  );
  const of = (id: PeerIdText) => joined.find((peer) => peer.id === id);
  assert.deepEqual(
    [of(asPeer(bus.id))?.catchup_attempts, of(asPeer(bus.id))?.is_connected, of(asPeer(bus.id))?.height],
    ['6', true, 2],
  );
  assert.deepEqual(
    [
      of(asPeer(elsewhere))?.reputation_score,
      of(asPeer(elsewhere))?.is_connected,
      of(asPeer(elsewhere))?.height,
    ],
    [90, false, 9],
  );
  const { peers: forCatchup } = (await ask('GetPeersForCatchup')) as { peers: { id: string }[] };
  assert.deepEqual(
    forCatchup.map(({ id }) => id),
    [elsewhere, bus.id],
  );
  assert.equal((await ask('IsPeerUnhealthy', { peer_id: elsewhere })).is_unhealthy, false);

  // The Go peer is on loopback, so it is spared.
  await go.registry.ban(bus.id, elsewhere);
  const isBanned = async (id: PeerIdText) => (await ask('IsBanned', { ipOrSubnet: id })).isBanned === true;
  await waitFor(() => isBanned(asPeer(elsewhere)), { what: 'the ban' });
  const { banned, by_score } = (await ask('ListBanned')) as { banned: string[]; by_score: boolean[] };
  assert.deepEqual([banned, by_score], [[elsewhere], [true]]);
  assert.equal((await ask('IsPeerMalicious', { peer_id: elsewhere })).is_malicious, true);
  assert.ok(server.parts.node.isConnected(asPeer(bus.id)));
  await go.registry.unban(elsewhere);
  await waitFor(async () => !(await isBanned(asPeer(elsewhere))), { what: 'the end of the ban' });
  assert.equal((await go.registry.row(bus.id))?.is_connected, true);
  await server.stop();
  assert.equal((await go.registry.row(bus.id))?.is_connected, false);
});

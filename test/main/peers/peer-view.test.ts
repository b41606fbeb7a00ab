import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import type { ConnectedPeer } from '../../../src/main/node/types.js';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { PeerView } from '../../../src/main/peers/peer-view.js';
import { PeerRegistry } from '../../../src/main/peers/registry.js';
import { resetReputation } from '../../../src/main/peers/reset-reputation.js';
import { type ServiceRow, serviceRow } from '../../../src/main/peers/service-row.js';
import { steadyOf, steadyTime } from '../../../src/shared/clock.js';
import { PeerRegistryInfo } from '../../../src/shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asHub } from '../../support/branded.js';
import { keptLog } from '../../support/logger.js';
import { AUTHOR as ONE, OTHER_PEER as OTHER } from '../../support/sample-messages.js';

const US = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust' as PeerIdText;

const status = (peer: PeerIdText) =>
  ({
    type: 'node_status',
    peer,
    height: 120,
    hash: 'ab'.repeat(32),
    dataHubUrl: asHub('https://hub.example'),
    clientName: 'name',
    storage: 'full',
    chainWork: '0f',
  }) as const;

const connectionOf = (id: PeerIdText): ConnectedPeer => ({
  id,
  address: `/ip4/192.0.2.1/tcp/9905/p2p/${id}`,
  inbound: true,
  connectedAt: 1,
  lastSend: 0,
  lastReceive: 0,
  bytesSent: 1n,
  bytesReceived: 100n,
  messagesReceived: 2,
  messagesSent: 3,
  pingMs: 4,
  agent: 'agent',
  protocolVersion: '',
  trusted: false,
  configured: false,
  score: 0,
});

/** A view on a real registry, and on rows as the blockchain service would give them. */
function open(infos: readonly Partial<PeerRegistryInfo>[] = []) {
  const connections: ConnectedPeer[] = [];
  const scores = new Map<string, number>();
  const banned = new Set<string>();
  const rows = new Map<string, ServiceRow>();
  for (const info of infos) {
    const row = serviceRow(PeerRegistryInfo.fromPartial(info), () => false);
    assert.ok(row !== undefined);
    rows.set(row.id, row);
  }
  const told: string[] = [];
  const service = {
    row: (peer: PeerIdText) => rows.get(peer),
    rows: () => rows.values(),
    isLow: (peer: PeerIdText) => {
      const row = rows.get(peer);
      return row && row.reputation < 20;
    },
    reset: (peer: PeerIdText) => told.push(peer),
  };
  const registry = new PeerRegistry(
    {
      level: new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' }),
      logger: keptLog().logger,
      metrics: createPeerMetrics(new Registry()),
      ownHeight: () => 100,
    },
    { maxHeightLead: 50 },
  );
  const peers = new PeerView(
    {
      registry,
      service,
      node: { peerId: US, peers: () => connections, peer: (id) => connections.find((one) => one.id === id) },
      list: { isPeerBanned: (peer) => banned.has(peer) },
      scores: { score: (peer) => scores.get(peer) ?? 0 },
    },
    { blacklistedHosts: ['blacklisted.example'] },
  );
  return { peers, registry, service, connections, scores, banned, told };
}

const idsOf = (peers: readonly { readonly id: string }[]): string[] => peers.map(({ id }) => id);

test('a peer is what it told, its record, its connection, its bans and scores, and the row of the service, each figure the larger', () => {
  const { peers, registry, connections, scores, banned } = open([
    { peer_id: ONE, ban_score: 30, interaction_attempts: 9n, interaction_failures: 1n, reputation_score: 12 },
  ]);
  registry.known.learn(status(ONE));
  registry.records.catchupAttempt(ONE);
  registry.records.bytesDownloaded(ONE, 1000n);
  connections.push(connectionOf(ONE));
  scores.set(ONE, 10);
  banned.add(ONE);
  const peer = peers.get(ONE);
  assert.deepEqual(peers.connected(), [peer]);
  assert.equal(peer?.connection, connections[0]);
  const { name, dataHubUrl, height, blockHash, storage, bytesReceived, banScore } = peer ?? {};
  assert.deepEqual(
    { name, dataHubUrl, height, blockHash, storage, bytesReceived, banScore, banned: peer?.banned },
    {
      name: 'name',
      dataHubUrl: asHub('https://hub.example'),
      height: 120,
      blockHash: 'ab'.repeat(32),
      storage: 'full',
      bytesReceived: 1100n,
      banScore: 30,
      banned: true,
    },
  );
  assert.equal(peer?.record.attempts, 9);
  assert.equal(peer?.record.reputation, 12);
  assert.equal(peers.isLow(ONE), true);
  scores.set(ONE, 40);
  assert.equal(peers.get(ONE)?.banScore, 40);
});

test('storage that is doubted is not believed, and validated progress beyond what was told counts', () => {
  const { peers, registry } = open();
  registry.known.learn(status(ONE));
  registry.records.doubtStorage(ONE);
  registry.records.validatedProgress(ONE, 130, 'cd'.repeat(32), Uint8Array.of(1));
  const { storage, height, blockHash } = peers.get(ONE) ?? {};
  assert.deepEqual({ storage, height, blockHash }, { storage: '', height: 130, blockHash: 'cd'.repeat(32) });
});

test('who is known to the service alone is a peer as well, but nobody to catch up from unless that is asked for', async () => {
  const { peers, registry } = open([
    {
      peer_id: OTHER,
      client_name: 'elsewhere',
      height: 7,
      data_hub_url: 'https://other.example',
      storage: 'full',
    },
    { peer_id: US, client_name: 'this node', reputation_score: 50 },
  ]);
  registry.known.learn({ ...status(ONE), storage: 'pruned' });
  assert.deepEqual(idsOf(await peers.all()), [ONE, OTHER]);
  assert.deepEqual([...peers.ids()], [ONE, OTHER]);
  assert.deepEqual(idsOf(peers.forCatchup()), [ONE]);
  assert.deepEqual(idsOf(peers.forCatchup({ remote: true })), [OTHER, ONE]);
  assert.deepEqual(idsOf(await peers.forCatchupInSlices()), [OTHER, ONE]);
  assert.equal(peers.get(OTHER)?.name, 'elsewhere');
  assert.equal(peers.get(US), undefined, 'the node itself is no peer');
});

test('nobody is caught up from who is banned, has no data hub, or one on a blacklisted host', () => {
  const { peers, registry, banned } = open();
  registry.known.learn({ ...status(ONE), dataHubUrl: asHub('https://blacklisted.example/hub') });
  registry.known.learn({ ...status(OTHER), dataHubUrl: '' });
  assert.deepEqual(peers.forCatchup(), []);
  registry.known.learn(status(ONE));
  assert.deepEqual(idsOf(peers.forCatchup()), [ONE]);
  banned.add(ONE);
  assert.equal(peers.isBanned(ONE), true);
  assert.deepEqual(peers.forCatchup(), []);
});

test('a reset forgets the record here, and tells the service of a peer of which there is a record there alone', () => {
  const { peers, registry, service, told } = open([{ peer_id: OTHER, interaction_failures: 3n }]);
  registry.records.malicious(ONE);
  const components = { peers, records: registry.records, service };
  assert.equal(resetReputation(components, US), 0);
  assert.equal(resetReputation(components), 2);
  assert.equal(registry.records.get(ONE).malicious, 0);
  assert.deepEqual(told, [OTHER]);
});

test('times told by the service are dates, and kept as this process reckons', () => {
  const at = new Date(Date.now() - 60_000);
  const { peers } = open([{ peer_id: OTHER, last_message_time: at }]);
  const ago = steadyTime() - (peers.get(OTHER)?.known?.lastReceived ?? 0);
  assert.ok(Math.abs(ago - 60_000) < 5_000, `${ago} ms ago`);
});

// Go's selector: “BlocksReceived and LastBlockTime are written by ReportValidBlock” (services/p2p/sync_coordinator.go, peerHasRecentFullBlockDelivery),
// while a row may be registered with any time.
test('the time of a block in the service’s row is a delivery only where the service has counted one', () => {
  const at = new Date('2026-05-01T12:00:00Z');
  const deliveredAt = (info: Partial<PeerRegistryInfo>) =>
    open([{ peer_id: OTHER, ...info }]).peers.get(OTHER)?.record.lastValidBlock;
  assert.equal(deliveredAt({ last_block_time: at }), 0);
  assert.equal(deliveredAt({ blocks_received: 1n }), 0);
  assert.equal(deliveredAt({ last_block_time: at, blocks_received: 1n }), steadyOf(at.getTime()));
});

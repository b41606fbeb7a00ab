/**
 * The package, as it is installed, or the image, in the place of Teranode's P2P service: where the Go service was and will be again. What the services around it and a peer
 * see is what they would see of the Go service; the rows are those of `docs/compatibility.md`.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { genesisHeader } from '../../src/main/chain/genesis.js';
import { hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import {
  KafkaBlockTopicMessage,
  KafkaInvalidBlockTopicMessage,
  KafkaRejectedTxTopicMessage,
  KafkaSubtreeTopicMessage,
} from '../../src/shared/generated/kafkamessage.js';
import { type BusClient, cacheOf } from '../interop/bus.js';
import { GoGrpcClient } from '../interop/grpc.js';
import { Neighbour } from '../interop/neighbour.js';
import { goTopic } from '../interop/params.js';
import { sumOf } from '../support/gossip.js';
import { minedHeader } from '../support/headers.js';
import { SharedByTests } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';
import { PLACE_ROWS, type PlaceRow } from './rows.js';
import { DATA, launch, type PlacedServer, UID } from './server.js';
import { HOSTS, NETWORK, startBus, Teranode } from './teranode.js';

const CLIENT = 'teranode-1a2b';
const HUB = 'https://peer.example.org/api/v1';
const OWN_HUB = 'https://node.example.org/api/v1';

/** What the quickstart's `.env` and compose file set for the service, with the public endpoints that full mode wants. */
const ENVIRONMENT = {
  SETTINGS_CONTEXT: 'docker.m',
  TERANODE_VERSION: 'v0.14.4',
  network: NETWORK,
  minminingtxfee: '0',
  blockmaxsize: '4294967296',
  excessiveblocksize: '10737418240',
  HOST_IP: '127.0.0.1',
  GOGC: '200',
  logLevel: 'INFO',
  listen_mode: 'full',
  asset_httpPublicAddress: OWN_HUB,
  p2p_advertise_addresses: '/dns4/node.example.org/tcp/9905',
  rpc_user: 'operator',
  rpc_pass: 'of no use here',
  clientName: CLIENT,
  p2p_health_check_enabled: 'false',
  p2p_dht_mode: 'off',
  legacy_config_ConnectPeers: '',
  POSTGRES_PASSWORD: 'of no use here',
  COMPOSE_PROFILES: 'legacy,p2p,monitoring',
};

const GO_METRICS = [
  'publish_blocked_total',
  'websocket_notifications_dropped_total',
  'websocket_clients_evicted_total',
  'gossip_kafka_publish_dropped_total',
  'rejected_tx_publish_suppressed_total',
  'connected_peers',
  'ban_events_total',
  'catchup_attempts_total',
  'catchup_successes_total',
  'catchup_failures_total',
  'websocket_connections',
];

type Frame = Readonly<Record<string, unknown>> & { readonly type: string };

const hex = (digit: string): string => digit.repeat(64);
/** The path of a file in the volume. */
const inVolume = (...parts: string[]): string => join(DATA, ...parts);

describe('in the place of the P2P service of a quickstart', () => {
  const shared = new SharedByTests();
  let teranode: Teranode;
  let key = '';
  let goId = '';
  let remote: BusClient;
  let second: BusClient;
  let server: PlacedServer;
  const frames: Frame[] = [];
  let height = 3;
  /** Peers that it took from the cache, before anybody had called. */
  let cachedAtStart = 0;
  /** What the peers announce: a real header. */
  const block = minedHeader(headerHash(genesisHeader(NETWORK)), 99);
  const blockHash = headerHash(block);

  const seen = new Map<PlaceRow, () => Promise<void>>();
  const row = (name: PlaceRow, check: () => Promise<void>): void => {
    seen.set(name, check);
  };

  /** The first frame, so far or to come, that `wanted` takes. */
  const frame = (wanted: (frame: Frame) => boolean, what: string): Promise<Frame> =>
    waitFor(() => frames.find(wanted), { what, timeoutMs: 60_000, everyMs: 50 });
  const get = async (url: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(url);
    return { status: response.status, text: await response.text() };
  };
  const scrape = async (): Promise<string> => (await get('http://peer:9091/metrics')).text;
  /** Of a topic of the settings, from the oldest on. */
  const recordsOf = async (topic: string, count: number) => {
    const consumer = teranode.kafka.client().consumer({ groupId: `look-${topic}-${count}` });
    const found: { key: string; value: Uint8Array }[] = [];
    await consumer.connect();
    try {
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        eachMessage: async ({ message }) => {
          found.push({ key: String(message.key), value: message.value ?? Buffer.alloc(0) });
        },
      });
      await waitFor(() => found.length >= count, { what: `${count} records in ${topic}`, timeoutMs: 60_000 });
      return found;
    } finally {
      await consumer.disconnect();
    }
  };
  const produce = async (topic: string, value: Uint8Array): Promise<void> => {
    const producer = teranode.kafka.client().producer();
    await producer.connect();
    try {
      await producer.send({ topic, messages: [{ value: Buffer.from(value) }] });
    } finally {
      await producer.disconnect();
    }
  };
  const announce = (peer: BusClient, kind: string, message: object): Promise<void> =>
    peer.publish(goTopic(kind, NETWORK), {
      PeerID: peer.id,
      ClientName: 'a peer',
      DataHubURL: HUB,
      ...message,
    });
  const statusOf = (peer: BusClient) => ({
    peer_id: peer.id,
    client_name: 'a peer',
    type: 'node_status',
    base_url: HUB,
    version: 'v0.14.4',
    commit_hash: 'abcdef',
    best_block_hash: hex('c'),
    best_height: height,
    fsm_state: 'RUNNING',
    start_time: 1_700_000_000,
    uptime: 5,
    miner_name: '',
    listen_mode: 'full',
    chain_work: '00',
    storage: 'full',
  });

  before(async () => {
    assert.ok(existsSync(DATA), 'there is no volume: .ci/place runs this, and .ci/image');
    teranode = await Teranode.start(shared);
    // The Go service, with its key in the volume and its peer cache.
    const keys = new Neighbour(shared, 'peer');
    key = (await keys.call<{ long: string }>('newKey')).long;
    writeFileSync(inVolume('p2p.key'), key, { mode: 0o600 });
    const service = await startBus(shared, {
      name: CLIENT,
      key,
      port: 9905,
      cache: inVolume('p2p_peers.json'),
    });
    goId = service.id;
    remote = await startBus(shared, { name: 'a peer', static: [service.address] });
    second = await startBus(shared, { name: 'another peer', static: [service.address] });
    await waitFor(
      async () => {
        // Said before the mesh stands it reaches nobody.
        await announce(remote, 'subtree', { Hash: hex('0') });
        return service
          .heard(goTopic('subtree', NETWORK), remote.id, { timeoutMs: 2_000 })
          .catch(() => undefined);
      },
      { what: 'the Go service to hear the peer', timeoutMs: 60_000, everyMs: 200 },
    );
    // The bus writes its cache for a peer that has told of its topics half a second after it came. On a slow machine none has: then others come.
    const isCached = () =>
      cacheOf(
        inVolume('p2p_peers.json'),
        (entries) => entries.some(({ id }) => id === remote.id),
        5_000,
      ).catch(() => undefined);
    await waitFor(
      async () => {
        if (await isCached()) return true;
        const passerBy = await startBus(shared, { name: 'a passer-by', static: [service.address] });
        const cached = await isCached();
        await passerBy.program.stop();
        return cached;
      },
      { what: 'the peer in the cache of the Go service', timeoutMs: 120_000, everyMs: 50 },
    );
    await service.program.stop();
    // The legacy service's, of which the blockchain service has a row too.
    await teranode.blockchain.registry.put({
      peer_id: 'legacy:203.0.113.7:8333',
      transport_type: 'TRANSPORT_WIRE_PROTOCOL',
      is_connected: true,
    } as never);

    server = await launch(shared, ENVIRONMENT);
    await waitFor(
      async () => {
        if (server.code() !== undefined)
          throw new Error(`it ended with ${server.code()}:\n${server.output().slice(-4_000)}`);
        return get('http://peer:8000/health/readiness').then(
          ({ status }) => status === 200,
          () => false,
        );
      },
      { what: 'it to be ready', timeoutMs: 90_000, everyMs: 200 },
    ).catch((error: unknown) => {
      throw new Error(`${error}\n${server.output().slice(-6_000)}`);
    });
    cachedAtStart = sumOf(await scrape(), 'teranode_p2p_peer_cache_peers');
    const socket = new WebSocket('ws://peer:9906/p2p-ws');
    socket.on('error', () => {});
    shared.after(() => socket.terminate());
    socket.on('message', (data) => frames.push(JSON.parse(String(data)) as Frame));
    const address = `/ip4/127.0.0.1/tcp/9905/p2p/${goId}`;
    for (const peer of [remote, second]) {
      await waitFor(
        () =>
          peer.connect(address).then(
            () => true,
            () => false,
          ),
        {
          what: 'the peers to be back',
          timeoutMs: 60_000,
          everyMs: 500,
        },
      );
    }
    // From here on what the peer says gets there.
    await waitFor(
      async () => {
        await remote.publish(goTopic('node_status', NETWORK), statusOf(remote));
        return frames.some(({ type, peer_id }) => type === 'node_status' && peer_id === remote.id);
      },
      { what: 'the peer to be heard', timeoutMs: 60_000, everyMs: 500 },
    );
  });

  after(() => shared.clean());

  row('environment', async () => {
    const main = await server.pid();
    const status = readFileSync(`/proc/${main}/status`, 'utf8');
    assert.match(status, new RegExp(`^Uid:\\t${UID}\\t${UID}\\t${UID}\\t${UID}$`, 'm'));
    const checkout = process.cwd();
    const children = readFileSync(`/proc/${main}/task/${main}/children`, 'utf8').trim().split(' ');
    for (const pid of [String(main), ...children]) {
      const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
      assert.ok(!maps.includes(checkout), `${pid} has loaded something of the checkout`);
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        let target = '';
        try {
          target = readlinkSync(`/proc/${pid}/fd/${descriptor}`);
        } catch {
          continue;
        }
        assert.ok(!target.startsWith(`${checkout}/`), target);
      }
    }
    assert.ok(existsSync(inVolume('p2p', 'journal')), 'what is its own is in a folder of its own');
    assert.doesNotMatch(server.output(), /"level":"?(?:error|fatal|50|60)/);
    assert.doesNotMatch(server.output(), /an island/);
  });

  row('key', async () => {
    const [first] = frames;
    assert.equal(first?.peer_id, goId);
    assert.equal(readFileSync(inVolume('p2p.key'), 'utf8').trim(), key, 'the key stays as it was');
    assert.ok(cachedAtStart >= 1, `${cachedAtStart} peers of the cache`);
  });

  row('topics', async () => {
    const own = { timeoutMs: 60_000 };
    const status = await remote.heard(goTopic('node_status', NETWORK), goId, own);
    assert.equal(status.name, CLIENT);
    const hash = await teranode.mine();
    height = teranode.height;
    const block = await remote.heard(goTopic('block', NETWORK), goId, {
      ...own,
      wanted: ({ Hash }) => Hash === hash,
    });
    assert.deepEqual(
      { ...block.json, Header: undefined },
      {
        Hash: hash,
        Height: height,
        DataHubURL: OWN_HUB,
        PeerID: goId,
        ClientName: CLIENT,
        Header: undefined,
        Coinbase: '',
      },
    );
    assert.match(String(block.json.Header), /^[0-9a-f]{160}$/);
    await teranode.notify('Subtree', hash);
    const subtree = await remote.heard(goTopic('subtree', NETWORK), goId, own);
    assert.deepEqual(subtree.json, { Hash: hash, DataHubURL: OWN_HUB, PeerID: goId, ClientName: CLIENT });
  });

  row('kafka_topics', async () => {
    const admin = await teranode.kafka.admin();
    const wanted = {
      blocks: { partitions: 1, retention: '60000' },
      subtrees: { partitions: 32, retention: '1800000', segment: '33554432' },
      rejectedtx: { partitions: 1, retention: '600000' },
      'invalid-blocks': { partitions: 1, retention: '600000' },
      'invalid-subtrees': { partitions: 32, retention: '60000', segment: '33554432' },
    };
    const { topics } = await admin.fetchTopicMetadata({ topics: Object.keys(wanted) });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: Object.keys(wanted).map((name) => ({ type: 2, name })),
    });
    for (const [name, { partitions, retention, ...others }] of Object.entries(wanted)) {
      assert.equal(topics.find((topic) => topic.name === name)?.partitions.length, partitions, name);
      const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? [];
      const value = (key: string) => entries.find(({ configName }) => configName === key)?.configValue;
      assert.equal(value('retention.ms'), retention, name);
      if ('segment' in others) assert.equal(value('segment.bytes'), others.segment, name);
    }
  });

  row('records', async () => {
    const message = {
      Hash: blockHash,
      Height: height + 1,
      Header: Buffer.from(block).toString('hex'),
      Coinbase: '',
    };
    await announce(remote, 'block', message);
    await announce(second, 'block', message);
    const blocks = await recordsOf('blocks', 2);
    assert.deepEqual(
      blocks
        .map(({ key: recordKey, value }) => ({ key: recordKey, ...KafkaBlockTopicMessage.decode(value) }))
        .sort(byPeer),
      [remote, second]
        .map(({ id }) => ({ key: blockHash, hash: blockHash, URL: HUB, peer_id: id }))
        .sort(byPeer),
    );
    await announce(remote, 'subtree', { Hash: hex('5') });
    const [subtree] = await recordsOf('subtrees', 1);
    assert.deepEqual(
      { key: subtree?.key, ...KafkaSubtreeTopicMessage.decode(subtree?.value ?? Buffer.alloc(0)) },
      { key: hex('5'), hash: hex('5'), URL: HUB, peer_id: remote.id },
    );
  });

  row('block_found', async () => {
    const found = await waitFor(
      () =>
        teranode.validation.calls.find(
          ({ method, message }) => method === 'BlockFound' && message.peer_id === remote.id,
        ),
      { what: 'BlockFound', timeoutMs: 60_000 },
    );
    assert.deepEqual(found.message, {
      hash: Buffer.from(hashToBytes(blockHash)).toString('base64'),
      base_url: HUB,
      wait_to_complete: false,
      peer_id: remote.id,
    });
  });

  row('consumers', async () => {
    const admin = await teranode.kafka.admin();
    /** Waits until the server's group is there. It begins with what is written from then on (`replay=0`). */
    const committed = (topic: string, wanted: string): Promise<unknown> =>
      waitFor(
        async () => {
          const [offsets] = await admin.fetchOffsets({ groupId: `p2p.${CLIENT}`, topics: [topic] });
          return offsets?.partitions[0]?.offset === wanted;
        },
        { what: `offset ${wanted} of the group in ${topic}`, timeoutMs: 60_000, everyMs: 200 },
      );
    for (const topic of ['rejectedtx', 'invalid-blocks']) await committed(topic, '0');
    const rejected = { txHash: hex('7'), reason: 'TX_INVALID (31): bad-txns-in-belowout', peer_id: '' };
    await produce('rejectedtx', KafkaRejectedTxTopicMessage.encode(rejected).finish());
    const told = await remote.heard(goTopic('rejected_tx', NETWORK), goId, { timeoutMs: 60_000 });
    assert.deepEqual(told.json, {
      TxID: hex('7'),
      Reason: 'TX_INVALID (31): bad-txns-in-belowout',
      PeerID: goId,
      ClientName: '',
    });
    const invalid = { blockHash, reason: 'bad', peer_id: '', peer_url: '' };
    await produce('invalid-blocks', KafkaInvalidBlockTopicMessage.encode(invalid).finish());
    await waitFor(
      async () => sumOf(await scrape(), 'teranode_p2p_ban_offences_total', { reason: 'invalid_block' }) > 0,
      {
        what: 'who announced it to be scored',
        timeoutMs: 60_000,
        everyMs: 200,
      },
    );
    await committed('rejectedtx', '1');
  });

  row('registry', async () => {
    await remote.publish(goTopic('node_status', NETWORK), statusOf(remote));
    const found = await waitFor(
      async () => {
        const one = await teranode.blockchain.registry.row(remote.id);
        return one?.is_connected && one.data_hub_url !== '' ? one : undefined;
      },
      { what: 'the row of the peer', timeoutMs: 60_000, everyMs: 200 },
    );
    assert.deepEqual(
      [found.transport_type, found.client_name, found.data_hub_url, found.storage, found.is_banned],
      ['TRANSPORT_HTTP', 'a peer', HUB, 'full', false],
    );
    assert.ok(Number(found.height) >= 3, String(found.height));
    const legacy = await teranode.blockchain.registry.row('legacy:203.0.113.7:8333');
    assert.deepEqual([legacy?.transport_type, legacy?.is_connected], ['TRANSPORT_WIRE_PROTOCOL', true]);
  });

  row('status', async () => {
    const told = await remote.heard(goTopic('node_status', NETWORK), goId, {
      timeoutMs: 60_000,
      wanted: ({ best_height, legacy_connected_peers_count }) =>
        best_height === height && legacy_connected_peers_count === 1,
    });
    const { json } = told;
    assert.deepEqual(
      {
        peer_id: json.peer_id,
        client_name: json.client_name,
        type: json.type,
        base_url: json.base_url,
        best_block_hash: json.best_block_hash,
        fsm_state: json.fsm_state,
        listen_mode: json.listen_mode,
        miner_name: json.miner_name,
        tx_count: json.tx_count,
        subtree_count: json.subtree_count,
        min_mining_tx_fee: json.min_mining_tx_fee,
      },
      {
        peer_id: goId,
        client_name: CLIENT,
        type: 'node_status',
        base_url: OWN_HUB,
        best_block_hash: teranode.tip,
        fsm_state: 'RUNNING',
        listen_mode: 'full',
        miner_name: '/stand-in/',
        tx_count: 77,
        subtree_count: 5,
        min_mining_tx_fee: 0,
      },
    );
    assert.ok(Number(json.connected_peers_count) >= 2);
  });

  row('websocket', async () => {
    assert.deepEqual([frames[0]?.type, frames[0]?.peer_id], ['node_status', goId]);
    const shown = await frame(
      ({ type, hash, peer_id }) => type === 'block' && hash === blockHash && peer_id === remote.id,
      'the block',
    );
    assert.match(String(shown.timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual([shown.base_url, shown.height, shown.client_name], [HUB, height + 1, 'a peer']);
    const subtree = await frame(({ type, hash }) => type === 'subtree' && hash === hex('5'), 'the subtree');
    assert.deepEqual([subtree.base_url, subtree.peer_id], [HUB, remote.id]);
    const status = await frame(
      ({ type, peer_id }) => type === 'node_status' && peer_id === remote.id,
      'its status',
    );
    assert.deepEqual([status.base_url, status.fsm_state, status.storage], [HUB, 'RUNNING', 'full']);
    const ping = await frame(({ type }) => type === 'PING', 'the text ping');
    assert.equal(ping.peer_id, goId);
  });

  row('metrics', async () => {
    const text = await scrape();
    for (const name of GO_METRICS) {
      assert.match(text, new RegExp(`^teranode_p2p_${name}(?:{[^}]*})? \\d`, 'm'), name);
    }
    assert.ok(sumOf(text, 'teranode_p2p_connected_peers') >= 2);
    assert.equal(sumOf(text, 'teranode_p2p_websocket_connections'), 1);
    assert.equal(sumOf(text, 'teranode_p2p_island'), 0);
  });

  row('health', async () => {
    for (const path of ['/health', '/health/readiness', '/health/liveness']) {
      // A check that is not answered within two seconds fails: on a busy machine that may be.
      const { status, text } = await waitFor(
        async () => {
          const answer = await get(`http://peer:8000${path}`);
          return answer.status === 200 ? answer : undefined;
        },
        { what: `200 from ${path}`, everyMs: 200 },
      );
      const report = JSON.parse(text) as {
        status: string;
        dependencies: { resource: string; status: string }[];
      };
      assert.deepEqual([status, report.status], [200, '200'], `${path}: ${text}`);
      for (const { resource, status: each } of report.dependencies) assert.equal(each, '200', resource);
    }
    assert.deepEqual(await get('http://peer:9906/health'), { status: 200, text: 'OK' });
  });

  row('peer_service', async () => {
    const go = await GoGrpcClient.dial(shared, `${HOSTS.peer}:9904`);
    const { code, details, message } = await go.call('p2p_api.PeerService', 'GetPeers');
    assert.equal(code, 'OK', details);
    const peers = message?.peers as { id: string; currentHeight: number }[];
    assert.deepEqual(peers.map(({ id }) => id).sort(), [remote.id, second.id].sort());
    const refused = await go.call('p2p_api.PeerService', 'BanPeer', { addr: '198.51.100.7' });
    assert.equal(refused.code, 'Unauthenticated');
  });

  row('bans', async () => {
    const go = await GoGrpcClient.dial(shared, `${HOSTS.peer}:9904`);
    const adminKey = readFileSync(inVolume('p2p', 'admin.key'), 'utf8').trim();
    const { code, details } = await go.call(
      'p2p_api.PeerService',
      'BanPeer',
      { addr: '198.51.100.7' },
      { metadata: { 'x-api-key': adminKey } },
    );
    assert.equal(code, 'OK', details);
    const rows = await teranode.bans();
    assert.deepEqual(
      rows.map(({ key: banned, subnet }) => [banned, subnet]),
      [['198.51.100.7', '198.51.100.7/32']],
    );
    // A scrape serves all who ask within a second.
    await waitFor(
      async () => sumOf(await scrape(), 'teranode_p2p_ban_events_total', { reason: 'operator_ban' }) === 1,
      { what: 'the ban to be counted', timeoutMs: 10_000, everyMs: 200 },
    );
  });

  row('swap_back', async () => {
    process.kill(await server.pid(), 'SIGTERM');
    assert.equal(await within(server.exit, 20_000, 'the stop'), 0, server.output().slice(-4_000));
    assert.doesNotMatch(server.output(), /"level":"?(?:error|fatal|50|60)/);
    await waitFor(async () => (await teranode.blockchain.registry.row(remote.id))?.is_connected !== true, {
      what: 'the row to say that nobody is connected',
      timeoutMs: 60_000,
      everyMs: 200,
    });
    assert.equal(readFileSync(inVolume('p2p.key'), 'utf8').trim(), key);
    const entries = await cacheOf(inVolume('p2p_peers.json'), (all) =>
      all.some(({ id }) => id === remote.id),
    );
    for (const { id, addrs, last_seen } of entries) {
      assert.match(id, /^12D3Koo/);
      assert.ok(addrs.every((address) => address.startsWith('/')) && Number.isFinite(Date.parse(last_seen)));
    }
    const service = await startBus(shared, {
      name: CLIENT,
      key: readFileSync(inVolume('p2p.key'), 'utf8').trim(),
      port: 9905,
      cache: inVolume('p2p_peers.json'),
    });
    assert.equal(service.id, goId);
    await waitFor(
      () =>
        remote.connect(service.address).then(
          () => true,
          () => false,
        ),
      {
        what: 'the peer to be back with the Go service',
        timeoutMs: 60_000,
        everyMs: 500,
      },
    );
    await waitFor(
      async () => {
        await announce(remote, 'subtree', { Hash: hex('9') });
        return service
          .heard(goTopic('subtree', NETWORK), remote.id, {
            timeoutMs: 2_000,
            wanted: ({ Hash }) => Hash === hex('9'),
          })
          .catch(() => undefined);
      },
      { what: 'the Go service to hear the peer again', timeoutMs: 60_000, everyMs: 200 },
    );
    const admin = await teranode.kafka.admin();
    const [offsets] = await admin.fetchOffsets({
      groupId: `p2p.${CLIENT}`,
      topics: ['rejectedtx'],
    });
    assert.equal(offsets?.partitions[0]?.offset, '1', 'it reads on where this server stopped');
  });

  for (const name of Object.keys(PLACE_ROWS) as PlaceRow[]) {
    const [what, told] = PLACE_ROWS[name];
    it(`${what}: ${told}`, async () => {
      const check = seen.get(name);
      assert.ok(check !== undefined, `${name} is not looked at`);
      await check();
    });
  }
});

const byPeer = (one: { peer_id: string }, other: { peer_id: string }): number =>
  one.peer_id < other.peer_id ? -1 : 1;

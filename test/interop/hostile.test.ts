/**
 * A Go peer that means harm, on loopback, beside an honest Go peer whose blocks must arrive meanwhile. Loopback is never banned
 * automatically: `namespaces/hostile-peer.test.ts` shows the ban.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { asPeer } from '../support/branded.js';
import { outcomesOf, outcomesSince, sumOf } from '../support/gossip.js';
import { OTHER_PEER } from '../support/sample-messages.js';
import {
  chainOf,
  type Feed,
  openFeed,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { HostilePeer } from './hostile.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const TOPIC = goTopic('block');
const HUB = 'http://127.0.0.1:9/api/v1';
const KAD = '/ipfs/kad/1.0.0';
const BLOCK = { Hash: '{hash}', Height: 1, DataHubUrl: HUB, PeerId: '{self}' };
const LARGE_BLOCK = { ...BLOCK, Padding: 'x'.repeat(30_000) };
const SPOOFED = { ...BLOCK, PeerId: OTHER_PEER };
/** Generous: a loaded machine has two cores for both sides. */
const IN_TIME_MS = 20_000;
const MEMORY_BYTES = 512 * 1024 * 1024;
const BLOCK_MS = 250;

interface Site {
  readonly server: TestServer;
  readonly honest: GoPeer;
  readonly feed: Feed;
  readonly memoryBefore: number;
}

let blocks = 0;
const nextHash = (): string => (0xb10c0000 + blocks++).toString(16).padStart(64, '0');

async function openSite(context: TestContext, changes = {}): Promise<Site> {
  const server = await startServer(context, serverSettings(context, { p2p_dht_mode: 'server', ...changes }));
  const feed = await openFeed(context, server.server);
  const honest = await GoPeer.start(context, { topics: [TOPIC] });
  await honest.connect(server.address);
  await honest.meshes(server.server.peerId, TOPIC);
  return { server, honest, feed, memoryBefore: process.memoryUsage().rss };
}

const attack = (context: TestContext, { server }: Site, options = {}) =>
  HostilePeer.start(context, { target: server.address, topics: [TOPIC], ...options });

const connectionsTo = ({ server }: Site, id: string) =>
  server.server.parts.node.peers().filter((peer) => peer.id === id);

const figure = async ({ server }: Site, name: string) => sumOf(await server.server.scrape(), name);

/** Runs `work` while the honest peer tells a block every quarter second; every one must arrive, and ours must be heard after it. */
async function survives<T>(site: Site, work: () => Promise<T>): Promise<T> {
  const { server, honest, feed, memoryBefore } = site;
  const stop = new AbortController();
  let memory = 0;
  const late: number[] = [];
  const tell = async () => {
    const hash = nextHash();
    const since = performance.now();
    await honest.publish(TOPIC, { Hash: hash, Height: 1, DataHubUrl: HUB, PeerId: honest.id });
    await feed.next((frame) => frame.hash === hash && frame.peer_id === honest.id, 'its block', IN_TIME_MS);
    late.push(performance.now() - since);
    memory = Math.max(memory, process.memoryUsage().rss);
  };
  const telling = (async () => {
    do {
      await tell();
      await delay(BLOCK_MS, undefined, { signal: stop.signal }).catch(() => {});
    } while (!stop.signal.aborted);
    await tell();
  })();
  let result: T;
  try {
    result = await work();
  } finally {
    stop.abort();
    await telling;
  }
  const mined = await chainOf(server).mine();
  await honest.program.event<{ data: string }>(
    'message',
    ({ data }) => Buffer.from(String(JSON.parse(data).data ?? ''), 'base64').includes(mined.hash),
    'our block',
    IN_TIME_MS,
  );
  const [peer] = connectionsTo(site, honest.id);
  assert.ok(peer, 'the honest peer is connected');
  assert.ok(peer.score >= 0, `its score: ${peer.score}`);
  assert.equal(server.server.parts.scores.score(asPeer(honest.id)), 0);
  const grown = memory - memoryBefore;
  assert.ok(grown < MEMORY_BYTES, `${grown} bytes more than before`);
  console.log(
    `    ${late.length} blocks, the slowest ${Math.round(Math.max(...late))} ms; ${Math.round(grown / 2 ** 20)} MiB more`,
  );
  return result;
}

test('messages that are forged, impersonated, replayed or false cost their sender its voice, and nobody else', async (context) => {
  const site = await openSite(context);
  const { server, feed } = site;
  for (const how of ['forged', 'impersonated'] as const) {
    const bad = await attack(context, site);
    const before = await outcomesOf(server);
    const done = await survives(site, () => bad.gossip({ how, topic: TOPIC, data: BLOCK, count: 200 }));
    assert.deepEqual(done, { sent: 200, ended: '' });
    if (how === 'forged') {
      await waitFor(() => connectionsTo(site, bad.id).some(({ score }) => score < -8_000), {
        what: 'the graylist for forgeries',
      });
    } else {
      // Who sends on what others have forged may be honest and is not blamed.
      await waitFor(async () => (await figure(site, 'teranode_p2p_node_invalid_relayed_total')) >= 200, {
        what: 'what nobody is blamed for',
      });
    }
    // Nothing of it got as far as the checks.
    assert.ok(feed.frames.every(({ peer_id }) => peer_id !== bad.id));
    assert.equal((await outcomesSince(server, before, 'block')).spoofed ?? 0, 0);
    await bad.program.stop();
  }

  const replayer = await attack(context, site);
  await survives(site, () => replayer.gossip({ how: 'replayed', topic: TOPIC, data: BLOCK, count: 2_000 }));
  const frames = () => feed.frames.filter(({ peer_id }) => peer_id === replayer.id);
  await waitFor(() => frames().length > 0, { what: 'the one that counts' });
  assert.equal(frames().length, 1);

  const liar = await attack(context, site);
  const before = await outcomesOf(server);
  await survives(site, () => liar.gossip({ how: 'true', topic: TOPIC, data: SPOOFED, count: 20 }));
  await waitFor(async () => Object.keys(await outcomesSince(server, before, 'block')).length > 1, {
    what: 'their verdict',
  });
  await waitFor(() => connectionsTo(site, liar.id).some(({ score }) => score < 0), { what: 'its score' });
  assert.ok(feed.frames.every(({ peer_id }) => peer_id !== liar.id && peer_id !== OTHER_PEER));
});

test('bad content that an honest peer relays is its author’s alone', async (context) => {
  const site = await openSite(context);
  const { server, honest, feed } = site;
  const bad = await HostilePeer.start(context, { target: honest.address, topics: [TOPIC] });
  await honest.meshes(bad.id, TOPIC);
  const before = await outcomesOf(server);
  await survives(site, () => bad.gossip({ how: 'true', topic: TOPIC, data: SPOOFED, count: 300 }));
  await waitFor(
    async () => {
      const { ok: _, ...refused } = await outcomesSince(server, before, 'block');
      return Object.values(refused).reduce((sum, count) => sum + count, 0) >= 100;
    },
    { what: 'what was relayed', timeoutMs: IN_TIME_MS },
  );
  assert.ok(feed.frames.every(({ peer_id }) => peer_id !== bad.id && peer_id !== OTHER_PEER));
});

test('floods of messages, control, subscriptions and bytes stay within their budgets', async (context) => {
  const site = await openSite(context, { p2p_connection_messages_per_second: 500 });
  const { host } = site.server.server.parts.node.inspect();
  assert.ok(host);
  const { topics } = host.services.pubsub as unknown as { topics: Map<string, unknown> };
  const topicsKnown = () => topics.size;
  const before = topicsKnown();

  const flooder = await attack(context, site);
  await survives(site, () => flooder.gossip({ how: 'true', topic: TOPIC, data: BLOCK, count: 20_000 }));
  const dropped = await figure(site, 'teranode_p2p_node_budget_dropped_total');
  assert.ok(dropped > 0, 'beyond the budget nothing is looked at');

  const joiner = await attack(context, site);
  await survives(site, () => joiner.subscriptions(1_000_000, 'made-up'));
  // Under the names of the network as well.
  await survives(site, () => joiner.subscriptions(50_000, TOPIC));
  assert.ok(topicsKnown() <= before + 1, `${topicsKnown()} topics`);

  const talker = await attack(context, site);
  await survives(site, () => talker.control(500, TOPIC));

  const large = await attack(context, site);
  const done = await survives(site, () => large.oversized(64 * 2 ** 20));
  assert.ok(done.sent < 64 * 2 ** 20 && done.ended !== '', JSON.stringify(done));
});

test('peers that do not read, do not finish, tell too much or come as a thousand keep nobody out', async (context) => {
  // A verdict later than five heartbeats passes nothing on, and a thousand large messages may wait for theirs.
  const site = await openSite(context, { p2p_heartbeat_interval: 1_000 });
  const { server } = site;
  const deaf = await attack(context, site, { deaf: true });
  const loud = await attack(context, site, { protocols: 2_000 });
  const stalled = () => figure(site, 'teranode_p2p_node_stalled_peers_total');
  await survives(site, () => loud.gossip({ how: 'true', topic: TOPIC, data: BLOCK, count: 5_000 }));
  assert.equal(connectionsTo(site, deaf.id).length, 1);
  assert.equal(await stalled(), 0, 'what it left unread is within the bound');
  await survives(site, async () => {
    // What others announce is passed on to it, as large as announcements may be.
    for (let told = 0; told < 2_000 && (await stalled()) === 0; told += 50) {
      await loud.gossip({ how: 'true', topic: TOPIC, data: LARGE_BLOCK, count: 50 });
    }
  });
  assert.equal(await stalled(), 1);
  await waitFor(() => connectionsTo(site, deaf.id).length === 0, { what: 'the deaf peer to be let go' });
  assert.equal(connectionsTo(site, loud.id).length, 1, 'who reads what it is sent stays');

  await survives(site, async () => {
    const opened = await loud.halfOpen(300);
    assert.ok(opened.sent > 0);
    await waitFor(async () => (await loud.socketsLeft()) === 0, {
      what: 'half-open connections to be closed',
      timeoutMs: 60_000,
      everyMs: 200,
    });
  });
  const newcomer = await GoPeer.start(context, { topics: [TOPIC] });
  await newcomer.connect(server.address);

  // The ceiling, and as many handshakes that were under way when it was reached.
  const bound = 2 * (server.settings.p2p_max_connections * 2 + 16);
  const { tried, joined } = await survives(site, () => loud.crowd(1_000));
  assert.ok(tried > bound / 2, `${tried} tried`);
  const open = server.server.parts.node.inspect().host?.getConnections().length ?? 0;
  assert.ok(open <= bound, `${open} connections, ${joined} of ${tried} thought they had one`);
  await survives(site, () =>
    waitFor(async () => (await loud.crowdLeft()) <= bound, { what: 'the rest to go' }),
  );
});

test('what a peer has the DHT keep is bounded, in records and in addresses', async (context) => {
  const site = await openSite(context);
  const { server } = site;
  const { host } = server.server.parts.node.inspect();
  const bad = await attack(context, site);
  const libp2p = server.dependencies.directory.store.sublevel('libp2p', { keyEncoding: 'utf8' });
  const stored = async () => {
    let count = 0;
    for await (const key of libp2p.keys({ gt: '/dht/provider', lt: '/dht/provides' })) {
      if (key.endsWith(bad.id)) count++;
    }
    return count;
  };
  await survives(site, () => bad.records({ protocol: KAD, count: 5_000, addresses: 1 }));
  await waitFor(async () => (await stored()) > 0, { what: 'the first of its records' });
  assert.ok((await stored()) <= 256, `${await stored()} records`);

  const other = await attack(context, site);
  await survives(site, () => other.records({ protocol: KAD, count: 20, addresses: 500 }));
  await survives(site, () => other.records({ protocol: KAD, count: 2, addresses: 100_000 }));
  const addresses = async () =>
    (await host?.peerStore.all())?.find(({ id }) => id.toString() === other.id)?.addresses.length ?? 0;
  // Cut in a second step, so there may be more for a moment; all the rest would stay.
  await waitFor(async () => (await addresses()) > 0 && (await addresses()) <= 64, {
    what: 'some of its addresses, and no more',
    timeoutMs: IN_TIME_MS,
  });
});

/** A whole server under load, in a process of its own, whose clock is set back an hour and then forward two, in every thread and process. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { peerIdFromString } from '@libp2p/peer-id';
import { WebSocket } from 'ws';
import type { GossipInternals } from '../../src/main/node/patches/gossip-internals.js';
import { hashOf, subtreeData, sumOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer, type Peer } from '../support/peer.js';
import { OTHER_PEER } from '../support/sample-messages.js';
import { adminClientOf, type FeedFrame } from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import { settingsOf } from '../support/settings.js';
import { ShiftedClock } from '../support/shifted-clock.js';
import { waitFor, within } from '../support/wait.js';

const HOUR = 3_600_000;
const SUBTREE = kindNamed('subtree');
const TOPIC = topicOf({ settings: settingsOf({ network: 'regtest' }) }, SUBTREE);
/** A client may send a hundred messages a minute. */
const NEARLY_ALL = 90;
const MINUTE = 60_000;
const PATIENCE = { timeoutMs: 90_000 };

/** A WebSocket client that keeps what it got. */
async function openClient(context: Pick<TestContext, 'after'>, port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws`);
  context.after(() => socket.terminate());
  const client = { socket, frames: [] as FeedFrame[], pings: 0, closed: '' };
  socket.on('message', (data) => client.frames.push(JSON.parse(String(data)) as FeedFrame));
  socket.on('ping', () => client.pings++);
  socket.on('close', (code, reason) => {
    client.closed = `${code} ${reason}`;
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return client;
}

test('a clock that is set, back or forward, changes nothing that is under way', async (context) => {
  const clock = new ShiftedClock(context);
  const launched = performance.now();
  const run = launchServer(context, {
    env: { ...clock.env, NODE_V8_COVERAGE: '' },
    set: {
      p2p_connection_messages_per_second: '60',
      p2p_max_connections: '8',
      // Neither those that stay nor who misbehaves first is trimmed.
      p2p_allowed_addresses: '127.0.0.1|127.0.0.3',
      p2p_node_status_interval: '1s',
      p2p_notification_servers: '1',
    },
  });
  const { ports, peerId } = await run.ready();
  const began = performance.now();
  const address = `/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`;
  const admin = adminClientOf(context, ports.grpc, run.directory);
  const scrape = async () => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  const join = async (localAddress = '127.0.0.1'): Promise<Peer> => {
    const peer = await createPeer({ context, topics: [TOPIC], localAddress, listen: false });
    await peer.dial(address);
    await peer.sees(peerId, TOPIC);
    return peer;
  };
  const inMesh = ({ libp2p }: Peer) =>
    (libp2p.services.pubsub as GossipInternals).getMeshPeers(TOPIC).includes(peerId);
  /** Subtrees that say to be somebody else's. */
  const misbehave = async (peer: Peer) => {
    await waitFor(() => inMesh(peer), { what: 'a place in the mesh' });
    for (let n = 0; n < 16; n++) peer.send(peerId, [await peer.sign(TOPIC, subtreeData(OTHER_PEER, n))]);
    await waitFor(() => !inMesh(peer), { what: 'a bad peer to leave the mesh' });
    assert.equal(peer.libp2p.getConnections().length, 1, 'connected all the same');
  };

  const sender = await join();
  const joined = performance.now();
  const observer = await join();
  const feed = await openClient(context, ports.http);
  let sent = 0;
  let sending = true;
  const load = (async () => {
    while (sending) {
      const messages = [];
      for (let n = 0; n < 5; n++) messages.push(await sender.sign(TOPIC, subtreeData(sender.id, sent++)));
      sender.send(peerId, messages);
      await delay(250);
    }
  })();
  // Its failure is that of what waits for what it sends.
  load.catch(() => {});
  context.after(() => {
    sending = false;
  });
  const acknowledged = async () =>
    sumOf(await scrape(), 'teranode_p2p_kafka_records_total', { topic: 'subtrees', outcome: 'acknowledged' });
  const ofSender = () => feed.frames.filter(({ peer_id }) => peer_id === sender.id).length;
  await waitFor(() => observer.heard.length > 20 && ofSender() > 20, { what: 'a flow' });
  const connections = [sender, observer].map(({ libp2p }) => libp2p.getConnections().map(({ id }) => id));

  const checkFlow = async () => {
    const before = { heard: observer.heard.length, frames: ofSender(), records: await acknowledged() };
    // More than the budget's window holds, so that one which does not move is seen.
    await waitFor(() => observer.heard.length > before.heard + 200, {
      what: 'a peer to hear more',
      ...PATIENCE,
    });
    await waitFor(() => ofSender() > before.frames + 200, { what: 'a client to hear more', ...PATIENCE });
    await waitFor(async () => (await acknowledged()) > before.records + 200, {
      what: 'Kafka to get more',
      everyMs: 200,
      ...PATIENCE,
    });
  };
  const checkUptime = async () => {
    const status = await fetch(`http://127.0.0.1:${ports.http}/api/status`);
    const told = ((await status.json()) as { node: { uptime: number } }).node.uptime;
    const mine = feed.frames
      .filter(({ type, peer_id }) => type === 'node_status' && peer_id === peerId)
      .at(-1);
    const passed = (since: number) => (performance.now() - since) / 1000;
    const [least, most] = [passed(began) - 20, passed(launched) + 20];
    for (const uptime of [told, Number(mine?.uptime)])
      assert.ok(uptime >= least && uptime <= most, `uptime ${uptime}, not from ${least} to ${most} s`);
  };
  /** Ages that others reckon from what they are told, by a clock that was set as this one's. */
  const checkTimes = async () => {
    const passed = (performance.now() - joined) / 1000;
    const age = (at: bigint | undefined) => clock.now() / 1000 - Number(at);
    const [peer, registered] = [
      (await admin.getPeers()).find(({ id }) => id === sender.id),
      await admin.getPeer(sender.id),
    ];
    for (const connected of [age(peer?.connTime), age(registered?.connected_at)])
      assert.ok(Math.abs(connected - passed) < 20 + passed / 10, `connected for ${connected} s of ${passed}`);
  };
  const checkConnections = async () => {
    assert.equal(feed.closed, '', 'the WebSocket client stays');
    assert.deepEqual(
      [sender, observer].map(({ libp2p }) => libp2p.getConnections().map(({ id }) => id)),
      connections,
    );
    const complaints = run.lines().filter(({ level }) => Number(level) >= 50);
    assert.deepEqual(complaints, []);
  };

  await context.test('set back an hour', async (back) => {
    const suspect = await join('127.0.0.3');
    await waitFor(() => inMesh(suspect), { what: 'a place in the mesh' });
    const windowBegan = performance.now();
    for (let n = 0; n < NEARLY_ALL; n++) feed.socket.send('hello');
    await admin.banPeer('203.0.113.1', BigInt(Math.ceil(clock.now() / 1000) + 30));
    await admin.addBanScore(sender.id, 'invalid_block');
    // Beyond the high mark, and too young to be closed yet.
    for (let n = 1; n <= 9; n++) {
      const idle = await createPeer({ context, localAddress: `127.0.1.${n}`, listen: false });
      await idle.dial(address);
    }
    const pings = feed.pings;
    const threads = await clock.set(-HOUR);
    assert.ok(
      threads >= 5,
      `${threads} threads follow: main, publisher, broker, checkers, notification server`,
    );

    await back.test('messages reach peers, clients and Kafka', checkFlow);
    await back.test('who is bad loses its place in the mesh', () => misbehave(suspect));
    await back.test('connections past the high mark are trimmed', async () => {
      await waitFor(async () => sumOf(await scrape(), 'teranode_p2p_node_connections_trimmed_total') > 0, {
        what: 'trimming',
        everyMs: 500,
        ...PATIENCE,
      });
    });
    await back.test('a ban ends when it would have', async () => {
      await waitFor(async () => !(await admin.isBanned('203.0.113.1')), {
        what: 'its end',
        everyMs: 200,
        ...PATIENCE,
      });
    });
    await back.test('a client that keeps its limit stays, and is pinged', async () => {
      // Of the server, which may have read the last ones late.
      await waitFor(() => performance.now() - windowBegan > MINUTE + 10_000, {
        what: 'another minute',
        ...PATIENCE,
      });
      for (let n = 0; n < NEARLY_ALL; n++) feed.socket.send('hello');
      const before = feed.frames.length;
      await waitFor(() => feed.closed !== '' || feed.frames.length > before + 5, {
        what: 'an answer',
        ...PATIENCE,
      });
      assert.equal(feed.closed, '');
      await waitFor(() => feed.pings > pings, { what: 'a ping', ...PATIENCE });
    });
    await back.test('ban scores are forgiven', async () => {
      const score = async () => (await admin.getPeers()).find(({ id }) => id === sender.id)?.banscore ?? 10;
      await waitFor(async () => (await score()) < 10, {
        what: 'a point to be forgiven',
        everyMs: 500,
        ...PATIENCE,
      });
    });
    await back.test('uptime is what has passed', checkUptime);
    await back.test('times that are told are of the clock as it is', checkTimes);
    await back.test('nobody is disconnected', checkConnections);
  });

  await context.test('set forward two hours', async (forward) => {
    const suspect = await join('127.0.0.4');
    await misbehave(suspect);
    await suspect.libp2p.hangUp(peerIdFromString(peerId));
    await admin.banPeer('203.0.113.2', BigInt(Math.ceil(clock.now() / 1000) + 600));
    const again = await sender.sign(TOPIC, subtreeData(sender.id, 1_000_000));
    sender.send(peerId, [again]);
    const copies = () => feed.frames.filter(({ hash }) => hash === hashOf(1_000_000)).length;
    await waitFor(() => copies() === 1, { what: 'an announcement' });
    const repeats = async () => sumOf(await scrape(), 'teranode_p2p_messages_total', { outcome: 'repeat' });
    const repeated = await repeats();
    await clock.set(HOUR);

    await forward.test('messages reach peers, clients and Kafka', checkFlow);
    await forward.test('what was announced before is no news', async () => {
      // The very message is one that GossipSub has seen; the same announcement in another message is a repeat.
      sender.send(peerId, [again]);
      sender.send(peerId, [await sender.sign(TOPIC, subtreeData(sender.id, 1_000_000))]);
      await waitFor(async () => (await repeats()) > repeated, { what: 'the repeat', everyMs: 200 });
      await checkFlow();
      assert.equal(await repeats(), repeated + 1);
      assert.equal(copies(), 1);
    });
    await forward.test('who was bad is not forgiven', async () => {
      await suspect.dial(address);
      await suspect.sees(peerId, TOPIC);
      const before = suspect.heard.length;
      await checkFlow();
      assert.equal(suspect.heard.length, before, 'it is told nothing');
    });
    await forward.test('a ban goes on', async () => assert.equal(await admin.isBanned('203.0.113.2'), true));
    await forward.test('uptime is what has passed', checkUptime);
    await forward.test('times that are told are of the clock as it is', checkTimes);
    await forward.test('nobody is disconnected', checkConnections);
  });

  sending = false;
  await load;
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end of the process')).code, 0);
});

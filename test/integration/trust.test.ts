/** Who is punished on the mesh, seen from outside a whole server: authors for what they sign, never the honest who relay it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createStranger,
  hashOf,
  joinPeer,
  meshOf,
  outcomesOf,
  outcomesSince,
  subtreeData,
  sumOf,
  topicOf,
} from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer, type Peer } from '../support/peer.js';
import { OTHER_PEER, sampleData } from '../support/sample-messages.js';
import {
  adminClient,
  openFeed,
  recordsOf,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';

const SUBTREE = kindNamed('subtree');
if (SUBTREE === undefined) throw new Error('no subtrees');
const subtreeTopic = (server: TestServer) => topicOf(server, SUBTREE);
/** GossipSub forwards nothing whose verdict takes more than five heartbeats. */
const QUIET = { p2p_node_status_interval: 3_600_000, p2p_heartbeat_interval: 4_000 };

const scoreOf = ({ server }: TestServer, { id }: Pick<Peer, 'id'>) =>
  server.parts.node.peers().find((peer) => peer.id === id)?.score;

test('an honest relay of bad messages keeps its standing, their author is scored and banned', async (context) => {
  const server = await startServer(context, serverSettings(context, QUIET));
  const topic = subtreeTopic(server);
  const { peerId } = server.server;
  const feed = await openFeed(context, server.server);
  const client = adminClient(context, server);
  const relay = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.2' });
  const neighbour = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.3' });
  // The author speaks to the relay alone, a plain GossipSub peer that forwards whatever is signed.
  const author = await createPeer({ context, topics: [topic], localAddress: '127.0.0.4' });
  await author.dial(relay.address);
  await author.sees(relay.id, topic);

  // 20 points each: four are just short of a ban.
  for (let n = 0; n < 4; n++) {
    await author.publish(topic, subtreeData(OTHER_PEER, n));
    await waitFor(async () => (await outcomesOf(server)).get('subtree spoofed') === n + 1, {
      what: `bad message ${n + 1}`,
    });
  }
  assert.equal(server.server.parts.scores.score(author.id), 80);
  assert.equal(await client.isBanned(author.id), false);
  // Four are not enough to be ignored: a good one of the same author is taken.
  await author.publish(topic, subtreeData(author.id, 100));
  await feed.next(({ hash }) => hash === hashOf(100), 'a good message of a bad author');

  await author.publish(topic, subtreeData(OTHER_PEER, 5));
  await waitFor(() => client.isBanned(author.id), { what: 'the ban' });
  await author.publish(topic, subtreeData(author.id, 101));
  await waitFor(async () => (await outcomesOf(server)).get('subtree banned') === 1, {
    what: 'the banned author to be ignored',
  });

  // The relay: connected, in the mesh, not scored, heard.
  assert.equal(server.server.parts.scores.score(relay.id), 0);
  assert.ok((scoreOf(server, relay) ?? -1) >= 0, `the relay's score is ${scoreOf(server, relay)}`);
  assert.ok(meshOf(server, topic).includes(relay.id));
  await relay.publish(topic, subtreeData(relay.id, 102));
  await feed.next(({ hash }) => hash === hashOf(102), 'the relay’s own message');
  await waitFor(() => neighbour.heard.some(({ author: by }) => by === relay.id), {
    what: 'it at the neighbour',
  });
  assert.equal(neighbour.heard.filter(({ author: by }) => by === author.id).length, 1, 'only the good one');
  assert.ok(feed.frames.every(({ hash }) => hash !== hashOf(101)));
  const scrape = await server.server.scrape();
  assert.equal(sumOf(scrape, 'teranode_p2p_node_verdicts_total', { verdict: 'reject' }), 0);
  assert.equal(sumOf(scrape, 'teranode_p2p_bans'), 1);
  assert.equal(
    server.server.parts.node.peers().some(({ id }) => id === peerId),
    false,
  );
});

test('a node whose data hub is at localhost, as nodes of 2025 ship it, announces for days and keeps its standing', async (context) => {
  const server = await startServer(
    context,
    serverSettings(context, { ...QUIET, p2p_allow_private_ips: false, p2p_max_announcers_per_hash: 0 }),
  );
  const topics = ['block', 'subtree', 'node_status'].map((name) => {
    const kind = kindNamed(name);
    if (kind === undefined) throw new Error(`no kind ${name}`);
    return { name, topic: topicOf(server, kind) };
  });
  const feed = await openFeed(context, server.server);
  const client = adminClient(context, server);
  const shipped = await joinPeer(context, server, {
    topics: topics.map(({ topic }) => topic),
    localAddress: '127.0.0.2',
  });
  // The other is connected to nobody here: peers of loopback would not be banned in any case.
  const far = await createStranger();
  const send = async (author: typeof far | Peer, name: string, changes: object) => {
    const topic = topics.find((one) => one.name === name)?.topic ?? '';
    const data = sampleData(name, { peerId: author.id, ...changes }, 'message-bus', author.id);
    shipped.send(server.server.peerId, [await author.sign(topic, data)]);
  };
  const COUNT = 200;
  const hubs = ['http://localhost:8090/api/v1', 'http://192.168.1.7:8090/api/v1', ''];
  for (const author of [shipped, far]) {
    for (let n = 0; n < COUNT; n++) {
      const dataHubUrl = hubs[n % hubs.length];
      await send(author, 'block', { hash: hashOf(n), header: '', dataHubUrl });
      await send(author, 'subtree', { hash: hashOf(n), dataHubUrl });
    }
  }
  await waitFor(
    async () => {
      const outcomes = await outcomesOf(server);
      const of = (name: string) =>
        [...outcomes].reduce((sum, [key, count]) => sum + (key.startsWith(`${name} `) ? count : 0), 0);
      return of('block') === 2 * COUNT && of('subtree') === 2 * COUNT;
    },
    { what: 'what became of each' },
  );
  for (const { id } of [shipped, far]) {
    assert.equal(await client.isBanned(id), false);
    assert.equal(server.server.parts.scores.score(id), 0);
  }
  assert.ok((scoreOf(server, shipped) ?? -1) >= 0, 'nor is it worth less to the mesh');
  for (const author of [shipped, far]) {
    await send(author, 'node_status', { baseUrl: hubs[0] });
    const status = await feed.next(
      ({ type, peer_id }) => type === 'node_status' && peer_id === author.id,
      'its status',
    );
    assert.equal(status.base_url, undefined, 'without the address that nobody can use');
    // Its operator has named a public one.
    await send(author, 'block', { hash: hashOf(COUNT + 1), header: '' });
    await feed.next(({ type, peer_id }) => type === 'block' && peer_id === author.id, 'its block');
  }
  assert.equal(feed.frames.filter(({ type }) => type === 'block' || type === 'subtree').length, 2);
});

test('an author that sends its bad messages itself falls in GossipSub’s score, out of the mesh, and is told nothing', async (context) => {
  const server = await startServer(context, serverSettings(context, QUIET));
  const topic = subtreeTopic(server);
  const author = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.2' });
  const honest = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.3' });
  for (let n = 0; n < 16; n++) {
    author.send(server.server.peerId, [await author.sign(topic, subtreeData(OTHER_PEER, n))]);
  }
  await waitFor(() => (scoreOf(server, author) ?? 0) < -4000, { what: 'its score to fall' });
  await waitFor(() => !meshOf(server, topic).includes(author.id), { what: 'it to leave the mesh' });
  assert.ok((scoreOf(server, honest) ?? -1) >= 0);
  const stranger = await createStranger();
  honest.send(server.server.peerId, [await stranger.sign(topic, subtreeData(stranger.id, 50))]);
  const third = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.4' });
  honest.send(server.server.peerId, [await stranger.sign(topic, subtreeData(stranger.id, 51))]);
  await waitFor(() => third.heard.length > 0, { what: 'a good message at a peer of good standing' });
  assert.deepEqual(
    author.heard.filter(({ author: by }) => by === stranger.id),
    [],
  );
  assert.deepEqual(
    honest.heard.filter(({ author: by }) => by === author.id),
    [],
  );
});

test('who keeps forging in its own name reaches the ban threshold before the graylist', async (context) => {
  const server = await startServer(context, serverSettings(context, QUIET));
  const topic = subtreeTopic(server);
  const forger = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.2' });
  for (let n = 0; n < 15; n++) {
    const message = await forger.sign(topic, subtreeData(forger.id, n));
    forger.send(server.server.peerId, [{ ...message, signature: Buffer.alloc(64, n + 1) }]);
  }
  const { scores } = server.server.parts;
  // Loopback is spared the ban itself.
  await waitFor(() => scores.score(forger.id) === scores.threshold, { what: 'the ban threshold' });
});

test('a ban closes connections at once, keeps them closed, and silences the peer it names', async (context) => {
  const server = await startServer(context, serverSettings(context, QUIET));
  const topic = subtreeTopic(server);
  const { peerId } = server.server;
  const client = adminClient(context, server);
  const feed = await openFeed(context, server.server);
  const { records } = await recordsOf(context, server, 'kafka_subtreesConfig');
  const good = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.9' });
  const neighbour = await joinPeer(context, server, { topics: [topic], localAddress: '127.0.0.10' });
  const refusals = async (reason: string) =>
    sumOf(await server.server.scrape(), 'teranode_p2p_node_connections_refused_total', {
      direction: 'inbound',
      reason,
    });
  const recordOf = (n: number) => records.find(({ key }) => Buffer.from(key ?? []).toString() === hashOf(n));
  let next = 0;

  const bans = {
    'peer ID': { address: '127.0.0.5', subject: (id: string) => id, reason: 'banned_peer' },
    address: { address: '127.0.0.6', subject: () => '127.0.0.6', reason: 'banned_address' },
    subnet: { address: '127.0.0.21', subject: () => '127.0.0.20/30', reason: 'banned_address' },
  };
  for (const [by, { address, subject, reason }] of Object.entries(bans)) {
    await context.test(`by ${by}`, async () => {
      const bad = await joinPeer(context, server, { topics: [topic], localAddress: address });
      const first = next++;
      await bad.publish(topic, subtreeData(bad.id, first));
      await feed.next(({ hash }) => hash === hashOf(first), 'its message before the ban');
      await waitFor(() => recordOf(first), { what: 'its record' });
      const refusedBefore = await refusals(reason);

      assert.equal(await client.banPeer(subject(bad.id)), true);
      await waitFor(() => bad.libp2p.getConnections().length === 0, { what: 'its connection to close' });
      const connected = server.server.parts.node.peers().map(({ id }) => id);
      assert.deepEqual(connected.sort(), [good.id, neighbour.id].sort());
      // From its side a refusal after the handshake may look like a connection for a moment.
      await bad.dial(server.address).catch(() => {});
      await waitFor(() => bad.libp2p.getConnections().length === 0, { what: 'it to stay out' });
      await waitFor(async () => (await refusals(reason)) > refusedBefore, {
        what: 'the refusal',
        everyMs: 50,
      });
      assert.ok(server.server.parts.node.peers().every(({ id }) => id !== bad.id));

      const before = await outcomesOf(server);
      const [relayed, own] = [next++, next++];
      good.send(peerId, [
        await bad.sign(topic, subtreeData(bad.id, relayed)),
        await good.sign(topic, subtreeData(good.id, own)),
      ]);
      await feed.next(({ hash }) => hash === hashOf(own), 'the honest peer’s message');
      await waitFor(() => neighbour.heard.filter(({ author }) => author === good.id).length > 0, {
        what: 'it at the neighbour',
      });
      // A frame may arrive before main has counted what it came from.
      const outcomes = await waitFor(
        async () => {
          const since = await outcomesSince(server, before, 'subtree');
          return Object.values(since).reduce((sum, count) => sum + count, 0) === 2 ? since : undefined;
        },
        { what: 'both outcomes' },
      );
      const silenced = by === 'peer ID';
      // An address says nothing of who signed what comes from elsewhere.
      assert.deepEqual(outcomes, silenced ? { 'subtree banned': 1, 'subtree ok': 1 } : { 'subtree ok': 2 });
      await waitFor(() => recordOf(own) && (silenced || recordOf(relayed)), { what: 'the records' });
      if (silenced) {
        assert.equal(neighbour.heard.filter(({ author }) => author === bad.id).length, 1);
        assert.ok(feed.frames.every(({ hash }) => hash !== hashOf(relayed)));
        assert.equal(recordOf(relayed), undefined);
      }
      assert.ok((scoreOf(server, good) ?? -1) >= 0);

      assert.equal(await client.unbanPeer(subject(bad.id)), true);
      await bad.dial(server.address);
      await bad.sees(peerId, topic);
      const after = next++;
      await bad.publish(topic, subtreeData(bad.id, after));
      await feed.next(({ hash }) => hash === hashOf(after), 'its message after the pardon');
      await bad.stop();
    });
  }
});

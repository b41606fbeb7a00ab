/** Threads and processes of a whole server die in mid-flow, and nothing that was heard is lost, doubled or out of order. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Dashboard } from '../support/dashboard.js';
import {
  createStranger,
  joinPeer,
  numberedFrames,
  numberOf,
  outcomesOf,
  type Stranger,
  subtreeData,
  sumOf,
} from '../support/gossip.js';
import type { Peer } from '../support/peer.js';
import { openFeed, recordsOf, serverSettings, startServer, type TestServer } from '../support/server.js';
import { TRAP, treeWith } from '../support/tree-with.js';
import { waitFor } from '../support/wait.js';
import { CHECKER_MB, PUBLISHER_MB, watchWorkerThreads } from '../support/worker-threads.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const TRAP_TOPIC = 'teranode/bitcoin/1.0.0/regtest-trap';
const COUNT = 900;
/** In bursts, so that something is on its way whenever something dies. */
const BURST = 30;

const settings = (context: TestContext, changes = {}) =>
  serverSettings(context, { p2p_node_status_interval: 3_600_000, ...changes });

/** Sends `count` subtrees of `author` from `first` on; `between` is called after each burst. */
async function flow(
  { server }: TestServer,
  relay: Peer,
  author: Stranger,
  [first, count]: readonly [number, number],
  between: (burst: number) => Promise<void> | void = () => {},
): Promise<void> {
  for (let sent = 0; sent < count; sent += BURST) {
    const burst = Array.from({ length: Math.min(BURST, count - sent) }, (_, index) => first + sent + index);
    relay.send(
      server.peerId,
      await Promise.all(burst.map((n) => author.sign(TOPIC, subtreeData(author.id, n)))),
    );
    await between(sent / BURST);
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const hashesOf = (records: readonly { readonly key?: Uint8Array | undefined }[]) =>
  records.map(({ key }) => numberOf(Buffer.from(key ?? []).toString()));

for (const [name, megabytes] of [
  ['checkers', CHECKER_MB],
  ['publisher', PUBLISHER_MB],
] as const) {
  test(`${name} killed in mid-flow: every message is a record and one frame, in order, to the same clients`, async (context) => {
    const threads = watchWorkerThreads(context);
    // GossipSub forwards nothing whose verdict takes more than five heartbeats. These are long: what counts here is that nothing
    // is lost, and threads that are started again take their time on a busy machine.
    const server = await startServer(context, settings(context, { p2p_heartbeat_interval: 4_000 }));
    const feed = await openFeed(context, server.server);
    const numbered = numberedFrames(context, server);
    const { records } = await recordsOf(context, server, 'kafka_subtreesConfig');
    const relay = await joinPeer(context, server, { topics: [TOPIC] });
    const neighbour = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.2' });
    const author = await createStranger();

    let killed = 0;
    await flow(server, relay, author, [0, COUNT], async (burst) => {
      if (burst % 10 !== 5) return;
      for (const victim of threads.withOldSpace(megabytes)) {
        killed++;
        victim.terminate().catch(() => {});
      }
    });
    assert.ok(killed >= 2, `${killed} killed`);
    const frames = () =>
      feed.frames.filter(({ peer_id, type }) => type === 'subtree' && peer_id === author.id);
    await waitFor(() => frames().length >= COUNT, { what: `${COUNT} frames`, timeoutMs: 30_000 });
    await waitFor(() => new Set(hashesOf(records)).size === COUNT, {
      what: 'their records',
      timeoutMs: 30_000,
    });
    await waitFor(() => new Set(neighbour.heard.map(({ id }) => id)).size === COUNT, {
      what: 'all of them at the neighbour',
      timeoutMs: 15_000,
    });
    assert.deepEqual(
      frames().map(({ hash }) => numberOf(hash)),
      upTo(COUNT),
    );
    // Kafka may hear twice what it had not acknowledged, never out of order.
    const firsts = [...new Set(hashesOf(records))];
    assert.deepEqual(firsts, upTo(COUNT));
    const outcomes = await outcomesOf(server);
    assert.deepEqual([outcomes.get('subtree ok'), outcomes.get('subtree poisonous')], [COUNT, 0]);
    const { epoch } = numbered.frames.at(-1) ?? {};
    const sequence = numbered.frames.map(({ seq }) => seq);
    assert.deepEqual(
      sequence,
      sequence.map((_, index) => (sequence[0] ?? 0) + index),
    );
    assert.ok(numbered.frames.every((frame) => frame.epoch === epoch));
    assert.equal(numbered.gaps, 0);
    const scrape = await waitFor(
      async () => {
        const text = await server.server.scrape();
        return sumOf(text, 'teranode_p2p_frame_stream_readers') > 0 ? text : undefined;
      },
      { what: 'a publisher that answers' },
    );
    const pool = name === 'checkers' ? 'checker' : 'publisher';
    assert.ok(sumOf(scrape, 'teranode_p2p_pipeline_worker_deaths_total', { pool }) >= 1);
    assert.equal((await server.server.health(true)).status, 200);
    await waitFor(async () => (await server.server.health(false)).status === 200, { what: 'readiness' });
  });
}

test('a message that kills every checker that opens it is dropped alone, and counted', async (context) => {
  const tree = treeWith(context, TRAP);
  const server = await startServer(context, settings(context, { p2p_trap_topic: 'trap' }), { tree });
  const feed = await openFeed(context, server.server);
  const relay = await joinPeer(context, server, { topics: [TOPIC, TRAP_TOPIC] });
  const neighbour = await joinPeer(context, server, {
    topics: [TOPIC, TRAP_TOPIC],
    localAddress: '127.0.0.2',
  });
  const author = await createStranger();
  const springs = ['exit', 'memory', 'exit'];
  await flow(server, relay, author, [0, 300], async (burst) => {
    const spring = springs[(burst - 2) / 3];
    if (spring === undefined) return;
    relay.send(server.server.peerId, [await author.sign(TRAP_TOPIC, JSON.stringify({ spring }))]);
  });
  const frames = () => feed.frames.filter(({ peer_id, type }) => type === 'subtree' && peer_id === author.id);
  await waitFor(() => frames().length >= 300, { what: 'the others', timeoutMs: 30_000 });
  await waitFor(async () => (await outcomesOf(server)).get('trap poisonous') === springs.length, {
    what: 'the poisonous ones to be counted',
    timeoutMs: 20_000,
  });
  assert.deepEqual(
    frames().map(({ hash }) => numberOf(hash)),
    upTo(300),
  );
  await waitFor(async () => (await outcomesOf(server)).get('subtree ok') === 300, { what: 'their verdicts' });
  assert.equal(neighbour.heard.filter(({ topic }) => topic === TRAP_TOPIC).length, 0, 'not passed on');
  assert.equal(server.server.parts.scores.score(author.id), 0, 'what no check foresaw is nobody’s offence');
  assert.equal((await server.server.health(true)).status, 200);
});

test('a notification server killed in mid-flow: its clients reconnect, the others miss nothing, the sequence goes on', async (context) => {
  const server = await startServer(context, settings(context));
  const numbered = numberedFrames(context, server);
  const relay = await joinPeer(context, server, { topics: [TOPIC] });
  const author = await createStranger();
  const url = `ws://127.0.0.1:${server.server.ports.http}/p2p-ws`;
  const dashboards = Array.from({ length: 24 }, () => new Dashboard(context, () => url));
  await waitFor(() => dashboards.every(({ open }) => open), { what: 'all clients' });
  const { notifications } = server.server.parts;
  const [victim, survivor] = notifications.pids;
  assert.ok(victim !== undefined && survivor !== undefined);

  await flow(server, relay, author, [0, 600], async (burst) => {
    if (burst === 8) process.kill(victim, 'SIGKILL');
    if (burst === 10)
      await waitFor(() => dashboards.some(({ life }) => life > 1), { what: 'clients to be cut' });
  });
  await waitFor(() => dashboards.every(({ open }) => open), { what: 'every client to be back' });
  await waitFor(() => notifications.serving === 2 && !notifications.pids.includes(victim), {
    what: 'another in its place',
  });
  assert.ok(notifications.pids.includes(survivor));
  await flow(server, relay, author, [600, 300]);
  const heard = (each: Dashboard, life: number) =>
    (each.lives[life - 1] ?? []).filter(({ type }) => type === 'subtree').map(({ hash }) => numberOf(hash));
  const last = 899;
  await waitFor(() => dashboards.every((each) => heard(each, each.life).at(-1) === last), {
    what: 'the last subtree at every client',
    timeoutMs: 20_000,
  });

  const cut = dashboards.filter(({ life }) => life > 1);
  assert.ok(cut.length > 0);
  for (const dashboard of dashboards) {
    if (dashboard.life === 1) assert.deepEqual(heard(dashboard, 1), upTo(900), 'the others miss nothing');
    for (let life = 1; life <= dashboard.life; life++) {
      const numbers = heard(dashboard, life);
      const first = numbers[0] ?? 0;
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => first + index),
        'without a gap while connected',
      );
    }
  }
  const sequence = numbered.frames.map(({ seq }) => seq);
  assert.deepEqual(
    sequence,
    sequence.map((_, index) => (sequence[0] ?? 0) + index),
  );
  await waitFor(async () => (await outcomesOf(server)).get('subtree ok') === 900, { what: 'their verdicts' });
  assert.equal(sumOf(await server.server.scrape(), 'teranode_p2p_notification_server_restarts_total'), 1);
});

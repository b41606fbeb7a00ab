/** The broker goes away for 20 s under load: nothing is lost, and nobody but Kafka's readers notices. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { hashOf, sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { followFrames } from '../support/publisher.js';
import { launchServer } from '../support/server-process.js';
import { hashesUpTo, keysIn, readiness, SubtreeTraffic, scrapeOf } from '../support/subtree-traffic.js';
import { waitFor } from '../support/wait.js';

const PER_SECOND = 500;
const OUTAGE_MS = 20_000;
const MEGABYTE = 1024 * 1024;
/** Of the server's process: 10,000 records of 300 bytes are 3 MB, the rest is what a heap does. */
const MAX_GROWTH_MB = 300;
/** Between two frames while the broker is away: less than the outage. A broker that starts takes the machine for itself for a while. */
const MAX_GAP_MS = 15_000;

/** The hashes of subtrees that a WebSocket client hears, and its longest wait for one. */
function listenAt(context: Pick<TestContext, 'after'>, port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws`);
  context.after(() => socket.terminate());
  const client = { hashes: [] as string[], longestMs: 0, lastAt: 0, closed: false };
  socket.on('error', () => {});
  socket.on('close', () => {
    client.closed = true;
  });
  socket.on('message', (data) => {
    const { type, hash } = JSON.parse(String(data)) as { type: string; hash?: string };
    if (type !== 'subtree') return;
    const now = performance.now();
    if (client.lastAt > 0) client.longestMs = Math.max(client.longestMs, now - client.lastAt);
    client.lastAt = now;
    client.hashes.push(String(hash));
  });
  return new Promise<typeof client>((resolve, reject) => {
    socket.once('message', () => resolve(client));
    socket.once('close', () => reject(new Error('closed before its greeting')));
  });
}

test('a broker that is away for 20 s under 500 announcements a second loses none, and clients hear on', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('subtrees');
  const run = launchServer(context, {
    set: { kafka_subtreesConfig: kafka.url(topic), kafka_blocksConfig: kafka.url(kafka.topic('blocks')) },
  });
  const server = await run.ready();
  const traffic = await SubtreeTraffic.create(context);
  await traffic.join(server);
  await waitFor(async () => (await readiness(server)).status === 200, {
    what: 'readiness',
    timeoutMs: 30_000,
  });
  const clients = await Promise.all([
    listenAt(context, server.ports.http),
    listenAt(context, server.ports.http),
  ]);
  const numbered = followFrames(context, localSocketPath(run.directory, 'frames.sock'));
  await waitFor(numbered.connected, { what: 'the frames' });
  const memory = async () => sumOf(await scrapeOf(server), 'process_resident_memory_bytes') / MEGABYTE;
  const depth = async () => sumOf(await scrapeOf(server), 'teranode_p2p_outbox_depth');

  const began = performance.now();
  const end = traffic.start(PER_SECOND);
  await waitFor(() => traffic.sent > 5 * PER_SECOND, { what: 'a flow', timeoutMs: 60_000 });
  const before = await memory();
  await kafka.broker(1).stop();
  const away = performance.now();
  await waitFor(
    async () => {
      const answer = await readiness(server);
      // A publisher that answers late is one line without its topics.
      return answer.status === 503 && answer.text.includes(`kafka ${topic}`);
    },
    { what: 'readiness to fail', timeoutMs: OUTAGE_MS, everyMs: 200 },
  );
  const noticedMs = performance.now() - away;
  await delay(Math.max(0, OUTAGE_MS - (performance.now() - away)));
  assert.equal((await readiness(server)).status, 503);
  const peak = await memory();
  // A publisher that answers late is left out of a scrape.
  const waiting = await waitFor(depth, { what: 'the records that wait' });
  assert.ok(waiting > (OUTAGE_MS / 1000) * PER_SECOND * 0.3, `${waiting} records wait`);
  for (const { longestMs } of clients) {
    assert.ok(longestMs < MAX_GAP_MS, `${longestMs} ms without a frame`);
  }
  const [startedAt, sentSoFar] = [performance.now(), traffic.sent];
  await kafka.broker(1).start();
  const upMs = performance.now() - startedAt;
  await waitFor(async () => (await readiness(server)).status === 200, {
    what: 'readiness to come back',
    timeoutMs: 60_000,
    everyMs: 200,
  });
  const backMs = performance.now() - startedAt;
  await waitFor(() => traffic.sent > sentSoFar + 5 * PER_SECOND, { what: 'a flow', timeoutMs: 60_000 });
  await end();
  const seconds = (performance.now() - began) / 1000;
  await waitFor(
    async () =>
      sumOf(await scrapeOf(server), 'teranode_p2p_messages_total', { kind: 'subtree', outcome: 'ok' }) ===
      traffic.sent,
    { what: 'a verdict for each', timeoutMs: 60_000, everyMs: 200 },
  );
  await waitFor(async () => (await depth()) === 0, {
    what: 'an empty outbox',
    timeoutMs: 60_000,
    everyMs: 200,
  });
  const after = await memory();

  const all = hashesUpTo(traffic.sent);
  for (const client of clients) {
    await waitFor(() => client.hashes.length >= all.length, { what: 'every frame', timeoutMs: 30_000 });
    assert.deepEqual(client.hashes, all, 'every frame once, in order');
    assert.equal(client.closed, false);
  }
  assert.equal(numbered.gaps(), 0);
  const first = numbered.seqs[0] ?? 0;
  assert.deepEqual(
    numbered.seqs,
    numbered.seqs.map((_, index) => first + index),
  );
  const keys = await keysIn(kafka, topic, all.length);
  const there = new Set(keys);
  assert.deepEqual(
    all.filter((hash) => !there.has(hash)),
    [],
    'none is lost',
  );
  assert.deepEqual([...there], all, 'old before new');
  assert.equal(keys[0], hashOf(0));
  assert.ok(peak - before < MAX_GROWTH_MB, `from ${before} to ${peak} MB during the outage`);
  assert.ok(after - before < MAX_GROWTH_MB, `from ${before} to ${after} MB after it`);
  context.diagnostic(
    `${all.length} announcements at ${Math.round(all.length / seconds)}/s; readiness failed after ${noticedMs.toFixed(0)} ms ` +
      `and was back ${(backMs - upMs).toFixed(0)} ms after the broker; ${waiting} records waited, ${keys.length - there.size} came twice`,
  );
  const longest = Math.max(...clients.map(({ longestMs }) => longestMs));
  context.diagnostic(
    `memory ${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at the end of the outage, ${after.toFixed(0)} MB after; ` +
      `clients waited ${longest.toFixed(0)} ms at the most`,
  );
  const told = run
    .lines()
    .filter(({ topic: of, msg }) => of === 'subtrees' && /the outbox .*drain/.test(String(msg)));
  assert.equal(told[0]?.msg, 'the outbox drains');
  assert.equal(told.at(-1)?.msg, 'the outbox has drained');
  for (const line of told) context.diagnostic(JSON.stringify(line));
});

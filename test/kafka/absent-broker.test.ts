/** There is no broker when the server starts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { launchServer } from '../support/server-process.js';
import { hashesUpTo, keysIn, readiness, SubtreeTraffic, scrapeOf } from '../support/subtree-traffic.js';
import { waitFor, within } from '../support/wait.js';

const COUNT = 400;

test('without a broker the server starts and says why it is not ready; what it heard arrives when the broker does', {
  timeout: 180_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  // It keeps its address. The topics are not there yet.
  await kafka.broker(1).stop();
  const topic = kafka.topic('subtrees');
  const run = launchServer(context, {
    set: {
      kafka_subtreesConfig: kafka.url(topic),
      kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
      // GossipSub forwards nothing whose verdict takes more than five heartbeats.
      p2p_heartbeat_interval: '4s',
    },
  });
  const server = await run.ready();
  const sick = await waitFor(
    async () => {
      const found = await readiness(server);
      return found.status === 503 && found.text.includes(`kafka ${topic}`) ? found : undefined;
    },
    { what: 'readiness that names the topic', timeoutMs: 30_000 },
  );
  assert.match(sick.text, new RegExp(kafka.brokers), 'it says who does not answer');
  assert.match(sick.text, /kafka_subtreesConfig/, 'and which setting names it');
  context.diagnostic(sick.text);
  const traffic = await SubtreeTraffic.create(context);
  await traffic.join(server);
  for (let n = 0; n < COUNT / 20; n++) await traffic.send(20);
  const depth = async () => sumOf(await scrapeOf(server), 'teranode_p2p_outbox_depth', { topic: 'subtrees' });
  await waitFor(async () => (await depth()) === COUNT, {
    what: 'all of them in the outbox',
    timeoutMs: 30_000,
  });
  await waitFor(() => traffic.passedOn.size === COUNT, { what: 'all of them passed on', timeoutMs: 30_000 });
  const startedAt = performance.now();
  await kafka.broker(1).start();
  const upMs = performance.now() - startedAt;
  await waitFor(async () => (await depth()) === 0, {
    what: 'an empty outbox',
    timeoutMs: 60_000,
    everyMs: 100,
  });
  const ms = performance.now() - startedAt - upMs;
  await waitFor(async () => (await readiness(server)).status === 200, {
    what: 'readiness',
    timeoutMs: 30_000,
  });
  await traffic.send(20);
  await waitFor(
    async () =>
      sumOf(await scrapeOf(server), 'teranode_p2p_kafka_records_total', { outcome: 'acknowledged' }) ===
      COUNT + 20,
    { what: 'what comes after', timeoutMs: 30_000 },
  );
  const keys = await keysIn(kafka, topic, COUNT + 20);
  assert.deepEqual([...new Set(keys)], hashesUpTo(COUNT + 20));
  context.diagnostic(`the outbox was empty ${ms.toFixed(0)} ms after the broker answered`);
});

test('a broker that stands still in the middle of everything does not keep the server from stopping whole', {
  timeout: 180_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  // Before the cluster's own end, which waits for the broker.
  context.after(() => kafka.broker(1).resume());
  const topics = ['blocks', 'subtrees', 'rejectedtx', 'invalid-blocks', 'invalid-subtrees'];
  const [blocks, subtrees, rejected, invalidBlocks, invalidSubtrees] = topics.map((topic) =>
    kafka.url(kafka.topic(topic)),
  ) as [string, string, string, string, string];
  const run = launchServer(context, {
    set: {
      kafka_blocksConfig: blocks,
      kafka_subtreesConfig: subtrees,
      kafka_rejectedTxConfig: rejected,
      kafka_invalidBlocksConfig: invalidBlocks,
      kafka_invalidSubtreesConfig: invalidSubtrees,
      shutdown_timeout: '20s',
    },
  });
  const server = await run.ready();
  await waitFor(async () => (await readiness(server)).status === 200, {
    what: 'readiness',
    timeoutMs: 60_000,
  });
  const joins = async () => sumOf(await scrapeOf(server), 'teranode_p2p_kafka_consumer_joins_total', {});
  await waitFor(async () => (await joins()) >= 3, { what: 'three members', timeoutMs: 60_000 });
  kafka.broker(1).pause();
  const told = performance.now();
  run.child.kill('SIGTERM');
  const { code } = await within(run.exit, 30_000, 'the stop');
  const ms = performance.now() - told;
  assert.equal(code, 0);
  assert.deepEqual(
    run.lines().filter(({ msg }) => msg === 'did not stop cleanly'),
    [],
  );
  assert.ok(ms < 15_000, `the stop took ${ms} ms`);
  context.diagnostic(`stopped in ${ms} ms`);
});

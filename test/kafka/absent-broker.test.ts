/** There is no broker when the server starts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { launchServer } from '../support/server-process.js';
import { hashesUpTo, keysIn, readiness, SubtreeTraffic, scrapeOf } from '../support/subtree-traffic.js';
import { waitFor } from '../support/wait.js';

const COUNT = 400;

test('without a broker the server starts and says why it is not ready; what it heard arrives when the broker does', {
  timeout: 180_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  // It keeps its address. The topics are not there yet.
  await kafka.broker(1).stop();
  const topic = kafka.topic('subtrees');
  const run = launchServer(context, {
    set: { kafka_subtreesConfig: kafka.url(topic), kafka_blocksConfig: kafka.url(kafka.topic('blocks')) },
  });
  const server = await run.ready();
  const sick = await readiness(server);
  assert.equal(sick.status, 503);
  assert.match(sick.text, new RegExp(`kafka ${topic}`));
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
  await waitFor(() => traffic.passedOn.size === COUNT, { what: 'all of them passed on' });
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
    { what: 'what comes after' },
  );
  const keys = await keysIn(kafka, topic, COUNT + 20);
  assert.deepEqual([...new Set(keys)], hashesUpTo(COUNT + 20));
  context.diagnostic(`the outbox was empty ${ms.toFixed(0)} ms after the broker answered`);
});

/** A large backlog leaves for Kafka at full speed, old before new, while new announcements flow. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startKafka } from '../support/kafka/index.js';
import { announcement, startPublisher } from '../support/publisher.js';
import { keysIn } from '../support/subtree-traffic.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const BACKLOG = 200_000;
const STEADY = 60_000;
const BATCH = 64;
/** What a subtree's record weighs. */
const PADDING = 150;

test('a backlog of 200,000 records drains at full speed while new ones come, in order', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('subtrees');
  const settings = {
    kafka_subtreesConfig: kafka.url(topic),
    kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
  };
  const expected: string[] = [];
  const batch = (count: number) =>
    Array.from({ length: count }, () => {
      const message = announcement(`subtree ${expected.length}`, { topic: 'subtrees', padding: PADDING });
      expected.push(Buffer.from(message.record?.key ?? []).toString());
      return message;
    });
  const directory = temporaryDirectory(context);
  const publisher = startPublisher(context, '', settings, directory);
  const acknowledged = () =>
    publisher.metric('teranode_p2p_kafka_records_total', { outcome: 'acknowledged' });
  /** Two batches on their way, as the pipeline has. */
  const pour = async (count: number): Promise<void> => {
    let flying: Promise<unknown> = Promise.resolve();
    for (const end = expected.length + count; expected.length < end; ) {
      const next = publisher.publish(batch(Math.min(BATCH, end - expected.length)));
      await flying;
      flying = next;
    }
    await flying;
  };

  const steadyFrom = performance.now();
  await pour(STEADY);
  await waitFor(async () => (await acknowledged()) === STEADY, {
    what: 'the steady flow',
    timeoutMs: 60_000,
  });
  const steady = STEADY / ((performance.now() - steadyFrom) / 1000);

  await kafka.broker(1).stop();
  const pourFrom = performance.now();
  await pour(BACKLOG);
  const filling = BACKLOG / ((performance.now() - pourFrom) / 1000);
  const held = process.memoryUsage.rss();
  await kafka.broker(1).start();
  await waitFor(async () => (await acknowledged()) > STEADY, {
    what: 'the first of them',
    timeoutMs: 60_000,
  });
  const [drainFrom, before] = [performance.now(), await acknowledged()];
  let fresh = 0;
  for (let done = before; done < STEADY + BACKLOG; done = await acknowledged()) {
    await publisher.publish(batch(20));
    fresh += 20;
    await delay(20);
  }
  const drainSeconds = (performance.now() - drainFrom) / 1000;
  const drain = (STEADY + BACKLOG - before) / drainSeconds;
  await waitFor(async () => (await publisher.waiting()) === 0, {
    what: 'an empty outbox',
    timeoutMs: 60_000,
  });
  const rss = process.memoryUsage.rss();
  // Loss and order decide; that a backlog goes faster than new ones come in is what catching up means.
  const incoming = fresh / drainSeconds;
  assert.ok(drain > incoming, `drained at ${drain}/s while ${incoming}/s came in`);
  assert.equal(await publisher.close(), 0);

  const keys = await keysIn(kafka, topic, expected.length);
  assert.deepEqual([...new Set(keys)], expected, 'none is lost, old before new');
  assert.equal((await publisher.config.settings.p2p_outbox_max) > BACKLOG, true);
  context.diagnostic(
    `steady ${Math.round(steady)}/s, into the outbox ${Math.round(filling)}/s, drained ${Math.round(drain)}/s with ${fresh} new ` +
      `meanwhile; ${keys.length - expected.length} came twice; memory ${(held / 2 ** 20).toFixed(0)} MB before, ${(rss / 2 ** 20).toFixed(0)} MB after`,
  );
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { monotonic } from '../../../src/shared/clock.js';
import { EmbeddedProducer } from '../../../src/shared/kafka/embedded/producer.js';
import { BrokerFaultError, RecordFaultError, TopicFaultError } from '../../../src/shared/kafka/types.js';
import { parseKafkaUrl } from '../../../src/shared/kafka/url.js';
import { LevelDatabase, type Operation } from '../../../src/shared/outbox/database.js';
import { NOTIFIED_KEY } from '../../../src/shared/outbox/keys.js';
import { OutboxStore } from '../../../src/shared/outbox/store.js';
import { createPublisherMetrics } from '../../../src/workers/publisher/metrics.js';
import { NotificationsTopic } from '../../../src/workers/publisher/notifications-topic.js';
import { recordsIn, startBroker } from '../../support/embedded-broker.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

/** A database whose next write of frames waits until it is let go, once `held` is asked for. */
class SlowDatabase extends LevelDatabase {
  #held: Promise<void> | undefined;

  hold(): () => void {
    let release = () => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  override async batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void> {
    if (operations.length > 1) await this.#held;
    return super.batch(operations, options);
  }
}

test('a frame that is still being stored is waited for, not skipped', async (context) => {
  const { logger } = keptLog();
  let database: SlowDatabase | undefined;
  const store = new OutboxStore(
    { logger },
    {
      path: join(temporaryDirectory(context), 'outbox'),
      fsync: false,
      frameRing: 16,
      openDatabase: (path) => {
        database = new SlowDatabase(path);
        return database;
      },
    },
  );
  await store.open();
  context.after(() => store.close());
  const broker = await startBroker(context);
  const url = parseKafkaUrl('kafka_notificationsConfig', 'memory://embedded/notifications?partitions=3');
  const topic = new NotificationsTopic({
    producer: new EmbeddedProducer(broker, url),
    store,
    metrics: createPublisherMetrics(new Registry()),
    logger,
  });
  await topic.start();
  context.after(() => topic.stop(monotonic()));

  const frame = (name: string) => ({
    receivedAt: 1,
    kind: 0,
    own: false,
    json: Buffer.from(JSON.stringify({ name })),
  });
  const append = (name: string) =>
    store.append({ frames: [frame(name)], repeatKeys: [], records: new Map() });
  const names = async () => {
    const all = await Promise.all(
      [0, 1, 2].map((partition) => recordsIn(broker, 'notifications', partition)),
    );
    // All of an epoch's are in one partition.
    assert.ok(all.filter((records) => records.length > 0).length <= 1);
    return all.flat().map(({ value }) => JSON.parse(Buffer.from(value).toString()).name as string);
  };

  const { frames } = await append('a');
  const release = database?.hold();
  const second = append('b');
  topic.add(frames);
  await waitFor(async () => (await names()).length === 1, { what: 'the first frame' });
  // Its position is written after it; then the topic looks for more.
  await waitFor(async () => (await store.get(NOTIFIED_KEY))?.readDoubleLE(0) === 1, { what: 'its position' });
  await turn();
  release?.();
  topic.add((await second).frames);
  await waitFor(async () => (await names()).length === 2, { what: 'the second frame' });
  assert.deepEqual(await names(), ['a', 'b']);
});

/** Before a broker that answers each request, given as its frames' numbers, as `answer` says. */
async function startTopic(context: TestContext, answer: (seqs: readonly number[]) => void) {
  const { logger, lines } = keptLog();
  const store = new OutboxStore(
    { logger },
    { path: join(temporaryDirectory(context), 'outbox'), fsync: false, frameRing: 16 },
  );
  await store.open();
  context.after(() => store.close());
  const topic = new NotificationsTopic({
    producer: {
      topic: 'notifications',
      connect: async () => {},
      send: async (records) =>
        answer(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()).seq as number)),
      health: async () => ({ resource: 'kafka notifications', status: 200, message: '' }),
      disconnect: async () => {},
    },
    store,
    metrics: createPublisherMetrics(new Registry()),
    logger,
  });
  await topic.start();
  context.after(() => topic.stop(monotonic()));
  const add = async (count: number): Promise<void> => {
    const frame = { receivedAt: 1, kind: 0, own: false, json: Buffer.from('{}') };
    const all = Array.from({ length: count }, () => frame);
    topic.add((await store.append({ frames: all, repeatKeys: [], records: new Map() })).frames);
  };
  const position = async () => (await store.get(NOTIFIED_KEY))?.readDoubleLE(0);
  return { topic, add, position, lines };
}

test('frames that went out one by one do not come again when the broker fails among them', async (context) => {
  const taken: number[] = [];
  let down = true;
  const { add, position } = await startTopic(context, (seqs) => {
    if (seqs.includes(1)) throw new RecordFaultError('too large');
    if (down && seqs.includes(3)) {
      down = false;
      throw new BrokerFaultError('no answer');
    }
    taken.push(...seqs);
  });
  await add(5);
  await waitFor(async () => (await position()) === 5, { what: 'all frames' });
  assert.deepEqual(taken, [0, 2, 3, 4]);
});

test('a topic that takes nothing is told in readiness and once in the log, until it takes again', async (context) => {
  let refusals = 0;
  let refuses = true;
  const { topic, add, position, lines } = await startTopic(context, () => {
    if (!refuses) return;
    refusals++;
    throw new TopicFaultError('may not write');
  });
  const health = () => topic.health(AbortSignal.timeout(1000));
  assert.equal((await health()).status, 200);
  await add(2);
  await waitFor(() => refusals >= 3, { what: 'a third try' });
  const told = await health();
  assert.deepEqual([told.status, told.error], [503, 'may not write']);
  assert.equal(lines.filter(({ msg }) => msg === 'frames cannot be sent to Kafka').length, 1);
  refuses = false;
  await waitFor(async () => (await position()) === 2, { what: 'the frames' });
  await waitFor(async () => (await health()).status === 200, { what: 'readiness' });
});

/** What is promised about consuming, on a real broker: groups, places to start, commits after the work, rebalances, poison. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import kafkajs, { type Admin, type Message, type Producer } from 'kafkajs';
import { Registry } from 'prom-client';
import type { KafkaTopicKey } from '../../src/shared/messages/topics.js';
import { parseKafkaUrl } from '../../src/shared/settings/values/kafka-topic.js';
import { createConsumerMetrics } from '../../src/shared/sinks/kafka/consumer-metrics.js';
import { createConsumer } from '../../src/shared/sinks/kafka/index.js';
import { createKafkaClient } from '../../src/shared/sinks/kafka/kafkajs/client.js';
import { compressionCodecs } from '../../src/shared/sinks/kafka/kafkajs/compression.js';
import { KafkaJsConsumer } from '../../src/shared/sinks/kafka/kafkajs/consumer.js';
import { RangeAssigner } from '../../src/shared/sinks/kafka/kafkajs/range-assigner.js';
import type { ConsumedRecord, KafkaConsumer } from '../../src/shared/sinks/kafka/types.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { logsMade, makeTopic, partitionsOf } from '../support/kafka/topics.js';
import { keptLog } from '../support/logger.js';
import { settingsOf } from '../support/settings.js';
import { waitFor, within } from '../support/wait.js';

/** A member that is gone is missed soon. */
const QUICK = { sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000 };
const HANGING = fileURLToPath(new URL('./programs/hanging-consumer.js', import.meta.url));
const text = ({ value }: Pick<ConsumedRecord, 'value'>): string => Buffer.from(value).toString();

interface Reading {
  readonly consumer: KafkaConsumer;
  /** Every record handed over, repeats too. */
  readonly read: string[];
  readonly metrics: ReturnType<typeof createConsumerMetrics>;
  readonly log: ReturnType<typeof keptLog>;
}

interface ReadingOptions {
  readonly group?: string;
  readonly params?: Readonly<Record<string, string | number>>;
  readonly key?: KafkaTopicKey;
  /** Called with each batch after it was noted. */
  readonly work?: (records: readonly ConsumedRecord[]) => Promise<void>;
}

describe('consuming from Kafka', { concurrency: 1 }, () => {
  let cluster: KafkaCluster;
  let producer: Producer;
  let admin: Admin;

  const endings: (() => unknown)[] = [];

  before(async () => {
    cluster = await startKafka({ after: (end) => endings.push(end as () => unknown) });
    producer = cluster.client().producer();
    await producer.connect();
    admin = await cluster.admin();
  });
  after(async () => {
    await producer?.disconnect();
    for (const end of endings.reverse()) await end();
  });

  async function topicOf(numPartitions = 1, on: Admin = admin, name = cluster.topic()): Promise<string> {
    await makeTopic(on, { topic: name, numPartitions });
    // Where one partition refuses what the other took, a producer sends both again.
    await logsMade(on, name);
    return name;
  }

  const produce = (topic: string, values: readonly string[], by: Producer = producer) =>
    by.send({ topic, acks: -1, messages: values.map((value): Message => ({ key: value, value })) });

  const numbered = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, index) => `record ${from + index}`);

  async function reading(
    context: Pick<TestContext, 'after'>,
    topic: string,
    options: ReadingOptions = {},
    of: KafkaCluster = cluster,
  ): Promise<Reading> {
    const { group = `test-${randomUUID()}`, params = {}, key = 'kafka_rejectedTxConfig', work } = options;
    const settings = settingsOf({ [key]: of.url(topic, { ...QUICK, ...params }) });
    const metrics = createConsumerMetrics(new Registry());
    const log = keptLog();
    const consumer = createConsumer(settings, key, {
      logger: log.logger,
      brokerSocketPath: undefined,
      group,
      metrics,
    });
    context.after(() => consumer.stop());
    const read: string[] = [];
    await consumer.start(async (records) => {
      read.push(...records.map(text));
      await work?.(records);
    });
    return { consumer, read, metrics, log };
  }

  const all = (read: readonly string[], wanted: readonly string[], what = 'every record') =>
    waitFor(() => wanted.every((value) => new Set(read).has(value)), {
      what,
      timeoutMs: 60_000,
      everyMs: 50,
    });

  /** A start ends with its first attempt, in vain or not: where a group begins at the newest, that may be later. */
  const untilNewOnes = (topic: string, read: readonly string[]) =>
    waitFor(
      async () => {
        await produce(topic, ['new']);
        return read.includes('new');
      },
      { what: 'a new record', timeoutMs: 30_000, everyMs: 200 },
    );

  const committedOf = async (group: string, topic: string): Promise<readonly string[]> => {
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    return offsets?.partitions.map(({ offset }) => offset) ?? [];
  };

  /** Until a group's place in every partition is behind all that is there. */
  async function hasCommitted(group: string, topic: string): Promise<void> {
    const look = async () => {
      const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      const places = new Map(committed?.partitions.map(({ partition, offset }) => [partition, offset]));
      return (await admin.fetchTopicOffsets(topic)).every(
        ({ partition, high }) => places.get(partition) === high,
      );
    };
    const wait = { what: 'the places of the group', timeoutMs: 60_000, everyMs: 50 };
    await waitFor(() => look().catch(() => false), wait);
  }

  const countOf = async (
    metric: { get(): Promise<{ values: { labels: object; value: number }[] }> },
    label: string,
  ) =>
    (await metric.get()).values
      .filter(({ labels }) => Object.values(labels).includes(label))
      .reduce((sum, { value }) => sum + value, 0);

  test('three topics read in one group each give their records to their own reader', async (context) => {
    const group = `p2p.${randomUUID()}`;
    const keys = [
      'kafka_rejectedTxConfig',
      'kafka_invalidBlocksConfig',
      'kafka_invalidSubtreesConfig',
    ] as const;
    const topics = await Promise.all([topicOf(), topicOf(3), topicOf()]);
    const readers = await Promise.all(
      topics.map((topic, index) =>
        reading(context, topic, { group, ...(keys[index] ? { key: keys[index] } : {}) }),
      ),
    );
    for (const topic of topics)
      await produce(
        topic,
        numbered(0, 50).map((value) => `${topic} ${value}`),
      );
    for (const [index, topic] of topics.entries()) {
      const { read = [] } = readers[index] ?? {};
      await all(
        read,
        numbered(0, 50).map((value) => `${topic} ${value}`),
      );
      assert.ok(
        read.every((value) => value.startsWith(topic)),
        'a record of another topic',
      );
    }
    const { groups } = await admin.describeGroups([group]);
    assert.equal(groups[0]?.members.length, 3);
    assert.equal(groups[0]?.protocol, 'range');
  });

  test('a new group starts where replay and offsetReset say, an old one where it was', async (context) => {
    const topic = await topicOf();
    await produce(topic, ['old']);
    for (const [params, fromOldest] of [
      [{ replay: 1 }, true],
      [{ replay: 0 }, false],
      [{ replay: 1, offsetReset: 'latest' }, false],
      [{ replay: 0, offsetReset: 'earliest' }, true],
    ] as const) {
      const fresh = await topicOf();
      await produce(fresh, ['old']);
      const { read, consumer } = await reading(context, fresh, { params });
      await untilNewOnes(fresh, read);
      assert.deepEqual([...new Set(read)], fromOldest ? ['old', 'new'] : ['new'], JSON.stringify(params));
      await consumer.stop();
    }
    const group = `test-${randomUUID()}`;
    const first = await reading(context, topic, { group, params: { replay: 1 } });
    await all(first.read, ['old']);
    await hasCommitted(group, topic);
    await first.consumer.stop();
    await produce(topic, ['between']);
    const second = await reading(context, topic, { group, params: { replay: 0 } });
    await all(second.read, ['between']);
    assert.deepEqual(second.read, ['between']);
  });

  test('a group that starts at the newest and handled nothing goes on there after a restart', async (context) => {
    const topic = await topicOf(2);
    await produce(topic, numbered(0, 10));
    const group = `test-${randomUUID()}`;
    const params = { replay: 0 };
    const first = await reading(context, topic, { group, params });
    await hasCommitted(group, topic);
    await first.consumer.stop();
    await produce(topic, numbered(10, 20));
    const second = await reading(context, topic, { group, params });
    await all(second.read, numbered(10, 20));
    assert.deepEqual([...second.read].sort(), numbered(10, 20));
    assert.deepEqual(first.read, []);
  });

  /** A consumer that looks often for partitions without a reader. */
  async function watching(context: Pick<TestContext, 'after'>, topic: string, group: string, params = {}) {
    const url = parseKafkaUrl('kafka_rejectedTxConfig', cluster.url(topic, { ...QUICK, ...params }));
    const { logger, lines } = keptLog();
    const kafka = createKafkaClient(url, settingsOf({}), logger);
    const coverage = { everyMs: 500, soonMs: 500 };
    const consumer = new KafkaJsConsumer({ kafka, logger }, url, { group, assignment: coverage });
    context.after(() => consumer.stop());
    const read: string[] = [];
    await consumer.start(async (records) => {
      read.push(...records.map(text));
    });
    return { consumer, read, lines };
  }

  test('partitions that are added to any of the topics read in one group are read from their beginning', async (context) => {
    for (const replay of [0, 1]) {
      const group = `p2p.${randomUUID()}`;
      const topics = await Promise.all([topicOf(), topicOf(), topicOf()]);
      const readers = await Promise.all(topics.map((topic) => watching(context, topic, group, { replay })));
      // Two of the three do not lead the group.
      await waitFor(
        async () => {
          const [described] = (await admin.describeGroups([group])).groups;
          return described?.state === 'Stable' && described.members.length === 3;
        },
        { what: 'three members', timeoutMs: 30_000 },
      );
      await admin.createPartitions({
        topicPartitions: topics.map((topic) => ({ topic, count: 3 })),
      });
      // A producer that had not heard of them would leave out what is for them without a word.
      for (const topic of topics) {
        await partitionsOf(
          admin,
          topic,
          (partitions) => partitions.length === 3 && partitions.every(({ leader }) => leader >= 0),
        );
      }
      const direct = cluster.client().producer();
      context.after(() => direct.disconnect());
      await direct.connect();
      for (const topic of topics) {
        const messages = [1, 2].map((partition) => ({ partition, value: `${topic} ${partition}` }));
        await waitFor(
          () =>
            direct.send({ topic, messages }).then(
              () => true,
              () => false,
            ),
          { what: 'the new partitions', timeoutMs: 30_000 },
        );
      }
      for (const [index, topic] of topics.entries()) {
        await all(readers[index]?.read ?? [], [`${topic} 1`, `${topic} 2`], `the new partitions of ${topic}`);
      }
      for (const { consumer } of readers) await consumer.stop();
    }
  });

  test('partitions that the group’s leader did not see fail readiness until they have a reader', async (context) => {
    const topic = await topicOf(2);
    const group = `p2p.${randomUUID()}`;
    const other = await topicOf();
    let blind = true;
    const leader = cluster.client().consumer({
      groupId: group,
      sessionTimeout: 6000,
      heartbeatInterval: 500,
      // The library's heartbeats wait for its fetches.
      maxWaitTimeInMs: 200,
      rebalanceTimeout: 6000,
      partitionAssigners: [
        () => new RangeAssigner(async (name) => (name === other ? [0] : blind ? [] : [0, 1])),
      ],
    });
    context.after(() => leader.disconnect());
    await leader.connect();
    await leader.subscribe({ topics: [other] });
    const leads = new Promise((resolve) => leader.on(leader.events.GROUP_JOIN, resolve));
    await leader.run({ eachMessage: async () => {} });
    await leads;
    const { consumer, read, lines } = await watching(context, topic, group);
    await produce(topic, numbered(0, 10));
    const error = await waitFor(
      async () => {
        const health = await consumer.health(AbortSignal.timeout(2000));
        return health.error?.startsWith('nobody') ? health.error : undefined;
      },
      { what: 'readiness 503', timeoutMs: 30_000 },
    );
    assert.equal(error, `nobody in the group ${group} reads partitions 0, 1 of ${topic}`);
    blind = false;
    await all(read, numbered(0, 10));
    await waitFor(async () => (await consumer.health(AbortSignal.timeout(2000))).status === 200, {
      what: 'readiness 200',
      timeoutMs: 30_000,
    });
    const told = lines.filter(({ level, setting }) => Number(level) >= 40 && setting === undefined);
    assert.deepEqual(
      told.map(({ msg }) => msg),
      ['partitions have no reader: joining the group anew'],
    );
  });

  test('offsets are committed after the work, and a stop ends the batch, commits it and leaves the group', async (context) => {
    const topic = await topicOf();
    const group = `test-${randomUUID()}`;
    await produce(topic, numbered(0, 10));
    let finish: () => void = () => {};
    const working = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { consumer, read } = await reading(context, topic, { group, work: () => working });
    await all(read, numbered(0, 10));
    assert.deepEqual(await committedOf(group, topic), ['-1']);
    const stopped = consumer.stop();
    assert.deepEqual(await committedOf(group, topic), ['-1']);
    finish();
    await within(stopped, 5000, 'the stop');
    assert.deepEqual(await committedOf(group, topic), ['10']);
    const { groups } = await admin.describeGroups([group]);
    assert.equal(groups[0]?.members.length, 0);
  });

  test('a batch that its handler refuses is handed over again and committed once it is taken', async (context) => {
    const topic = await topicOf();
    const group = `test-${randomUUID()}`;
    await produce(topic, numbered(0, 5));
    let refusals = 3;
    const { read, metrics } = await reading(context, topic, {
      group,
      work: async () => {
        if (refusals-- > 0) throw new Error('not yet');
      },
    });
    await waitFor(async () => (await committedOf(group, topic))[0] === '5', { what: 'the commit' });
    assert.equal(read.length, 20);
    assert.equal(await countOf(metrics.batches, 'failed'), 3);
  });

  test('what a killed consumer had in hand is read again by the next', async (context) => {
    const topic = await topicOf();
    const group = `test-${randomUUID()}`;
    await produce(topic, numbered(0, 20));
    const child = spawn(process.execPath, [HANGING, cluster.url(topic, QUICK), group], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    context.after(() => child.kill('SIGKILL'));
    const taken: string[] = [];
    child.stdout.on('data', (piece: Buffer) => taken.push(...piece.toString().split('\n')));
    await all(taken, numbered(0, 20), 'the batch in hand');
    child.kill('SIGKILL');
    const { read } = await reading(context, topic, { group });
    await all(read, numbered(0, 20));
  });

  test('members come and go while records flow: every record is handled, and in its partition’s order', async (context) => {
    const topic = await topicOf(4);
    const group = `test-${randomUUID()}`;
    const total = 4000;
    const handled: { partition: number; offset: bigint }[] = [];
    const member = () =>
      reading(context, topic, {
        group,
        work: async (records) => {
          await new Promise((resolve) => setImmediate(resolve));
          handled.push(...records.map(({ partition, offset }) => ({ partition, offset })));
        },
      });
    const readers = [await member()];
    const producing = (async () => {
      for (let at = 0; at < total; at += 20) {
        await produce(topic, numbered(at, at + 20));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    readers.push(await member());
    await readers[0]?.consumer.stop();
    readers.push(await member());
    await readers[1]?.consumer.stop();
    readers.push(await member());
    await producing;
    await waitFor(() => new Set(readers.flatMap(({ read }) => read)).size === total, {
      what: 'every record',
      timeoutMs: 60_000,
    });
    const repeats = readers.reduce((sum, { read }) => sum + read.length, 0) - total;
    context.diagnostic(`${repeats} of ${total} records were handled more than once`);
    const next = new Map<number, bigint>();
    for (const { partition, offset } of handled) {
      const expected = next.get(partition) ?? 0n;
      assert.ok(offset <= expected, `partition ${partition} skips from ${expected} to ${offset}`);
      if (offset === expected) next.set(partition, expected + 1n);
    }
  });

  test('a consumer tells the lag of its own partitions alone, also after others were taken from it', async (context) => {
    const topic = await topicOf(2);
    const group = `test-${randomUUID()}`;
    const told = async ({ metrics }: Reading) =>
      (await metrics.lag.get()).values.map(({ labels }) => labels.partition).sort();
    const tells = async (reader: Reading, count: number) =>
      waitFor(
        async () => {
          await producer.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'x' })) });
          return (await told(reader)).length === count;
        },
        { what: `the lag of ${count} partitions`, timeoutMs: 30_000, everyMs: 200 },
      );
    const first = await reading(context, topic, { group });
    await tells(first, 2);
    const second = await reading(context, topic, { group });
    await tells(second, 1);
    await tells(first, 1);
    assert.deepEqual([...(await told(first)), ...(await told(second))].sort(), [0, 1]);
  });

  test('a partition that is taken from a handler at work is read again by its new reader', async (context) => {
    const topic = await topicOf();
    const group = `test-${randomUUID()}`;
    await produce(topic, numbered(0, 5));
    let finish: () => void = () => {};
    const working = new Promise<void>((resolve) => {
      finish = resolve;
    });
    context.after(() => finish());
    const slow = await reading(context, topic, { group, work: () => working });
    await all(slow.read, numbered(0, 5), 'the slow reader');
    // Joining makes the group wait for the slow member until `rebalanceTimeout`, then it is out.
    const next = await reading(context, topic, { group });
    await all(next.read, numbered(0, 5), 'the next reader');
    finish();
    await produce(topic, numbered(5, 10));
    await waitFor(() => numbered(5, 10).every((value) => [...slow.read, ...next.read].includes(value)), {
      what: 'what came after',
      timeoutMs: 60_000,
    });
    await waitFor(async () => (await countOf(slow.metrics.batches, 'uncommitted')) >= 1, {
      what: 'the refusal of the late commit',
      timeoutMs: 30_000,
    });
  });

  test('tombstones, empty and huge records and bytes that are none of ours are passed, and the offset with them', async (context) => {
    const topic = await topicOf();
    const group = `test-${randomUUID()}`;
    await producer.send({
      topic,
      messages: [
        { key: 'tombstone', value: null },
        { value: 'first' },
        { value: '' },
        { key: Buffer.alloc(100, 0xff), value: Buffer.alloc(900_000, 0xff) },
        { value: 'last' },
        { key: 'tombstone', value: null },
      ],
    });
    const { read, metrics } = await reading(context, topic, { group });
    await waitFor(async () => (await committedOf(group, topic))[0] === '6', { what: 'the commit' });
    assert.equal(read.length, 4);
    assert.equal(read.at(-1), 'last');
    assert.equal(await countOf(metrics.records, 'tombstone'), 2);
  });

  test('batches that unpack to more than can be held are passed, counted and told, and what is beside them is read', async (context) => {
    const topic = await topicOf();
    const { CompressionCodecs, CompressionTypes } = kafkajs;
    const { GZIP, LZ4, Snappy } = CompressionTypes;
    // The library's producer knows gzip alone.
    Object.assign(CompressionCodecs, compressionCodecs());
    const group = `test-${randomUUID()}`;
    const send = (compression: number, value: string | Buffer) =>
      producer.send({ topic, acks: -1, compression, messages: [{ key: 'k', value }] });
    let bombs = 0;
    for (const codec of [GZIP, LZ4]) {
      await send(codec, `before ${codec}`);
      // Some tens or hundreds of kilobytes on their way and in the log.
      for (let n = 0; n < 3; n++, bombs++) await send(codec, Buffer.alloc(100 * 1024 * 1024));
    }
    // Within bounds, but not all of them at once.
    for (let n = 0; n < 3; n++) await send(GZIP, Buffer.alloc(40 * 1024 * 1024, `large ${n}`));
    await send(Snappy, 'behind');
    const memory: number[] = [];
    const watch = setInterval(() => memory.push(process.memoryUsage.rss()), 20);
    context.after(() => clearInterval(watch));
    const before = process.memoryUsage.rss();
    const lengths: number[] = [];
    const { consumer, read, metrics, log } = await reading(context, topic, {
      group,
      work: async (records) => {
        lengths.push(...records.map(({ value }) => value.length).filter((length) => length > 1000));
      },
    });
    await all(read, [`before ${GZIP}`, `before ${LZ4}`, 'behind']);
    assert.deepEqual(lengths, new Array(3).fill(40 * 1024 * 1024));
    const mebibytes = Math.round((Math.max(...memory) - before) / 1024 / 1024);
    context.diagnostic(`${mebibytes} MiB more at the most`);
    assert.ok(mebibytes < 768, `${mebibytes} MiB more`);
    assert.equal(await countOf(metrics.batches, 'passed'), bombs);
    assert.equal(await countOf(metrics.records, 'tombstone'), 0);
    assert.equal(await countOf(metrics.ends, 'crash'), 0);
    const told = log.lines.filter((line) => JSON.stringify(line).includes('cannot be read and is passed'));
    assert.equal(told.length, bombs);
    const { message } = await waitFor(
      async () => {
        const health = await consumer.health(AbortSignal.timeout(5000));
        return health.status === 200 ? health : undefined;
      },
      { what: 'health', everyMs: 100 },
    );
    assert.match(message, /a batch of .* was passed: partition 0, offset \d+, \d+ bytes \(lz4\)/);
    const end = String(2 + bombs + 3 + 1);
    await waitFor(async () => (await committedOf(group, topic))[0] === end, {
      what: 'the place behind all of them',
    });
  });

  test('when retention has taken what comes next, reading goes on by the reset rule', async (context) => {
    for (const [offsetReset, expected] of [
      ['earliest', numbered(25, 30)],
      ['latest', []],
    ] as const) {
      const topic = await topicOf();
      const group = `test-${randomUUID()}`;
      const params = { replay: 1, offsetReset };
      const first = await reading(context, topic, { group, params: { ...params, offsetReset: 'earliest' } });
      await produce(topic, numbered(0, 10));
      await all(first.read, numbered(0, 10));
      await first.consumer.stop();
      await produce(topic, numbered(10, 30));
      // The library knows a partition's leader once it has asked for the topic.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '25' }] });
      const second = await reading(context, topic, { group, params });
      await untilNewOnes(topic, second.read);
      assert.deepEqual(
        second.read.filter((value) => value !== 'new'),
        expected,
        offsetReset,
      );
      await second.consumer.stop();
    }
  });

  test('a codec that nobody here knows is told in readiness, in the log and in figures, and read once it is known', async (context) => {
    const topic = await topicOf();
    const { CompressionCodecs, CompressionTypes } = kafkajs;
    const { consumer, read, metrics, log } = await reading(context, topic);
    const known = CompressionCodecs[CompressionTypes.GZIP] as () => object;
    const unknown = Object.assign(
      new kafkajs.KafkaJSNonRetriableError('GZIP compression not implemented' as never),
      { name: 'KafkaJSNotImplemented' },
    );
    // Asked for first by the producer below, and afterwards by the consumer alone.
    let asked = 0;
    CompressionCodecs[CompressionTypes.GZIP] = () => {
      if (asked++ === 0) return known();
      throw unknown;
    };
    context.after(() => {
      CompressionCodecs[CompressionTypes.GZIP] = known;
    });
    await producer.send({ topic, compression: CompressionTypes.GZIP, messages: [{ value: 'packed' }] });
    await waitFor(async () => (await countOf(metrics.ends, 'unreadable')) >= 2, {
      what: 'the count',
      timeoutMs: 30_000,
    });
    const health = await consumer.health(AbortSignal.timeout(30_000));
    assert.equal(health.status, 503);
    assert.match(health.error ?? '', /compressed in a way that is not known here.*GZIP/);
    const told = log.lines.filter((line) => JSON.stringify(line).includes('not known here'));
    assert.ok(told.length >= 1 && told.length <= 2, `${told.length} lines`);
    CompressionCodecs[CompressionTypes.GZIP] = known;
    await all(read, ['packed']);
    await waitFor(async () => (await consumer.health(AbortSignal.timeout(2000))).status === 200, {
      what: 'health',
    });
  });
});

test('a consumer outlives the restart of its coordinator and the deletion of its topic', async (context) => {
  const cluster = await startKafka(context, { own: true });
  const group = 'p2p';
  const topic = cluster.topic();
  const settings = settingsOf({ kafka_rejectedTxConfig: cluster.url(topic, QUICK) });
  const log = keptLog();
  const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', {
    logger: log.logger,
    brokerSocketPath: undefined,
    group,
  });
  context.after(() => consumer.stop());
  const read: string[] = [];
  // The topic is not there yet: it is made.
  await consumer.start(async (records) => {
    read.push(...records.map(text));
  });
  const produce = async (value: string): Promise<void> => {
    const producer = cluster.client({ retry: { retries: 10 } }).producer();
    await producer.connect();
    await producer.send({ topic, messages: [{ value }] });
    await producer.disconnect();
  };
  const comes = (value: string) =>
    waitFor(() => read.includes(value), { what: value, timeoutMs: 60_000, everyMs: 50 });
  const healthy = () =>
    waitFor(async () => (await consumer.health(AbortSignal.timeout(2000))).status === 200, {
      what: 'health',
      timeoutMs: 60_000,
    });
  await produce('at first');
  await comes('at first');
  for (const end of ['stop', 'kill'] as const) {
    await cluster.broker(1)[end]();
    assert.equal((await consumer.health(AbortSignal.timeout(2000))).status, 503);
    await cluster.broker(1).start();
    await produce(`after ${end}`);
    await comes(`after ${end}`);
    await healthy();
  }
  const admin = await cluster.admin();
  await admin.deleteTopics({ topics: [topic] });
  await waitFor(async () => (await admin.listTopics()).includes(topic), {
    what: 'the topic',
    timeoutMs: 60_000,
    everyMs: 100,
  });
  // The first may go into the topic that is about to end.
  await waitFor(
    async () => {
      await produce('after the deletion').catch(() => {});
      return read.includes('after the deletion');
    },
    { what: 'after the deletion', timeoutMs: 60_000, everyMs: 500 },
  );
  await healthy();
});

test('a right that is withdrawn is told in readiness and once in the log, and reading goes on where it was once it is given back', async (context) => {
  const cluster = await startKafka(context, { authorizer: true });
  const admin = await cluster.admin();
  const topic = cluster.topic();
  await makeTopic(admin, { topic, numPartitions: 1 });
  const log = keptLog();
  const metrics = createConsumerMetrics(new Registry());
  const consumer = createConsumer(
    settingsOf({ kafka_rejectedTxConfig: cluster.url(topic, QUICK) }),
    'kafka_rejectedTxConfig',
    { logger: log.logger, brokerSocketPath: undefined, group: 'p2p', metrics },
  );
  context.after(() => consumer.stop());
  const read: string[] = [];
  await consumer.start(async (records) => {
    read.push(...records.map(text));
  });
  const producer = cluster.client().producer();
  context.after(() => producer.disconnect());
  await producer.connect();
  await producer.send({ topic, messages: [{ value: 'before' }] });
  await waitFor(() => read.includes('before'), { what: 'the first record', timeoutMs: 30_000 });
  const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
  const denial = {
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:ANONYMOUS',
    host: '*',
    operation: AclOperationTypes.READ,
    permissionType: AclPermissionTypes.DENY,
  };
  const before = log.lines.length;
  await admin.createAcls({ acl: [denial] });
  await waitFor(
    async () => {
      const { status, error = '' } = await consumer.health(AbortSignal.timeout(2000));
      return status === 503 && /authori[sz]/i.test(error);
    },
    { what: 'the fault', timeoutMs: 30_000 },
  );
  await waitFor(
    async () => {
      const ends = (await metrics.ends.get()).values.find(({ labels }) => labels.reason === 'crash');
      return (ends?.value ?? 0) >= 5;
    },
    { what: 'five memberships that ended of it', timeoutMs: 60_000, everyMs: 100 },
  );
  const told = log.lines.slice(before).filter(({ level }) => Number(level) >= 40);
  const said = told.map(({ msg, reason }) => `${msg}: ${reason}`);
  assert.equal(said.length, 1, said.join('\n'));
  await producer.send({ topic, messages: [{ value: 'meanwhile' }] });
  await admin.deleteAcls({ filters: [denial] });
  await waitFor(() => read.includes('meanwhile'), { what: 'what came meanwhile', timeoutMs: 30_000 });
  assert.deepEqual(read, ['before', 'meanwhile']);
});

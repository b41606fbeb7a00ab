import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import kafkajs, { type Admin, type Kafka, type ProducerConfig } from 'kafkajs';
import { parseKafkaUrl } from '../../src/shared/settings/values/kafka-topic.js';
import { createProducer } from '../../src/shared/sinks/kafka/index.js';
import { createKafkaClient, PRODUCER_RETRY } from '../../src/shared/sinks/kafka/kafkajs/client.js';
import {
  type CompressionName,
  compressionProblem,
} from '../../src/shared/sinks/kafka/kafkajs/compression.js';
import { KafkaJsProducer } from '../../src/shared/sinks/kafka/kafkajs/producer.js';
import {
  BrokerFaultError,
  type KafkaProducer,
  type KafkaRecord,
  RecordFaultError,
  TopicFaultError,
} from '../../src/shared/sinks/kafka/types.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { changesApplied, logsMade, makeTopic } from '../support/kafka/topics.js';
import { keptLog } from '../support/logger.js';
import { LossyProxy } from '../support/lossy-proxy.js';
import { type SettingChanges, settingsOf } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

type Params = Readonly<Record<string, string | number>>;

const texts = (count: number, name = 'record'): string[] =>
  Array.from({ length: count }, (_, index) => `${name} ${index}`);
const recordOf = (text: string): KafkaRecord => ({ key: Buffer.from(text), value: Buffer.from(text) });
const LIMIT = 20_000;
const TOO_LARGE = 'x'.repeat(LIMIT + 1000);

describe('producing to Kafka', { concurrency: 1 }, () => {
  let cluster: KafkaCluster;
  let admin: Admin;
  let proxy: LossyProxy;
  const ends: (() => unknown)[] = [];

  before(async () => {
    const context = { after: (end: () => unknown) => ends.unshift(end) } as unknown as TestContext;
    proxy = await LossyProxy.listen(context);
    cluster = await startKafka(context, { security: { listeners: { proxied: { advertised: proxy.port } } } });
    proxy.target = Number(cluster.listener('proxied').split(':')[1]);
    admin = await cluster.admin();
  });

  after(async () => {
    for (const end of ends) await end();
  });

  interface Setting {
    readonly topic?: string;
    readonly params?: Params;
    readonly changes?: SettingChanges;
    readonly proxied?: boolean;
  }

  function producerOf(
    context: TestContext,
    { topic = cluster.topic('blocks'), params = {}, changes = {}, proxied = false }: Setting = {},
  ) {
    const brokers = proxied ? `127.0.0.1:${proxy.port}` : cluster.brokers;
    const log = keptLog();
    const producer = createProducer(
      settingsOf({ kafka_blocksConfig: cluster.url(topic, params, brokers), ...changes }),
      'kafka_blocksConfig',
      { logger: log.logger, brokerSocketPath: undefined },
    );
    context.after(() => producer.disconnect());
    return { producer, log, topic };
  }

  /** What is in `topic`, by partition, as a consumer outside of this server reads it. */
  async function read(context: TestContext, topic: string): Promise<string[][]> {
    const found: string[][] = [];
    const offsets = await admin.fetchTopicOffsets(topic);
    let missing = 0;
    for (const { partition, high } of offsets) {
      found[partition] = [];
      missing += Number(high);
    }
    const consumer = cluster.client().consumer({ groupId: cluster.topic('group'), maxWaitTimeInMs: 200 });
    context.after(() => consumer.disconnect());
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        found[partition]?.push(String(message.value));
        missing--;
      },
    });
    await waitFor(() => missing === 0, { what: `${missing} records`, timeoutMs: 30_000 });
    return found;
  }

  async function configure(topic: string, name: string, value: string): Promise<void> {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }],
    });
    await changesApplied(admin);
  }

  /** As the outbox does: halves a refused batch, gives up on a record that is refused alone. */
  async function bisect(producer: KafkaProducer, records: readonly KafkaRecord[]): Promise<string[]> {
    const refused: string[] = [];
    const pieces = [records];
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      try {
        await producer.send(piece);
      } catch (error) {
        if (!(error instanceof RecordFaultError)) throw error;
        if (piece.length === 1) refused.push(String(piece[0]?.value.length));
        else pieces.unshift(piece.slice(0, piece.length >>> 1), piece.slice(piece.length >>> 1));
      }
    }
    return refused;
  }

  async function describeTopic(topic: string): Promise<Record<string, unknown>> {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configNames: ['retention.ms', 'segment.bytes'],
        },
      ],
    });
    const configs = resources[0]?.configEntries ?? [];
    return {
      partitions: topics[0]?.partitions.length,
      ...Object.fromEntries(configs.map(({ configName, configValue }) => [configName, configValue])),
    };
  }

  test('a missing topic is made as its URL says', async (context) => {
    const params = { partitions: 3, retention: 120_000, segment_bytes: 1_048_576 };
    const { producer, topic } = producerOf(context, { params });
    await producer.connect();
    assert.deepEqual(await describeTopic(topic), {
      partitions: 3,
      'retention.ms': '120000',
      'segment.bytes': '1048576',
    });
    await waitFor(async () => (await producer.health(AbortSignal.timeout(5000))).status === 200, {
      what: 'health',
      everyMs: 100,
    });
  });

  test('several that make a topic at the same time all get it', async (context) => {
    const topic = cluster.topic('raced');
    const racers = texts(5).map(() => producerOf(context, { topic, params: { partitions: 2 } }).producer);
    await Promise.all(racers.map((producer) => producer.connect()));
    await logsMade(admin, topic);
    await Promise.all(racers.map((producer, index) => producer.send([recordOf(`racer ${index}`)])));
    assert.equal((await read(context, topic)).flat().length, 5);
  });

  test('a topic that differs from its URL is told of once for each difference, and left as it is', async (context) => {
    const topic = cluster.topic('different');
    await producerOf(context, { topic, params: { partitions: 2, retention: 60_000 } }).producer.connect();
    const before = await describeTopic(topic);
    const params = { partitions: 4, retention: 90_000, segment_bytes: 2_097_152 };
    const { producer, log } = producerOf(context, { topic, params });
    await producer.connect();
    await producer.connect();
    const warnings = log.lines.filter(({ level }) => level === 40);
    assert.deepEqual(
      warnings.map(({ setting, parameter, configured, actual }) => [setting, parameter, configured, actual]),
      [
        ['kafka_blocksConfig', 'partitions', 4, 2],
        ['kafka_blocksConfig', 'retention', 90_000, 60_000],
        ['kafka_blocksConfig', 'segment_bytes', 2_097_152, 1_073_741_824],
      ],
    );
    assert.match(String(warnings[0]?.msg), /kafka_blocksConfig.*partitions is 2, not 4/);
    assert.deepEqual(await describeTopic(topic), before);
  });

  test('a replication that the cluster cannot have is a fault that says so', async (context) => {
    const { producer } = producerOf(context, { params: { replication: 3 } });
    const error = await producer.connect().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof TopicFaultError, String(error));
    assert.match(error.message, /kafka_blocksConfig asks for replication=3, and the cluster has 1 broker$/);
  });

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as CompressionName[]) {
    const create = (context: TestContext) =>
      producerOf(context, { changes: { p2p_kafka_compression: compression } });
    if (compressionProblem(compression) !== undefined) {
      test(`${compression}, which this Node does not have, is an error that names the setting`, (context) => {
        assert.throws(
          () => create(context),
          /^ConfigurationError: p2p_kafka_compression: zstd is not .*Node 22/,
        );
      });
      continue;
    }
    test(`batches packed with ${compression} are read by Kafka's console consumer`, async (context) => {
      const { producer, topic } = create(context);
      await producer.connect();
      const small = texts(3);
      const large = texts(2000, `large ${'abcdef'.repeat(20)}`);
      await producer.send(small.map(recordOf));
      await producer.send(large.map(recordOf));
      const printed = await cluster.consoleConsumer({ topic, max: 2003 });
      assert.deepEqual(printed, [...small, ...large]);
    });
  }

  test('records too large for their topic are found, and their neighbours arrive once and in order', async (context) => {
    const topic = cluster.topic('limited');
    await makeTopic(admin, {
      topic,
      numPartitions: 3,
      configEntries: [{ name: 'max.message.bytes', value: String(LIMIT) }],
    });
    const { producer } = producerOf(context, { topic, params: { partitions: 3 } });
    await producer.connect();
    const good = texts(30);
    const mixed = [...good.slice(0, 7), TOO_LARGE, ...good.slice(7, 20), `${TOO_LARGE}!`, ...good.slice(20)];
    const refused = await bisect(producer, mixed.map(recordOf));
    assert.deepEqual(refused, [String(TOO_LARGE.length), String(TOO_LARGE.length + 1)]);
    const more = texts(30, 'more');
    await producer.send(more.map(recordOf));
    const found = await read(context, topic);
    assert.deepEqual(found.flat().toSorted(), [...good, ...more].toSorted());
    const order = new Map([...good, ...more].map((text, index) => [text, index]));
    for (const partition of found) {
      assert.ok(partition.length > 0);
      const positions = partition.map((text) => order.get(text) ?? Number.NaN);
      assert.deepEqual(
        positions,
        positions.toSorted((a, b) => a - b),
      );
    }
  });

  test('a batch above what the topic takes goes out in several, without a fault', async (context) => {
    const topic = cluster.topic('limited');
    await makeTopic(admin, { topic, configEntries: [{ name: 'max.message.bytes', value: String(LIMIT) }] });
    const { producer } = producerOf(context, { topic });
    await producer.connect();
    const all = texts(300, 'y'.repeat(1000));
    await producer.send(all.map(recordOf));
    assert.deepEqual(await read(context, topic), [all]);
  });

  test('a topic that is made where the cluster’s limit is low is known by that limit at once', async (context) => {
    const { brokers } = await admin.describeCluster();
    const limit = async (configEntries: { name: string; value: string }[]): Promise<void> => {
      for (const { nodeId } of brokers) {
        const broker = { type: kafkajs.ConfigResourceTypes.BROKER, name: String(nodeId), configEntries };
        await admin.alterConfigs({ validateOnly: false, resources: [broker] });
      }
    };
    await limit([{ name: 'message.max.bytes', value: String(LIMIT) }]);
    context.after(() => limit([]));
    const { producer, topic } = producerOf(context);
    await producer.connect();
    const all = texts(300, 'y'.repeat(1000));
    await producer.send(all.map(recordOf));
    assert.deepEqual(await read(context, topic), [all]);
  });

  test('the broker’s own limit refuses a record as the topic’s does', async (context) => {
    const { producer, topic } = producerOf(context);
    await producer.connect();
    const huge = 'z'.repeat(1_100_000);
    const good = texts(6);
    const refused = await bisect(producer, [...good.slice(0, 3), huge, ...good.slice(3)].map(recordOf));
    assert.deepEqual(refused, [String(huge.length)]);
    assert.deepEqual(await read(context, topic), [good]);
  });

  test('records whose acknowledgement is lost are not stored twice', async (context) => {
    const { producer, topic } = producerOf(context, { params: { partitions: 2 }, proxied: true });
    await producer.connect();
    await logsMade(admin, topic);
    const first = texts(20);
    await producer.send(first.map(recordOf));
    const second = texts(20, 'second');
    const lostBefore = proxy.lost;
    proxy.loseAnswers(true);
    await assert.rejects(producer.send(second.map(recordOf)), BrokerFaultError);
    assert.ok(proxy.lost > lostBefore);
    proxy.loseAnswers(false);
    // More came meanwhile, as it does in the outbox.
    const third = texts(20, 'third');
    await producer.connect();
    await producer.send([...second, ...third].map(recordOf));
    await producer.send(texts(5, 'last').map(recordOf));
    const all = [...first, ...second, ...third, ...texts(5, 'last')];
    const found = await read(context, topic);
    assert.deepEqual(found.flat().toSorted(), all.toSorted());
    const order = new Map(all.map((text, index) => [text, index]));
    for (const partition of found) {
      const positions = partition.map((text) => order.get(text) ?? Number.NaN);
      assert.deepEqual(
        positions,
        positions.toSorted((a, b) => a - b),
      );
    }
  });

  test('records in doubt that do not come again are not mistaken for others', async (context) => {
    const { producer, topic } = producerOf(context, { proxied: true });
    await producer.connect();
    const first = texts(4);
    await producer.send(first.map(recordOf));
    const doubted = texts(4, 'doubted');
    proxy.loseAnswers(true);
    await assert.rejects(producer.send(doubted.map(recordOf)), BrokerFaultError);
    proxy.loseAnswers(false);
    const others = texts(4, 'others');
    await producer.connect();
    await producer.send(others.map(recordOf));
    assert.deepEqual(await read(context, topic), [[...first, ...doubted, ...others]]);
  });

  test('a record in doubt that is refused when it comes again is not mistaken for the next', async (context) => {
    const { producer, topic } = producerOf(context, { proxied: true });
    await producer.connect();
    const doubted = 'x'.repeat(1000);
    proxy.loseAnswers(true);
    await assert.rejects(producer.send([recordOf(doubted)]), BrokerFaultError);
    proxy.loseAnswers(false);
    await configure(topic, 'max.message.bytes', '1500');
    await producer.connect();
    await assert.rejects(producer.send([recordOf(doubted)]), RecordFaultError);
    await producer.connect();
    await producer.send([recordOf('next')]);
    assert.deepEqual(await read(context, topic), [[doubted, 'next']]);
  });

  test('a compacted topic, which takes nothing without a key, makes no dead letters', async (context) => {
    const { producer, topic } = producerOf(context);
    await producer.connect();
    await configure(topic, 'cleanup.policy', 'compact');
    const keyless = texts(3).map((text) => ({ value: Buffer.from(text) }));
    await assert.rejects(producer.send(keyless), (error: Error) => {
      assert.ok(error instanceof TopicFaultError, error.name);
      assert.match(error.message, /cleanup\.policy=compact/);
      return true;
    });
    await configure(topic, 'cleanup.policy', 'delete');
    await producer.connect();
    await producer.send(keyless);
    assert.deepEqual(await read(context, topic), [texts(3)]);
  });

  test('a producer takes a new identity before its numbers end', async (context) => {
    const topic = cluster.topic('blocks');
    const { logger } = keptLog();
    const url = parseKafkaUrl('kafka_blocksConfig', cluster.url(topic));
    const kafka = createKafkaClient(url, settingsOf({}), logger, { retry: PRODUCER_RETRY });
    let identities = 0;
    const counted = {
      admin: () => kafka.admin(),
      producer: (config: ProducerConfig) => {
        identities++;
        return kafka.producer(config);
      },
    } as Kafka;
    const producer = new KafkaJsProducer({ kafka: counted, logger }, url, { maxNumbered: 25 });
    context.after(() => producer.disconnect());
    await producer.connect();
    const all = texts(60);
    for (let at = 0; at < all.length; at += 10) await producer.send(all.slice(at, at + 10).map(recordOf));
    assert.equal(identities, 2, 'another after thirty');
    assert.deepEqual(await read(context, topic), [all]);
  });

  test('faults one after the other leave no connection open', async (context) => {
    const { producer } = producerOf(context, { proxied: true });
    await producer.connect();
    const open = proxy.connections;
    for (let round = 0; round < 3; round++) {
      proxy.loseAnswers(true);
      await assert.rejects(producer.send([recordOf(`round ${round}`)]), BrokerFaultError);
      proxy.loseAnswers(false);
      await producer.connect();
      await producer.send([recordOf(`round ${round}`)]);
    }
    await waitFor(() => proxy.connections <= open + 1, {
      what: `${proxy.connections} connections`,
      timeoutMs: 15_000,
    });
    await producer.disconnect();
    await waitFor(() => proxy.connections === 0, { what: 'no connection', timeoutMs: 15_000 });
  });

  test('a topic that is deleted under the producer is a fault of the topic, and made again', async (context) => {
    const { producer, topic } = producerOf(context, { params: { partitions: 2 } });
    await producer.connect();
    await logsMade(admin, topic);
    await producer.send(texts(10).map(recordOf));
    await admin.deleteTopics({ topics: [topic] });
    await waitFor(async () => !(await admin.listTopics()).includes(topic), {
      what: 'the end of the topic',
      timeoutMs: 30_000,
    });
    const again = texts(10, 'again').map(recordOf);
    await assert.rejects(producer.send(again), TopicFaultError);
    await producer.connect();
    await logsMade(admin, topic);
    await producer.send(again);
    assert.deepEqual((await read(context, topic)).flat().toSorted(), texts(10, 'again').toSorted());
  });

  test('a topic that is made again with fewer partitions loses nothing', async (context) => {
    const { producer, topic } = producerOf(context, { params: { partitions: 4 } });
    await producer.connect();
    await logsMade(admin, topic);
    await producer.send(texts(20).map(recordOf));
    await admin.deleteTopics({ topics: [topic] });
    await waitFor(() => makeTopic(admin, { topic, numPartitions: 1 }).catch(() => false), {
      what: 'the topic again',
      everyMs: 100,
    });
    const again = texts(20, 'again');
    for (let sent = false; !sent; ) {
      sent = await producer.send(again.map(recordOf)).then(
        () => true,
        () => false,
      );
      if (!sent) await producer.connect().catch(() => {});
    }
    const found = new Set((await read(context, topic)).flat());
    assert.deepEqual([...found].toSorted(), again.toSorted());
  });
});

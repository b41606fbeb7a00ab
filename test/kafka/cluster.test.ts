import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { createConsumer, createProducer } from '../../src/shared/sinks/kafka/index.js';
import type { ConsumedRecord } from '../../src/shared/sinks/kafka/types.js';
import { KAFKA_VERSIONS, type KafkaVersion, startKafka } from '../support/kafka/index.js';
import { makeTopic, partitionsOf } from '../support/kafka/topics.js';
import { keptLog } from '../support/logger.js';
import { settingsOf } from '../support/settings.js';
import { SharedByTests } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const RECORDS = 500;
const KEY_TEXT = 'originator';
const KEY = Buffer.from(KEY_TEXT);

describe('a Kafka cluster', { concurrency: 1 }, () => {
  for (const version of Object.keys(KAFKA_VERSIONS) as KafkaVersion[]) {
    test(`Kafka ${version} takes what the producer sends and gives it to the consumer, whole and in order`, async (context) => {
      const began = performance.now();
      const cluster = await startKafka(context, { version });
      context.diagnostic(`Kafka ${version} was ready after ${performance.now() - began} ms`);
      const settings = settingsOf(cluster.settings(['blocks']));
      const { logger } = keptLog();
      const producer = createProducer(settings, 'kafka_blocksConfig', {
        logger,
        brokerSocketPath: undefined,
      });
      context.after(() => producer.disconnect());
      await producer.connect();
      const sent = Array.from({ length: RECORDS }, (_, index) => `record ${index}`);
      for (let at = 0; at < RECORDS; at += 50) {
        await producer.send(sent.slice(at, at + 50).map((text) => ({ key: KEY, value: Buffer.from(text) })));
      }

      const read: ConsumedRecord[] = [];
      const consumer = createConsumer(settings, 'kafka_blocksConfig', {
        logger,
        brokerSocketPath: undefined,
        group: `test-${randomUUID()}`,
      });
      context.after(() => consumer.stop());
      await consumer.start(async (records) => {
        read.push(...records);
      });
      await waitFor(() => read.length >= RECORDS, { what: 'every record', timeoutMs: 30_000 });
      assert.deepEqual(
        read.map(({ value }) => Buffer.from(value).toString()),
        sent,
      );
      const printed = await cluster.consoleConsumer({
        topic: producer.topic,
        args: ['--formatter-property', 'print.key=true', '--formatter-property', 'key.separator=='],
      });
      assert.deepEqual(
        printed,
        sent.map((text) => `${KEY_TEXT}=${text}`),
      );
    });
  }

  test('a broker that is stopped or killed is back with its records when it is started again', async (context) => {
    const cluster = await startKafka(context, { own: true });
    const topic = cluster.topic();
    const admin = await cluster.admin();
    await makeTopic(admin, { topic, numPartitions: 1 });
    const broker = cluster.broker(1);
    for (const end of ['stop', 'kill'] as const) {
      const producer = cluster.client().producer();
      await producer.connect();
      await producer.send({ topic, acks: -1, messages: [{ value: `before ${end}` }] });
      await producer.disconnect();
      await broker[end]();
      await assert.rejects(
        cluster
          .client({ retry: { retries: 0 } })
          .admin()
          .connect(),
      );
      await broker.start();
    }
    assert.deepEqual(await cluster.consoleConsumer({ topic, max: 2 }), ['before stop', 'before kill']);
  });

  test('a cluster that KAFKA_BROKERS names is used, and left as it was found', async (context) => {
    const own = await startKafka(context, { own: true });
    const admin = await own.admin();
    await makeTopic(admin, { topic: 'theirs', numPartitions: 1 });
    const before = process.env.KAFKA_BROKERS;
    context.after(() => {
      if (before === undefined) delete process.env.KAFKA_BROKERS;
      else process.env.KAFKA_BROKERS = before;
    });
    process.env.KAFKA_BROKERS = own.brokers;
    const cleaning = new SharedByTests();
    const cluster = await startKafka(cleaning);
    assert.equal(cluster.brokers, own.brokers);
    const { logger } = keptLog();
    const producer = createProducer(settingsOf(cluster.settings(['blocks'])), 'kafka_blocksConfig', {
      logger,
      brokerSocketPath: undefined,
    });
    context.after(() => producer.disconnect());
    await producer.connect();
    await producer.send([{ value: Buffer.from('one') }]);
    assert.deepEqual(await cluster.consoleConsumer({ topic: producer.topic, max: 1 }), ['one']);
    await cleaning.clean();
    const left = async () => (await admin.listTopics()).filter((topic) => !topic.startsWith('__'));
    await waitFor(async () => (await left()).length <= 1, { what: 'the end of its topics' });
    assert.deepEqual(await left(), ['theirs']);
  });

  test('a test that is killed leaves no broker and no data behind', async (context) => {
    const program = resolve('dist/test/kafka/programs/start-and-wait.js');
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    context.after(() => {
      child.kill('SIGKILL');
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    await waitFor(() => said.endsWith('\n'), { what: 'a broker of the other process', timeoutMs: 90_000 });
    const { pid, directory } = JSON.parse(said) as { pid: number; directory: string };
    assert.ok(isAlive(pid));
    child.kill('SIGKILL');
    await waitFor(() => !isAlive(pid), { what: 'the end of the broker', timeoutMs: 20_000 });
    await waitFor(() => !existsSync(directory), { what: 'the end of its data', timeoutMs: 20_000 });
  });

  test('three brokers keep every partition thrice', async (context) => {
    const cluster = await startKafka(context, { brokers: 3 });
    const topic = cluster.topic();
    const admin = await cluster.admin();
    await makeTopic(admin, { topic, numPartitions: 3 });
    await partitionsOf(
      admin,
      topic,
      (partitions) => partitions.map(({ isr }) => isr.length).join() === '3,3,3',
    );
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

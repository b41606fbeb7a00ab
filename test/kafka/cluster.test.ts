import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { createConsumer, createProducer } from '../../src/shared/kafka/index.js';
import type { ConsumedRecord } from '../../src/shared/kafka/types.js';
import { KAFKA_VERSIONS, type KafkaVersion, startKafka } from '../support/kafka/index.js';
import { keptLog } from '../support/logger.js';
import { settingsOf } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

const RECORDS = 500;
const KEY_TEXT = 'originator';
const KEY = Buffer.from(KEY_TEXT);

describe('a Kafka cluster', { concurrency: 1 }, () => {
  for (const version of Object.keys(KAFKA_VERSIONS) as KafkaVersion[]) {
    test(`Kafka ${version} takes what the producer sends and gives it to the consumer, whole and in order`, async (context) => {
      const began = Date.now();
      const cluster = await startKafka(context, { version });
      context.diagnostic(`Kafka ${version} was ready after ${Date.now() - began} ms`);
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
        idleMs: 5000,
        args: [
          '--formatter-property',
          'print.key=true',
          '--formatter-property',
          'key.separator==',
          '--max-messages',
          String(RECORDS),
        ],
      });
      assert.deepEqual(
        printed,
        sent.map((text) => `${KEY_TEXT}=${text}`),
      );
    });
  }

  test('a broker that is stopped, killed or paused is back with its records when it is started again', async (context) => {
    const cluster = await startKafka(context, { own: true });
    const topic = cluster.topic();
    const admin = await cluster.admin();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] });
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

  test('three brokers keep every partition thrice', async (context) => {
    const cluster = await startKafka(context, { brokers: 3 });
    const topic = cluster.topic();
    const admin = await cluster.admin();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.deepEqual(
      topics[0]?.partitions.map(({ isr }) => isr.length),
      [3, 3, 3],
    );
  });
});

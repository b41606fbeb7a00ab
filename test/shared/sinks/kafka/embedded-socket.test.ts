import assert from 'node:assert/strict';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { KAFKA_TOPICS } from '../../../../src/shared/messages/topics.js';
import { needsEmbeddedBroker } from '../../../../src/shared/settings/kafka-topics.js';
import { EmbeddedBrokerClient } from '../../../../src/shared/sinks/kafka/embedded/client.js';
import { MAX_MESSAGE_BYTES } from '../../../../src/shared/sinks/kafka/embedded/framing.js';
import { createConsumer, createProducer } from '../../../../src/shared/sinks/kafka/index.js';
import {
  BrokerFaultError,
  RecordFaultError,
  TopicFaultError,
} from '../../../../src/shared/sinks/kafka/types.js';
import { recordsIn, serveBroker } from '../../../support/embedded-broker.js';
import { keptLog } from '../../../support/logger.js';
import { settingsOf } from '../../../support/settings.js';
import { temporaryDirectory } from '../../../support/temporary.js';
import { waitFor, within } from '../../../support/wait.js';

const { logger } = keptLog();
const bytes = (text: string): Buffer => Buffer.from(text);

test('a producer and a consumer meet through the socket', async (context) => {
  const { socketPath } = await serveBroker(context);
  const settings = settingsOf();
  const options = { logger, brokerSocketPath: socketPath };
  const producer = createProducer(settings, 'kafka_rejectedTxConfig', options);
  const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', { ...options, group: 'p2p' });
  context.after(() => producer.disconnect());
  await producer.connect();
  const got: string[] = [];
  await consumer.start(async (records) => {
    got.push(...records.map(({ key, value }) => `${Buffer.from(key ?? [])}=${Buffer.from(value)}`));
  });
  const sent = Array.from({ length: 1000 }, (_, i) => ({ key: bytes(`k${i}`), value: bytes(`v${i}`) }));
  await producer.send(sent.slice(0, 10));
  await producer.send(sent.slice(10));
  await waitFor(() => got.length === 1000);
  assert.deepEqual(
    got,
    sent.map(({ key, value }) => `${key}=${value}`),
  );
  assert.equal((await producer.health(AbortSignal.timeout(30_000))).status, 200);
  await within(consumer.stop(), 4_000, 'stopping a consumer in mid-poll, which takes five seconds');
});

test('faults keep their kind across the socket', async (context) => {
  const { socketPath } = await serveBroker(context, { maxRecordBytes: 100, createTopics: false });
  const client = new EmbeddedBrokerClient({ socketPath });
  context.after(() => client.close());
  await assert.rejects(client.produce('none', [{ value: bytes('a') }]), TopicFaultError);
  await assert.rejects(client.poll(7, 1, 0), BrokerFaultError);
  const { broker, socketPath: other } = await serveBroker(context, { maxRecordBytes: 100 });
  await broker.createTopic({ topic: 't', partitions: 1, retentionMs: 1000 });
  const second = new EmbeddedBrokerClient({ socketPath: other });
  context.after(() => second.close());
  await assert.rejects(second.produce('t', [{ value: Buffer.alloc(101) }]), RecordFaultError);
  await assert.rejects(second.produce('t', [{ value: Buffer.alloc(MAX_MESSAGE_BYTES) }]), RecordFaultError);
  await second.produce('t', [{ value: bytes('fits') }]);
});

test('a broker that goes is a fault of the broker, and one that comes back is used again', async (context) => {
  const path = join(temporaryDirectory(context), 'broker.sock');
  const producer = createProducer(settingsOf(), 'kafka_blocksConfig', { logger, brokerSocketPath: path });
  context.after(() => producer.disconnect());
  await assert.rejects(producer.connect(), BrokerFaultError);
  const first = await serveBroker(context, {}, path);
  await producer.connect();
  await producer.send([{ value: bytes('a') }]);
  await first.stop();
  await assert.rejects(producer.send([{ value: bytes('b') }]), BrokerFaultError);
  assert.equal((await producer.health(AbortSignal.timeout(1000))).status, 503);
  const second = await serveBroker(context, {}, path);
  await producer.connect();
  await producer.send([{ value: bytes('c') }]);
  assert.equal((await recordsIn(second.broker, 'blocks')).length, 1);
});

test('a consumer joins anew when the broker comes back', async (context) => {
  const path = join(temporaryDirectory(context), 'broker.sock');
  const consumer = createConsumer(settingsOf(), 'kafka_rejectedTxConfig', {
    logger,
    brokerSocketPath: path,
    group: 'g',
  });
  const got: string[] = [];
  await consumer.start(async (records) => {
    got.push(...records.map(({ value }) => Buffer.from(value).toString()));
  });
  context.after(() => consumer.stop());
  for (const text of ['first', 'second']) {
    const { broker, stop } = await serveBroker(context, {}, path);
    await waitFor(async () => (await broker.topics()).length > 0, { what: 'the consumer to make its topic' });
    await broker.produce('rejectedtx', [{ value: bytes(text) }]);
    await waitFor(() => got.includes(text), { what: text });
    await stop();
  }
  assert.deepEqual(got, ['first', 'second']);
});

test('the partitions of a member whose connection breaks go to another', async (context) => {
  const { broker, socketPath } = await serveBroker(context);
  await broker.createTopic({ topic: 't', partitions: 1, retentionMs: 60_000 });
  const [dying, staying] = [0, 1].map(() => new EmbeddedBrokerClient({ socketPath })) as [
    EmbeddedBrokerClient,
    EmbeddedBrokerClient,
  ];
  context.after(() => staying.close());
  await dying.join({ group: 'g', topic: 't', fromOldest: true });
  const member = await staying.join({ group: 'g', topic: 't', fromOldest: true });
  await broker.produce('t', [{ value: bytes('a') }]);
  assert.equal((await staying.poll(member, 1000, 0)).length, 0);
  const polled = staying.poll(member, 1000, 10_000);
  await dying.close();
  assert.equal((await polled).length, 1);
});

test('nonsense on the socket cuts that connection alone', async (context) => {
  const { broker, socketPath } = await serveBroker(context);
  const good = new EmbeddedBrokerClient({ socketPath });
  context.after(() => good.close());
  await good.createTopic({ topic: 't', partitions: 1, retentionMs: 1000 });
  const length = (bytes: number): Buffer => {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(bytes, 0);
    return head;
  };
  const header = (json: string): Buffer => {
    const head = length(8 + json.length);
    head.writeUInt32LE(json.length, 8);
    return Buffer.concat([head, bytes(json)]);
  };
  for (const nonsense of [length(MAX_MESSAGE_BYTES + 1), length(0), header('{"op":'), header('null')]) {
    const socket = connect(socketPath);
    socket.on('error', () => {});
    socket.write(nonsense);
    await within(new Promise((resolve) => socket.once('close', resolve)), 5000, 'being cut');
  }
  const odd = connect(socketPath);
  context.after(() => odd.destroy());
  odd.write(header('{"op":"produce","topic":7}'));
  const answer = await within(new Promise<Buffer>((resolve) => odd.once('data', resolve)), 5000, 'an answer');
  assert.match(answer.toString(), /topic must be a string/);
  await good.produce('t', [{ value: bytes('still here') }]);
  assert.equal((await recordsIn(broker, 't')).length, 1);
});

test('the socket is its owner’s alone, and replaces a stale one, however long its path is', async (context) => {
  const { socketPath, stop } = await serveBroker(context);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  await stop();
  await serveBroker(context, {}, socketPath);
  const long = join(temporaryDirectory(context), 'x'.repeat(120));
  await mkdir(long);
  const path = join(long, 'broker.sock');
  await writeFile(path, 'left behind');
  const { broker } = await serveBroker(context, {}, path);
  const client = new EmbeddedBrokerClient({ socketPath: path });
  context.after(() => client.close());
  await client.createTopic({ topic: 't', partitions: 1, retentionMs: -1 });
  assert.equal((await broker.topics()).length, 1);
});

test('settings say whether the embedded broker is needed, and memory:// without one is refused', () => {
  assert.equal(needsEmbeddedBroker(settingsOf()), true);
  const real = 'kafka://localhost:9092/topic';
  const settings = settingsOf(
    Object.fromEntries(KAFKA_TOPICS.map(({ setting }) => [setting.key, setting.optional ? '' : real])),
  );
  assert.equal(needsEmbeddedBroker(settings), false);
  assert.throws(
    () => createProducer(settingsOf(), 'kafka_blocksConfig', { logger, brokerSocketPath: undefined }),
    /kafka_blocksConfig: memory:\/\/ needs/,
  );
});

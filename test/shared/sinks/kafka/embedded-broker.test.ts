import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { parseKafkaUrl } from '../../../../src/shared/settings/values/kafka-topic.js';
import { EmbeddedBroker } from '../../../../src/shared/sinks/kafka/embedded/broker.js';
import { EmbeddedConsumer } from '../../../../src/shared/sinks/kafka/embedded/consumer.js';
import { partitionOf } from '../../../../src/shared/sinks/kafka/embedded/partitioner.js';
import {
  BrokerFaultError,
  type ConsumedRecord,
  RecordFaultError,
  TopicFaultError,
} from '../../../../src/shared/sinks/kafka/types.js';
import { recordsIn, startBroker } from '../../../support/embedded-broker.js';
import { keptLog } from '../../../support/logger.js';
import { temporaryDirectory } from '../../../support/temporary.js';
import { waitFor } from '../../../support/wait.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const values = (records: readonly ConsumedRecord[]): string[] =>
  records.map(({ value }) => Buffer.from(value).toString());
const oneTopic = { topic: 't', partitions: 1, retentionMs: 600_000 };

test('records come back in order with their offsets, keys and time', async (context) => {
  const broker = await startBroker(context, { now: () => 1234 });
  await broker.createTopic(oneTopic);
  await broker.produce('t', [{ key: bytes('k'), value: bytes('a') }, { value: bytes('b') }]);
  await broker.produce('t', [{ key: bytes(''), value: bytes('') }]);
  const records = await recordsIn(broker, 't');
  assert.deepEqual(values(records), ['a', 'b', '']);
  assert.deepEqual(
    records.map(({ offset, timestamp }) => [offset, timestamp]),
    [
      [0n, 1234],
      [1n, 1234],
      [2n, 1234],
    ],
  );
  assert.deepEqual(records[0]?.key, bytes('k'));
  assert.equal(records[1]?.key, undefined);
  assert.equal(records[2]?.key?.length, 0);
});

test('a record above the bound refuses its batch and stores nothing of it', async (context) => {
  const broker = await startBroker(context, { maxRecordBytes: 10 });
  await broker.createTopic(oneTopic);
  await assert.rejects(
    broker.produce('t', [{ value: bytes('good') }, { key: bytes('12345'), value: bytes('678901') }]),
    RecordFaultError,
  );
  assert.deepEqual(await recordsIn(broker, 't'), []);
});

test('a topic that is missing, or may not be made, is a fault of the topic', async (context) => {
  const broker = await startBroker(context, { createTopics: false });
  await assert.rejects(broker.produce('t', [{ value: bytes('a') }]), TopicFaultError);
  await assert.rejects(broker.createTopic(oneTopic), TopicFaultError);
  await broker.addTopic(oneTopic);
  await broker.createTopic(oneTopic);
  await broker.produce('t', [{ value: bytes('a') }]);
  assert.equal((await recordsIn(broker, 't')).length, 1);
});

test('keys choose their partition as Kafka does', async (context) => {
  // Hashes as Kafka's clients compute them.
  assert.equal(partitionOf(bytes('21'), 1 << 30), (-973932308 & 0x7fffffff) % (1 << 30));
  assert.equal(partitionOf(bytes('foobar'), 1 << 30), (-790332482 & 0x7fffffff) % (1 << 30));
  assert.equal(
    partitionOf(bytes('a-little-bit-long-string'), 1 << 30),
    (-985981536 & 0x7fffffff) % (1 << 30),
  );
  const broker = await startBroker(context);
  await broker.createTopic({ ...oneTopic, partitions: 4 });
  const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`);
  await broker.produce(
    't',
    keys.map((key) => ({ key: bytes(key), value: bytes(key) })),
  );
  for (let partition = 0; partition < 4; partition++) {
    const expected = keys.filter((key) => partitionOf(bytes(key), 4) === partition);
    assert.deepEqual(values(await recordsIn(broker, 't', partition)), expected);
  }
});

test('retention drops old batches and offsets go on', async (context) => {
  let now = 1000;
  const broker = await startBroker(context, { now: () => now });
  await broker.createTopic({ ...oneTopic, retentionMs: 100 });
  await broker.createTopic({ topic: 'kept', partitions: 1, retentionMs: -1 });
  await broker.produce('t', [{ value: bytes('old') }]);
  await broker.produce('kept', [{ value: bytes('old') }]);
  now = 1090;
  await broker.produce('t', [{ value: bytes('new') }]);
  now = 1150;
  await broker.trim();
  const records = await recordsIn(broker, 't');
  assert.deepEqual(values(records), ['new']);
  assert.equal(records[0]?.offset, 1n);
  assert.equal((await recordsIn(broker, 'kept')).length, 1);
});

test('without retention the whole is bounded in records and in bytes', async (context) => {
  const broker = await startBroker(context, { maxRecords: 50, maxBytes: 1000 });
  for (const topic of ['a', 'b']) {
    await broker.createTopic({ topic, partitions: 1, retentionMs: -1 });
    for (let i = 0; i < 100; i++) await broker.produce(topic, [{ value: bytes(`${topic}${i}`) }]);
  }
  const kept = [...(await recordsIn(broker, 'a')), ...(await recordsIn(broker, 'b'))];
  assert.ok(kept.length <= 50 && kept.length > 20, `${kept.length} records`);
  assert.equal(values(kept).at(-1), 'b99');
});

test('a new group starts at the oldest offset or the newest, an old one where it was', async (context) => {
  const broker = await startBroker(context);
  await broker.createTopic(oneTopic);
  await broker.produce('t', [{ value: bytes('before') }]);
  const oldest = await broker.join({ group: 'oldest', topic: 't', fromOldest: true });
  const newest = await broker.join({ group: 'newest', topic: 't', fromOldest: false });
  await broker.produce('t', [{ value: bytes('after') }]);
  assert.deepEqual(values(await broker.poll(oldest, 1 << 20, 0)), ['before', 'after']);
  assert.deepEqual(values(await broker.poll(newest, 1 << 20, 0)), ['after']);
  assert.equal(await broker.commit(oldest, 0, 1), true);
  await broker.leave(oldest);
  const again = await broker.join({ group: 'oldest', topic: 't', fromOldest: false });
  assert.deepEqual(values(await broker.poll(again, 1 << 20, 0)), ['after']);
});

test('when retention has taken what comes next, a group goes on by its reset rule', async (context) => {
  const clock = { now: 0 };
  const broker = await startBroker(context, { now: () => clock.now });
  await broker.createTopic(oneTopic);
  const members = [];
  for (const fromOldest of [true, false]) {
    await broker.produce('t', [{ value: bytes('a') }]);
    const member = await broker.join({ group: `${fromOldest}`, topic: 't', fromOldest });
    await broker.commit(member, 0, 1);
    members.push(member);
  }
  const [oldest = 0, newest = 0] = members;
  await broker.produce('t', [{ value: bytes('lost') }]);
  clock.now = oneTopic.retentionMs + 1;
  await broker.produce('t', [{ value: bytes('kept') }]);
  await broker.trim();
  assert.deepEqual(values(await broker.poll(oldest, 1 << 20, 0)), ['kept']);
  assert.deepEqual(values(await broker.poll(newest, 1 << 20, 0)), []);
  await broker.produce('t', [{ value: bytes('new') }]);
  assert.deepEqual(values(await broker.poll(newest, 1 << 20, 0)), ['new']);
});

test('members of a group share its partitions, and a leaver’s go to who stays', async (context) => {
  const broker = await startBroker(context);
  await broker.createTopic({ ...oneTopic, partitions: 2 });
  const [a, b] = await Promise.all(
    ['a', 'b'].map(() => broker.join({ group: 'g', topic: 't', fromOldest: true })),
  );
  for (let i = 0; i < 20; i++) await broker.produce('t', [{ value: bytes(String(i)) }]);
  const ofA = await broker.poll(a as number, 1 << 20, 0);
  const ofB = await broker.poll(b as number, 1 << 20, 0);
  assert.equal(ofA.length + ofB.length, 20);
  assert.notEqual(ofA[0]?.partition, ofB[0]?.partition);
  assert.equal(
    await broker.commit(a as number, ofB[0]?.partition as number, 1),
    false,
    'another’s partition',
  );
  await broker.leave(b as number);
  const seen = new Set<number>();
  for (let i = 0; i < 2; i++) {
    const records = await broker.poll(a as number, 1 << 20, 0);
    const last = records.at(-1) as ConsumedRecord;
    seen.add(last.partition);
    assert.equal(await broker.commit(a as number, last.partition, Number(last.offset) + 1), true);
  }
  assert.equal(seen.size, 2);
  await assert.rejects(broker.poll(b as number, 1, 0), BrokerFaultError);
});

test('a poll waits for the record to come', async (context) => {
  const broker = await startBroker(context);
  await broker.createTopic(oneTopic);
  const member = await broker.join({ group: 'g', topic: 't', fromOldest: true });
  const polled = broker.poll(member, 1 << 20, 10_000);
  await broker.produce('t', [{ value: bytes('late') }]);
  assert.deepEqual(values(await polled), ['late']);
});

test('on a store that stays, records, offsets and groups do too', async (context) => {
  const path = join(temporaryDirectory(context), 'broker');
  const open = async (): Promise<EmbeddedBroker> => {
    const level = new ClassicLevel<string, Buffer>(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
    const broker = new EmbeddedBroker({ level, logger: keptLog().logger });
    await broker.start();
    return broker;
  };
  const first = await open();
  await first.createTopic(oneTopic);
  await first.produce('t', [{ value: bytes('a') }, { value: bytes('b') }]);
  const member = await first.join({ group: 'g', topic: 't', fromOldest: true });
  await first.commit(member, 0, 1);
  await first.stop();
  const second = await open();
  context.after(() => second.stop());
  await second.produce('t', [{ value: bytes('c') }]);
  const again = await second.join({ group: 'g', topic: 't', fromOldest: false });
  assert.deepEqual(values(await second.poll(again, 1 << 20, 0)), ['b', 'c']);
  await assert.rejects(first.produce('t', [{ value: bytes('x') }]), BrokerFaultError);
});

test('a consumer repeats the batch that its handler refused, and commits what it took', async (context) => {
  const broker = await startBroker(context);
  const url = parseKafkaUrl('kafka_rejectedTxConfig', 'memory://embedded/t?replay=1');
  const consumer = new EmbeddedConsumer({ broker, logger: keptLog().logger }, url, {
    group: 'g',
    backoffMs: 1,
  });
  const batches: string[][] = [];
  await broker.createTopic(oneTopic);
  await broker.produce('t', [{ value: bytes('a') }, { value: bytes('b') }]);
  await consumer.start(async (records) => {
    batches.push(values(records));
    if (batches.length < 3) throw new Error('not yet');
  });
  await waitFor(() => batches.length === 3);
  await broker.produce('t', [{ value: bytes('c') }]);
  await waitFor(() => batches.length === 4);
  await consumer.stop();
  assert.deepEqual(batches, [['a', 'b'], ['a', 'b'], ['a', 'b'], ['c']]);
  assert.equal((await consumer.health(AbortSignal.timeout(30_000))).status, 200);
});

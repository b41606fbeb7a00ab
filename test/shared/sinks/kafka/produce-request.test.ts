/** What is written in kafkajs's place is byte for byte what kafkajs writes, and takes a fraction of its time. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { type TestContext, test } from 'node:test';
import kafkajs, { type Message, type PartitionMetadata } from 'kafkajs';
import { crc32c } from '../../../../src/shared/crc32.js';
import {
  encodeProduceRequestsFast,
  fastPartitioner,
  GroupedOnce,
} from '../../../../src/shared/sinks/kafka/kafkajs/produce-request.js';
import { encodeRecordBatch } from '../../../../src/shared/sinks/kafka/kafkajs/record-batch.js';

const require = createRequire(import.meta.url);

interface Request {
  encode(): Promise<{ readonly buffer: Buffer; size(): number }>;
}
type CreateRequest = (options: object) => Request;

const theirs = require('kafkajs/src/protocol/requests/produce/v7/request') as CreateRequest;
const produce = require('kafkajs/src/protocol/requests/produce') as {
  protocol(of: { version: number }): (options: object) => { readonly request: Request };
};
encodeProduceRequestsFast();
encodeProduceRequestsFast();
/** The request as the library looks it up. */
const ours: CreateRequest = (options) => produce.protocol({ version: 7 })(options).request;

const message = (key: number | null, value: number | null): Message => ({
  key: key === null ? null : randomBytes(key),
  value: value === null ? null : randomBytes(value),
});

const options = (messages: readonly Message[], changes: object = {}) => ({
  acks: -1,
  timeout: 9000,
  producerId: '9007199254740993',
  producerEpoch: 3,
  compression: 0,
  topicData: [{ topic: 'blöcke', partitions: [{ partition: 2, firstSequence: 77, messages }] }],
  ...changes,
});

/** The clock stands, for both write the time of the writing. */
async function assertSame(context: TestContext, given: object): Promise<void> {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_123 });
  const [expected, actual] = [await theirs(given).encode(), await ours(given).encode()];
  context.mock.timers.reset();
  assert.equal(actual.size(), expected.size());
  assert.ok(actual.buffer.equals(expected.buffer), 'the same bytes');
}

test('a request has the bytes of the library’s, whatever the lengths', async (context) => {
  const lengths = [0, 1, 62, 63, 64, 65, 8191, 8192, 70_000, 1_100_000];
  for (const length of lengths) await assertSame(context, options([message(64, length), message(length, 3)]));
  await assertSame(context, options([message(null, 5), message(0, null), { value: randomBytes(9) }]));
  // Distances of more than one byte and of more than two.
  await assertSame(context, options(Array.from({ length: 8200 }, () => message(2, 3))));
});

test('so has one with headers', async (context) => {
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const headers = { traceparent, tracestate: 'vendor=x', '': '', long: 'x'.repeat(9000) };
  const [one, other] = [message(64, 100), message(null, 3)];
  await assertSame(context, options([{ ...one, headers: { traceparent } }, other]));
  await assertSame(context, options([other, { ...one, headers }, { ...one, headers: {} }]));
});

test('so has one of several topics and partitions', async (context) => {
  const partition = (number: number) => ({
    partition: number,
    firstSequence: 2 ** 31 - 1 - number,
    messages: [message(64, 100), message(64, 101)],
  });
  const topicData = [
    { topic: 'a', partitions: [partition(0), partition(1)] },
    { topic: 'b', partitions: [partition(7)] },
  ];
  await assertSame(context, options([], { topicData }));
  await assertSame(context, options([message(1, 1)], { producerId: -1, producerEpoch: undefined }));
});

test('a compressed request holds what the library’s holds', async (context) => {
  const messages = Array.from({ length: 500 }, () => message(64, 100));
  await assertSame(context, options(messages, { compression: kafkajs.CompressionTypes.GZIP }));
});

test('what this server does not send is left to the library', async (context) => {
  const one = message(2, 3);
  await assertSame(context, options([{ ...one, headers: { a: 'ß' } }, { ...one, headers: { ä: 'b' } }, one]));
  await assertSame(context, options([{ ...one, headers: { a: Buffer.from('b'), c: ['d', 'e'] } }]));
  await assertSame(context, options([{ ...one, timestamp: '1600000000000' }, one]));
  await assertSame(context, options([{ key: 'text', value: 'also text' }]));
  await assertSame(context, options([one], { transactionalId: 'transaction' }));
});

test('a batch without records is refused', async () => {
  const head = { producerId: 1n, producerEpoch: 0, firstSequence: 0, timestamp: 0 };
  await assert.rejects(encodeRecordBatch([], head), RangeError);
});

test('the checksum is CRC-32C, of any length and part', () => {
  // RFC 3720, appendix B.4.
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  const theirCrc = require('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number;
  const bytes = randomBytes(257);
  for (let length = 0; length <= bytes.length; length++) {
    assert.equal(crc32c(bytes, 0, length), theirCrc(bytes.subarray(0, length)));
    assert.equal(crc32c(bytes, length), theirCrc(bytes.subarray(length)));
  }
});

const partitions = (count: number): PartitionMetadata[] =>
  Array.from({ length: count }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 1,
    replicas: [1],
    isr: [1],
  }));

test('keys go to the partitions of the library’s default', () => {
  const [fast, slow] = [fastPartitioner(), kafkajs.Partitioners.DefaultPartitioner()];
  for (const count of [1, 2, 3, 12]) {
    const partitionMetadata = partitions(count);
    for (let length = 0; length < 70; length++) {
      const args = { topic: 't', partitionMetadata, message: message(length, 1) };
      assert.equal(fast(args), slow(args));
    }
  }
});

test('records without a key take turns among the partitions that have a leader', () => {
  const choose = fastPartitioner();
  const partitionMetadata = partitions(4);
  partitionMetadata[2] = { ...(partitionMetadata[2] as PartitionMetadata), leader: -1 };
  const args = { topic: 't', partitionMetadata, message: message(null, 1) };
  const chosen = Array.from({ length: 30 }, () => choose(args));
  for (const partition of [0, 1, 3]) assert.equal(chosen.filter((each) => each === partition).length, 10);
  assert.equal(choose({ ...args, message: { ...args.message, partition: 2 } }), 2);
  const leaderless = partitions(3).map((each) => ({ ...each, leader: -1 }));
  const anyway = choose({ ...args, partitionMetadata: leaderless });
  assert.ok(anyway >= 0 && anyway < 3);
});

test('grouped once, messages are in the groups and the order of the library’s grouping, in a time that grows with their number', () => {
  const group = require('kafkajs/src/producer/groupMessagesPerPartition') as (
    given: object,
  ) => Record<string, Message[]>;
  const messages = Array.from({ length: 4000 }, () => message(16, 1));
  for (const count of [1, 5]) {
    const given = { topic: 't', partitionMetadata: partitions(count), partitioner: fastPartitioner() };
    assert.deepEqual(
      group({ ...given, messages: GroupedOnce.from(messages) }),
      group({ ...given, messages }),
    );
  }
  const many = GroupedOnce.from(Array.from({ length: 200_000 }, () => message(null, 0)));
  const copied = process.cpuUsage();
  const grouped = group({
    topic: 't',
    partitionMetadata: partitions(1),
    partitioner: fastPartitioner(),
    messages: many,
  });
  const { user } = process.cpuUsage(copied);
  assert.equal(grouped[0]?.length, many.length);
  // The library’s own way copies 2 · 10¹⁰ references here, which takes half a minute.
  assert.ok(user < 5_000_000, `${user} µs of CPU`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ValueError } from '../../../../src/shared/settings/setting.js';
import { parseKafkaUrl } from '../../../../src/shared/settings/values/kafka-topic.js';

test('a bare URL has Teranode’s defaults', () => {
  const url = parseKafkaUrl('kafka_blocksConfig', 'kafka://one:9092,two,[::1]:9093/blocks');
  assert.deepEqual(url, {
    text: 'kafka://one:9092,two,[::1]:9093/blocks',
    setting: 'kafka_blocksConfig',
    scheme: 'kafka',
    brokers: ['one:9092', 'two:9092', '[::1]:9093'],
    topic: 'blocks',
    partitions: 1,
    replication: 1,
    retentionMs: 600_000,
    segmentBytes: 1_073_741_824,
    fromOldest: true,
    maxProcessingTimeMs: undefined,
    sessionTimeoutMs: undefined,
    heartbeatIntervalMs: undefined,
    rebalanceTimeoutMs: undefined,
    unknownParameters: [],
  });
});

test('every parameter is read, and one that is unknown is told', () => {
  const url = parseKafkaUrl(
    'kafka_rejectedTxConfig',
    'memory://embedded/rejected.tx?partitions=4&replication=3&retention=1000&segment_bytes=2000&flush_bytes=3' +
      '&flush_messages=4&flush_frequency=1m30s&consumer_ratio=2&replay=0&maxProcessingTime=5&sessionTimeout=6' +
      '&heartbeatInterval=7&rebalanceTimeout=8&colour=red',
  );
  assert.equal(url.scheme, 'memory');
  assert.deepEqual(url.brokers, []);
  assert.equal(url.topic, 'rejected.tx');
  assert.deepEqual([url.partitions, url.replication, url.retentionMs, url.segmentBytes], [4, 3, 1000, 2000]);
  assert.equal(url.fromOldest, false);
  assert.deepEqual(
    [url.maxProcessingTimeMs, url.sessionTimeoutMs, url.heartbeatIntervalMs, url.rebalanceTimeoutMs],
    [5, 6, 7, 8],
  );
  assert.deepEqual(url.unknownParameters, ['colour']);
});

test('offsetReset wins over replay', () => {
  assert.equal(parseKafkaUrl('k', 'memory://embedded/t?replay=1&offsetReset=latest').fromOldest, false);
  assert.equal(parseKafkaUrl('k', 'memory://embedded/t?replay=0&offsetReset=earliest').fromOldest, true);
});

test('all problems come in one error', () => {
  const text =
    'kafka://:99/bad topic?partitions=0&replay=2&flush_frequency=soon&retention=x&offsetReset=middle&replication=1.5';
  assert.throws(
    () => parseKafkaUrl('kafka_subtreesConfig', text),
    (error) => {
      assert.ok(error instanceof ValueError);
      assert.equal(error.problems.length, 8);
      return true;
    },
  );
});

for (const [text, complaint] of [
  ['', /no Kafka URL/],
  ['blocks', /no Kafka URL/],
  ['http://host:80/blocks', /scheme "http"/],
  ['kafka:///blocks', /at least one broker/],
  ['kafka://host:70000/blocks', /broker 1 is not host:port/],
  ['kafka://user:secret@host:9092/blocks', /credentials/],
  ['kafka://host:9092', /topic after the host is missing/],
  ['memory://embedded/..', /topic "\.\."/],
] as const) {
  test(`"${text}" is refused clearly`, () => {
    assert.throws(() => parseKafkaUrl('kafka_blocksConfig', text), complaint);
  });
}

test('no problem quotes credentials, wherever they stand', () => {
  const password = 'hunter2hunter2';
  for (const text of [
    `kafka://user:${password}@one:9092/blocks`,
    `kafka://user:${password}@one,user:${password}@two/bad topic?partitions=x`,
    `kafka:user:${password}@one/blocks`,
    `sasl://user:${password}@one/blocks`,
    `kafka://user:${password}/@one:9092/blocks`,
    `kafka://user:${password}#@one:9092/blocks`,
    `kafka://user:${password}`,
  ]) {
    assert.throws(
      () => parseKafkaUrl('kafka_blocksConfig', text),
      (error: unknown) => error instanceof ValueError && !error.message.includes(password),
      text,
    );
  }
});

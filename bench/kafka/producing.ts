/**
 * One way of bringing records into Kafka, in a process of its own: a bare kafkajs producer as its documentation sets an
 * idempotent one up, this server's driver, or its publisher with outbox and frames.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { pino } from 'pino';
import { announcedRecord } from '../../src/shared/messages/record.js';
import { subtrees } from '../../src/shared/messages/topics.js';
import { encodeCheckedBatch } from '../../src/shared/pipeline/checked-batch.js';
import type { CheckedMessage } from '../../src/shared/pipeline/types.js';
import { createProducer } from '../../src/shared/sinks/kafka/index.js';
import type { KafkaRecord } from '../../src/shared/sinks/kafka/types.js';
import { announcement, PublisherUnderTest, publisherConfig } from '../../test/support/publisher.js';
import { settingsOf } from '../../test/support/settings.js';
import { cpuByRole } from '../gossip/threads.js';

export type Contestant = 'kafkajs' | 'driver' | 'publisher';

export interface ProducingOrder {
  readonly contestant: Contestant;
  readonly brokers: string;
  readonly topic: string;
  readonly warmUp: number;
  readonly records: number;
}

export interface ProducingReport {
  readonly type: 'produced';
  readonly seconds: number;
  /** CPU seconds by thread. */
  readonly cpu: Readonly<Record<string, number>>;
}

/** As the drainer's: what one request holds at the most. */
const REQUEST_RECORDS = 5000;
const REQUEST_BYTES = 1_000_000;
const RECORD_HEAD_BYTES = 48;
/** Messages of one batch that main hands to the publisher under load, and batches under way. */
const BATCH = 256;
const UNDER_WAY = 6;
const AUTHOR = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
const LOOK_MS = 5;

function record(index: number) {
  const hash = createHash('sha256').update(String(index)).digest('hex');
  const dataHubUrl = 'https://hub.example.org:8090/api/v1';
  return announcedRecord(subtrees, { hash, dataHubUrl, peerId: AUTHOR }, 'protobuf');
}

/** Key and value together. */
export const RECORD_BYTES = record(0).key.length + record(0).value.length;

interface Producing {
  /** Resolves when Kafka has acknowledged records `from` to `to`. */
  produce(from: number, to: number): Promise<void>;
  stop(): Promise<void>;
}

/** Sends as much at a time as the drainer does. */
async function inRequests(
  from: number,
  to: number,
  send: (records: KafkaRecord[]) => Promise<unknown>,
): Promise<void> {
  const each = Math.min(REQUEST_RECORDS, Math.floor(REQUEST_BYTES / (RECORD_BYTES + RECORD_HEAD_BYTES)));
  for (let at = from; at < to; at += each) {
    await send(all.slice(at, Math.min(to, at + each)));
  }
}

async function bare({ brokers, topic }: ProducingOrder): Promise<Producing> {
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = (records: KafkaRecord[]) =>
    records.map(({ key, value }) => ({ key: Buffer.from(key ?? []), value: Buffer.from(value) }));
  return {
    produce: (from, to) =>
      inRequests(from, to, (records) => producer.send({ topic, acks: -1, messages: messages(records) })),
    stop: () => producer.disconnect(),
  };
}

async function driver({ brokers, topic }: ProducingOrder): Promise<Producing> {
  const producer = createProducer(
    settingsOf({ kafka_subtreesConfig: `kafka://${brokers}/${topic}` }),
    'kafka_subtreesConfig',
    { logger: pino({ level: 'silent' }), brokerSocketPath: undefined },
  );
  await producer.connect();
  return {
    produce: (from, to) => inRequests(from, to, (records) => producer.send(records)),
    stop: () => producer.disconnect(),
  };
}

async function publisher({ brokers, topic, records, warmUp }: ProducingOrder): Promise<Producing> {
  const directory = mkdtempSync(join(tmpdir(), 'teranode-p2p-bench-'));
  const publishing = new PublisherUnderTest(
    publisherConfig(directory, '', {
      kafka_subtreesConfig: `kafka://${brokers}/${topic}`,
      kafka_blocksConfig: `kafka://${brokers}/${topic}`,
    }),
  );
  await publishing.run('health', {});
  const batches: ArrayBuffer[] = [];
  for (let at = 0; at < warmUp + records; at += BATCH) {
    const end = Math.min(at + BATCH, warmUp + records);
    const messages = Array.from({ length: end - at }, (_, index): CheckedMessage => {
      const checked = announcement(String(at + index), { topic: 'subtrees', author: AUTHOR });
      return { ...checked, record: record(at + index) };
    });
    batches.push(encodeCheckedBatch(messages));
  }
  return {
    produce: async (from, to) => {
      let next = from / BATCH;
      const feed = async () => {
        while (next < to / BATCH) {
          const batch = batches[next++];
          if (batch !== undefined) await publishing.run('publish', { batch, id: next, retry: false });
        }
      };
      await Promise.all(Array.from({ length: UNDER_WAY }, feed));
      while ((await publishing.waiting()) > 0) await delay(LOOK_MS);
      const metric = 'teranode_p2p_kafka_records_total';
      const acknowledged = await publishing.metric(metric, { outcome: 'acknowledged' });
      if (acknowledged < to) throw new Error(`${to - acknowledged} records are not in Kafka`);
    },
    stop: async () => {
      await publishing.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const START = { kafkajs: bare, driver, publisher } as const;
let all: KafkaRecord[] = [];

async function run(order: ProducingOrder): Promise<void> {
  const { contestant, records, warmUp } = order;
  all =
    contestant === 'publisher' ? [] : Array.from({ length: warmUp + records }, (_, index) => record(index));
  const producing = await START[contestant](order);
  await producing.produce(0, warmUp);
  const before = cpuByRole([]);
  const from = performance.now();
  await producing.produce(warmUp, warmUp + records);
  const seconds = (performance.now() - from) / 1000;
  const cpu = Object.fromEntries(
    Object.entries(cpuByRole([])).map(([role, total]) => [role, total - (before[role] ?? 0)]),
  );
  await producing.stop();
  process.send?.({ type: 'produced', seconds, cpu } satisfies ProducingReport);
  process.disconnect?.();
}

if (process.send !== undefined && process.argv[2] === 'produce') {
  process.once('message', (order: ProducingOrder) => {
    run(order).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
  process.on('disconnect', () => process.exit(0));
}

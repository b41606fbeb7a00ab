/**
 * When Kafka has acknowledged each record: loaded into every thread of the measured server (`--import`), it writes in the publisher's
 * the moment after each request, and the keys that were in it.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import type { KafkaProducer } from '../../src/shared/kafka/types.js';

const FILE = 'TERANODE_P2P_BENCH_ACKNOWLEDGEMENTS';
const file = process.env[FILE];

function record(prototype: KafkaProducer, into: string): void {
  const { send } = prototype;
  prototype.send = async function (this: KafkaProducer, records) {
    await send.call(this, records);
    const ms = Number(process.hrtime.bigint()) / 1e6;
    const keys = records.map(({ key }) => Buffer.from(key ?? []).toString('latin1'));
    appendFileSync(into, `${ms} ${keys.join(' ')}\n`);
  };
}

if (file !== undefined && !isMainThread && 'outboxPath' in Object(workerData)) {
  const { KafkaJsProducer } = await import('../../src/shared/kafka/kafkajs/producer.js');
  const { EmbeddedProducer } = await import('../../src/shared/kafka/embedded/producer.js');
  record(KafkaJsProducer.prototype, file);
  record(EmbeddedProducer.prototype, file);
}

/** Environment of a process that is to write them `into` a file. */
export function acknowledgementsInto(into: string): Record<string, string> {
  return {
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${import.meta.url}`.trim(),
    [FILE]: into,
  };
}

/** ms of the monotonic clock by key; the first where a record was sent twice. */
export function acknowledgementsIn(path: string): Map<string, number> {
  const times = new Map<string, number>();
  if (!existsSync(path)) return times;
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [ms, ...keys] = line.split(' ');
    for (const key of keys) if (!times.has(key)) times.set(key, Number(ms));
  }
  return times;
}

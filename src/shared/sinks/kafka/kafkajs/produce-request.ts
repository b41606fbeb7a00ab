/**
 * Where this server reaches into kafkajs 2.2.4 to produce at a bearable price. The library takes 6 µs to encode a record of 230
 * bytes, 5 to find the only partition there is, and copies the whole batch once for each of its records; with this it is
 * under 2 µs in all (docs/performance.md). What it does not know it leaves to the library, and so does a library that changed:
 * then it is slow again, which a test notices.
 */

import { createRequire } from 'node:module';
import type { ICustomPartitioner, Message } from 'kafkajs';
import { wall } from '../../../clock.js';
import { partitionOf } from '../embedded/partitioner.js';
import { type BatchRecord, type Compression, encodeRecordBatch } from './record-batch.js';

interface PartitionData {
  readonly partition: number;
  readonly firstSequence: number;
  readonly messages: readonly Message[];
}

interface ProduceOptions {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  /** A decimal number of 64 bits in whatever clothes. */
  readonly producerId?: unknown;
  readonly producerEpoch?: number;
  readonly compression?: number;
  readonly topicData: readonly { readonly topic: string; readonly partitions: readonly PartitionData[] }[];
}

/** What writes a request; of it only what is written so far is read. */
interface Encoder {
  buf: Buffer;
  offset: number;
}

interface ProduceRequest {
  encode(): Promise<Encoder>;
}

type CreateRequest = (options: ProduceOptions) => ProduceRequest;

interface Library {
  readonly Encoder: new () => Encoder;
  readonly lookupCodec: (type: number) => { compress(encoder: { readonly buffer: Buffer }): Promise<Buffer> };
}

/** Length of what follows is written there once that is known. */
const COUNT = 4;
const replaced = Symbol('encodes a record batch in one buffer');

/** Gives kafkajs another encoder for the requests that this server makes, once in this thread, however often it is called. */
export function encodeProduceRequestsFast(): void {
  const require = createRequire(import.meta.url);
  // The newest that the library knows, which every broker since Kafka 2.1 takes. It is looked up at each request.
  const path = require.resolve('kafkajs/src/protocol/requests/produce/v7/request');
  const original = require(path) as CreateRequest & { [replaced]?: true };
  const module = require.cache[path];
  if (original[replaced] === true || module === undefined) return;
  const library: Library = {
    Encoder: require('kafkajs/src/protocol/encoder') as Library['Encoder'],
    lookupCodec: (require('kafkajs/src/protocol/message/compression') as Library).lookupCodec,
  };
  const create: CreateRequest = (options) => {
    const request = original(options);
    return isOurs(options) ? { ...request, encode: () => encode(options, library) } : request;
  };
  module.exports = Object.assign(create, { [replaced]: true });
}

const isPlain = ({ headers, timestamp, key, value }: Message): boolean =>
  (headers === undefined || isAscii(headers)) &&
  timestamp === undefined &&
  (key == null || key instanceof Uint8Array) &&
  (value === null || value instanceof Uint8Array);

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII.
const ASCII = /^[\x00-\x7f]*$/;

const isAscii = (headers: NonNullable<Message['headers']>): boolean =>
  Object.entries(headers).every(
    ([name, value]) => ASCII.test(name) && typeof value === 'string' && ASCII.test(value),
  );

/** One topic's records as this server's producer gives them. */
function isOurs({ transactionalId, topicData }: ProduceOptions): boolean {
  return (
    transactionalId == null &&
    topicData.every(({ partitions }) =>
      partitions.every(({ messages }) => messages.length > 0 && messages.every(isPlain)),
    )
  );
}

async function encode(options: ProduceOptions, library: Library): Promise<Encoder> {
  const { acks, timeout, producerId = -1, producerEpoch = 0, compression: type = 0, topicData } = options;
  const compression: Compression | undefined =
    type === 0
      ? undefined
      : { codec: type, compress: (buffer) => library.lookupCodec(type).compress({ buffer }) };
  const head = Buffer.allocUnsafe(2 + 2 + 4 + COUNT);
  // No transactional id.
  head.writeInt16BE(-1, 0);
  head.writeInt16BE(acks, 2);
  head.writeInt32BE(timeout, 4);
  head.writeInt32BE(topicData.length, 8);
  const parts = [head];
  const timestamp = wall.record();
  for (const { topic, partitions } of topicData) {
    const length = Buffer.byteLength(topic);
    const named = Buffer.allocUnsafe(2 + length + COUNT);
    named.writeInt16BE(length, 0);
    named.write(topic, 2);
    named.writeInt32BE(partitions.length, 2 + length);
    parts.push(named);
    for (const { partition, firstSequence, messages } of partitions) {
      const batch = await encodeRecordBatch(
        messages as readonly BatchRecord[],
        { producerId: BigInt(String(producerId)), producerEpoch, firstSequence, timestamp },
        { room: 4 + COUNT, ...(compression === undefined ? {} : { compression }) },
      );
      batch.writeInt32BE(partition, 0);
      batch.writeInt32BE(batch.length - 4 - COUNT, 4);
      parts.push(batch);
    }
  }
  const encoder = new library.Encoder();
  encoder.buf = Buffer.concat(parts);
  encoder.offset = encoder.buf.length;
  return encoder;
}

/**
 * The library's default partitioner, with arithmetic of 32 bits instead of big integers, and without any where there is only
 * one partition.
 */
export const fastPartitioner: ICustomPartitioner = () => {
  let turn = 0;
  return ({ partitionMetadata, message: { key, partition } }) => {
    if (partition != null) return partition;
    const [only] = partitionMetadata;
    if (only !== undefined && partitionMetadata.length === 1) return only.partitionId;
    if (key != null) return partitionOf(key as Buffer, partitionMetadata.length);
    const led = partitionMetadata.filter(({ leader }) => leader >= 0);
    turn = (turn + 1) & 0x7fff_ffff;
    return led[turn % led.length]?.partitionId ?? turn % partitionMetadata.length;
  };
};

/**
 * Messages whose `reduce` into groups does not copy a group for each message that joins it. The library groups a batch by
 * partition with a reducer that gives a new group each time; here every message is reduced alone, and its group then extended.
 */
export class GroupedOnce extends Array<Message> {
  /** `map`, `filter` and the like make ordinary arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  override reduce<T>(
    reducer: (grouped: T, message: Message, index: number, all: Message[]) => T,
    initial?: T,
  ): T {
    const groups: Record<string, Message[]> = {};
    for (let index = 0; index < this.length; index++) {
      const alone = reducer({} as T, this[index] as Message, index, this) as Record<string, Message[]>;
      for (const partition in alone) {
        const group = groups[partition];
        const members = alone[partition] ?? [];
        if (group === undefined) groups[partition] = members;
        else group.push(...members);
      }
    }
    return Object.assign(initial ?? {}, groups) as T;
  }
}

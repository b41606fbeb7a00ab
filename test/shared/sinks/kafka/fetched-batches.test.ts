/** What a fetch becomes when its batches are larger than they look, decoded as the library decodes a broker's answer. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseKafkaUrl } from '../../../../src/shared/settings/values/kafka-topic.js';
import { createKafkaClient } from '../../../../src/shared/sinks/kafka/kafkajs/client.js';
import {
  COMPRESSION_TYPES,
  type CompressionName,
  compressionCodecs,
  compressionProblem,
} from '../../../../src/shared/sinks/kafka/kafkajs/compression.js';
import { encodeRecordBatch } from '../../../../src/shared/sinks/kafka/kafkajs/record-batch.js';
import { keptLog } from '../../../support/logger.js';
import { settingsOf } from '../../../support/settings.js';

const require = createRequire(import.meta.url);
const MIB = 1024 * 1024;
const HEAD = { producerId: -1n, producerEpoch: -1, firstSequence: -1, timestamp: 1_700_000_000_000 };

interface Message {
  readonly offset: string;
  readonly value: Buffer | null;
}

/** What the library makes of a partition's batches in one answer, as a consumer of this server has it. */
async function fetched(...batches: readonly Buffer[]): Promise<readonly Message[]> {
  createKafkaClient(
    parseKafkaUrl('kafka_rejectedTxConfig', 'kafka://127.0.0.1:1/topic'),
    settingsOf({}),
    keptLog().logger,
  );
  const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object;
  const decode = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as (
    decoder: object,
  ) => Promise<readonly Message[]>;
  const size = Buffer.alloc(4);
  size.writeInt32BE(batches.reduce((sum, { length }) => sum + length, 0));
  return decode(new Decoder(Buffer.concat([size, ...batches])));
}

/** A batch of records at `offset`. */
async function batchOf(
  offset: number,
  values: readonly (Buffer | string)[],
  name: CompressionName = 'none',
): Promise<Buffer> {
  const codec = COMPRESSION_TYPES[name];
  const compress = (buffer: Buffer) => compressionCodecs()[codec]?.().compress({ buffer }) as Promise<Buffer>;
  const records = values.map((value) => ({ value: Buffer.from(value as string) }));
  const batch = await encodeRecordBatch(
    records,
    HEAD,
    name === 'none' ? {} : { compression: { codec, compress } },
  );
  // The library does not look at the checksum, and the broker has.
  batch.writeBigInt64BE(BigInt(offset));
  return batch;
}

const shown = (messages: readonly Message[]) =>
  messages.map(
    ({ offset, value }) =>
      `${offset} ${value === null ? 'nothing' : value.length > 100 ? value.length : value}`,
  );

describe('a fetched batch', () => {
  for (const name of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as CompressionName[]) {
    if (compressionProblem(name) !== undefined) continue;
    it(`of ${name} is read whole, beside others`, async () => {
      const large = Buffer.alloc(20 * MIB, 'announcement ');
      const messages = await fetched(
        await batchOf(5, ['a', 'b'], name),
        await batchOf(7, [large, 'c'], name),
        await batchOf(9, ['d']),
      );
      assert.deepEqual(shown(messages), ['5 a', '6 b', `7 ${large.length}`, '8 c', '9 d']);
      assert.deepEqual(messages[2]?.value, large);
    });

    // Snappy packs nothing to less than a twentieth.
    if (name === 'none' || name === 'snappy') continue;
    it(`of ${name} that would be more than 64 MiB is passed, and what is beside it is read`, async () => {
      const bomb = await batchOf(7, ['e', Buffer.alloc(65 * MIB)], name);
      assert.ok(bomb.length < 4 * MIB);
      const behind = await batchOf(9, ['c'], name);
      assert.deepEqual(shown(await fetched(await batchOf(5, ['a', 'b'], name), bomb, behind)), [
        '5 a',
        '6 b',
      ]);
      // With the offset of its last record, so that what is committed is behind it.
      assert.deepEqual(shown(await fetched(bomb, behind)), ['8 nothing', '9 c']);
    });
  }

  for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as CompressionName[]) {
    if (compressionProblem(name) !== undefined) continue;
    it(`of ${name} that is too much beside those before it is left to the next fetch`, async () => {
      const batches = [5, 7, 9].map((offset) => batchOf(offset, [Buffer.alloc(40 * MIB), 'f'], name));
      const [first, second, third] = await Promise.all(batches);
      assert.deepEqual(shown(await fetched(first!, second!, third!)), [`5 ${40 * MIB}`, '6 f']);
      assert.deepEqual(shown(await fetched(second!, third!)), [`7 ${40 * MIB}`, '8 f']);
    });
  }

  it('with more records than the library can hand on is passed', async () => {
    const values = new Array<string>(150_000).fill('');
    for (const name of ['none', 'gzip'] as const) {
      const messages = await fetched(await batchOf(5, values, name), await batchOf(150_005, ['a'], name));
      assert.deepEqual(shown(messages), ['150004 nothing', '150005 a']);
    }
    assert.equal((await fetched(await batchOf(5, values.slice(0, 100_000), 'gzip'))).length, 100_000);
  });

  it('of many small records is left to the next fetch where it is too much beside those before it', async () => {
    const values = new Array<string>(60_000).fill('');
    for (const name of ['none', 'gzip'] as const) {
      const batches = [0, 60_000, 120_000].map((offset) => batchOf(offset, values, name));
      const [first, second, third] = await Promise.all(batches);
      const messages = await fetched(first!, second!, third!);
      assert.equal(messages.length, 60_000);
      assert.equal((await fetched(second!, third!)).at(-1)?.offset, '119999');
    }
  });

  it('is read without the headers of its records, however many a record has', async () => {
    const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (parts: object) => object;
    const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
      readonly RecordBatch: (parts: object) => Promise<{ readonly buffer: Buffer }>;
    };
    for (const many of [2, 5_000]) {
      const headers = Object.fromEntries(Array.from({ length: many }, (_, n) => [`header ${n}`, 'value']));
      const records = ['a', 'b'].map((value, offsetDelta) => Record({ offsetDelta, value, headers }));
      const { buffer } = await RecordBatch({ records, lastOffsetDelta: 1 });
      const messages = await fetched(buffer, await batchOf(2, ['c']));
      assert.deepEqual(shown(messages), ['0 a', '1 b', '2 c']);
      for (const message of messages)
        assert.deepEqual((message as Message & { headers: object }).headers, {});
    }
  });

  it('in blocks of snappy-java is bounded by all of them together', async () => {
    const packed = await compressionCodecs()
      [COMPRESSION_TYPES.snappy]?.()
      .compress({ buffer: Buffer.alloc(MIB) });
    const length = Buffer.alloc(4);
    length.writeInt32BE(packed!.length);
    const head = Buffer.from('82534e4150505900000000010000000100', 'hex').subarray(0, 16);
    const stream = Buffer.concat([head, ...new Array<Buffer>(65).fill(Buffer.concat([length, packed!]))]);
    const codec = compressionCodecs()[COMPRESSION_TYPES.snappy]?.();
    await assert.rejects(codec!.decompress(stream), { name: 'TooLargeError' });
    assert.equal(
      (await codec!.decompress(stream.subarray(0, 16 + 64 * (4 + packed!.length)))).length,
      64 * MIB,
    );
  });

  it('in several frames of LZ4 is bounded by all of them together', async () => {
    const codec = compressionCodecs()[COMPRESSION_TYPES.lz4]?.();
    const stored = Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * n * 31) & 0xff));
    for (const part of [Buffer.alloc(33 * MIB), Buffer.concat(new Array<Buffer>(340).fill(stored))]) {
      const packed = await codec!.compress({ buffer: part });
      assert.equal((await codec!.decompress(packed)).length, part.length);
      await assert.rejects(codec!.decompress(Buffer.concat([packed, packed])), { name: 'TooLargeError' });
    }
  });

  it('may become 32 times its size where that is more, as on a topic with a high max.message.bytes', async () => {
    // What gzip cannot pack, and 90 MiB of nothing.
    const stored = randomBytes(4 * MIB);
    const batch = await batchOf(5, [stored, Buffer.alloc(90 * MIB)], 'gzip');
    assert.ok(batch.length < 4.5 * MIB);
    assert.deepEqual(shown(await fetched(batch)), [`5 ${4 * MIB}`, `6 ${90 * MIB}`]);
    const bomb = await batchOf(7, [stored, Buffer.alloc(150 * MIB)], 'gzip');
    assert.deepEqual(shown(await fetched(bomb, await batchOf(9, ['a']))), ['8 nothing', '9 a']);
  });

  for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as CompressionName[]) {
    if (compressionProblem(name) !== undefined) continue;
    it(`of ${name} that is damaged is passed, and what is behind it is read`, async () => {
      for (const damage of [cutShort, overwritten]) {
        const batch = damage(await batchOf(5, ['a', 'b'.repeat(5000)], name), 61);
        batch.writeInt32BE(batch.length - 12, 8);
        assert.deepEqual(shown(await fetched(batch, await batchOf(7, ['c']))), ['6 nothing', '7 c']);
      }
    });
  }

  it('in a codec that nobody knows is waited at', async () => {
    const unknown = await batchOf(5, ['a'], 'gzip');
    unknown.writeInt16BE(COMPRESSION_TYPES.zstd, 21);
    if (compressionProblem('zstd') === undefined)
      assert.deepEqual(shown(await fetched(unknown)), ['5 nothing']);
    else await assert.rejects(fetched(unknown), /zstd/);
  });
});

/** The format from before Kafka 0.11, as its documentation has it: offset, size, checksum, version, attributes, time, key, value. */
function messageOf(
  offset: number,
  value: Buffer | string,
  { version = 1, codec = 0 }: { version?: 0 | 1; codec?: number } = {},
): Buffer {
  const bytes = Buffer.from(value as string);
  const time = version === 1 ? 8 : 0;
  const message = Buffer.alloc(26 + time + bytes.length);
  message.writeBigInt64BE(BigInt(offset));
  message.writeInt32BE(message.length - 12, 8);
  message.writeInt8(version, 16);
  message.writeInt8(codec, 17);
  message.writeInt32BE(-1, 18 + time);
  message.writeInt32BE(bytes.length, 22 + time);
  bytes.copy(message, 26 + time);
  return message;
}

const cutShort = (bytes: Buffer) => Buffer.from(bytes.subarray(0, -7));
const overwritten = (bytes: Buffer, from = 0) =>
  Buffer.concat([bytes.subarray(0, from), Buffer.alloc(bytes.length - from, 0x5a)]);

describe('a message set from before Kafka 0.11', () => {
  const gzip = COMPRESSION_TYPES.gzip;

  it('is read, packed or not, with the offsets of the log', async () => {
    for (const version of [0, 1] as const) {
      // In version 1 what is packed counts from its first, in version 0 as the log does; the outer offset is the last one's.
      const first = version === 0 ? 6 : 0;
      const packed = Buffer.concat(
        ['b', 'c', 'd'].map((value, n) => messageOf(first + n, value, { version })),
      );
      const messages = await fetched(
        messageOf(5, 'a', { version }),
        messageOf(8, gzipSync(packed), { version, codec: gzip }),
        messageOf(9, 'e', { version }),
      );
      assert.deepEqual(shown(messages), ['5 a', '6 b', '7 c', '8 d', '9 e']);
    }
  });

  it('is read up to where the answer was cut off', async () => {
    assert.deepEqual(shown(await fetched(messageOf(5, 'a'), cutShort(messageOf(6, 'b')))), ['5 a']);
    assert.deepEqual(shown(await fetched(messageOf(5, 'a'), await batchOf(6, ['b']))), ['5 a']);
  });

  it('is passed where it is damaged or too much, and what is behind it is read', async () => {
    const packed = gzipSync(Buffer.concat([messageOf(0, 'b'), messageOf(1, 'c'.repeat(1000))]));
    const tiny = Buffer.concat(Array.from({ length: 150_000 }, (_, n) => messageOf(n, '')));
    for (const value of [
      cutShort(packed),
      overwritten(packed),
      gzipSync(cutShort(Buffer.concat([messageOf(0, 'b'), messageOf(1, 'c')]))),
      gzipSync(overwritten(messageOf(0, 'b'))),
      gzipSync(''),
      Buffer.alloc(0),
      gzipSync(Buffer.alloc(65 * MIB)),
      gzipSync(tiny),
    ])
      assert.deepEqual(
        shown(await fetched(messageOf(7, value, { codec: gzip }), messageOf(8, 'd'))),
        ['7 nothing', '8 d'],
        `${value.length} bytes`,
      );
    const damaged = messageOf(7, 'x');
    damaged.writeInt32BE(1000, 30);
    assert.deepEqual(shown(await fetched(damaged, messageOf(8, 'd'))), ['7 nothing', '8 d']);
    const sizeless = messageOf(7, 'x');
    sizeless.writeInt32BE(-1, 8);
    assert.deepEqual(shown(await fetched(sizeless, messageOf(8, 'd'))), ['7 nothing']);
  });
});

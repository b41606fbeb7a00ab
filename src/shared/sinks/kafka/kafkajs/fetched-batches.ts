/**
 * Where this server reaches into kafkajs 2.2.4 to bound what a fetched record batch becomes. A megabyte that whoever may write to a
 * topic has packed can be gigabytes; the library unpacks whatever it is, and a consumer that dies of it begins anew at the same
 * place. A batch past the bounds, or one that is damaged, is unreadable for good: in its place comes one record without a value at the batch's last
 * offset, so that reading goes on behind it. What only together is too much, in bytes or records, is read with the next fetch. Headers, which nobody here
 * reads, are left out: the library copies all of a record's for each of them, which for a megabyte of them takes many minutes. A codec that is not to be had
 * here is another matter: it may be one day, so such a batch is waited at. `message-set.ts` does the same for the formats from before Kafka 0.11.
 */

import { createRequire } from 'node:module';
import { errorMessage } from '../../../errors.js';
import { DECOMPRESSED_MAX, TooLargeError } from './compression.js';
import { decodeMessageSet } from './message-set.js';
import {
  BATCH_RECORDS_MAX,
  CODEC_MASK,
  type CodecLookup,
  codecName,
  type Decoder,
  standIn,
  unpackedMax,
} from './passed-batch.js';

interface Library {
  readonly Decoder: (new (
    bytes: Buffer,
  ) => Decoder) & {
    /** Only for the headers of records. */
    readonly prototype: { readVarIntArray: () => readonly unknown[] };
  };
  readonly PartialMessageError: new (message: string) => Error;
  readonly lookupCodecByAttributes: CodecLookup;
}

type DecodeBatch = (decoder: Decoder) => Promise<{ readonly records: readonly unknown[] }>;

// Places within a batch (KIP-98), and what is before its length ends.
const LENGTH_AT = 8;
const LENGTH_END = 12;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const MAX_TIMESTAMP_AT = 35;
const RECORDS_COUNT_AT = 57;
const RECORDS_AT = 61;
const bounded = Symbol('batches are bounded');

/** Bounds what kafkajs makes of fetched batches, once in this thread, however often it is called. */
export function boundFetchedBatches(): void {
  const require = createRequire(import.meta.url);
  // Whoever decodes a fetch takes it from the cache when the first of its version comes.
  const path = require.resolve('kafkajs/src/protocol/recordBatch/v0/decoder');
  const original = require(path) as DecodeBatch & { [bounded]?: true };
  const module = require.cache[path];
  if (original[bounded] === true || module === undefined) return;
  const library: Library = {
    Decoder: require('kafkajs/src/protocol/decoder') as Library['Decoder'],
    PartialMessageError: (
      require('kafkajs/src/errors') as { KafkaJSPartialMessageError: Library['PartialMessageError'] }
    ).KafkaJSPartialMessageError,
    lookupCodecByAttributes: (require('kafkajs/src/protocol/message/compression') as Library)
      .lookupCodecByAttributes,
  };
  // What follows the headers in a record is nothing.
  library.Decoder.prototype.readVarIntArray = () => [];
  module.exports = Object.assign(boundedDecoder(original, library), { [bounded]: true });
  const ofOldFormats = require.resolve('kafkajs/src/protocol/messageSet/decoder');
  require(ofOldFormats);
  const oldModule = require.cache[ofOldFormats];
  if (oldModule !== undefined)
    oldModule.exports = (decoder: Decoder, size: number | null = null) =>
      decodeMessageSet(decoder, size, library.lookupCodecByAttributes);
}

function boundedDecoder(original: DecodeBatch, library: Library): DecodeBatch {
  /** What the batches of one partition in one fetch have become. */
  const sums = new WeakMap<Decoder, { bytes: number; records: number }>();
  return async (decoder) => {
    const bytes = decoder.buffer.subarray(decoder.offset);
    // What is cut off at the fetch's bound is the library's to tell.
    if (bytes.length < RECORDS_AT) return original(decoder);
    const end = LENGTH_END + bytes.readInt32BE(LENGTH_AT);
    if (bytes.length < end) return original(decoder);
    const batch = bytes.subarray(0, end);
    const count = batch.readInt32BE(RECORDS_COUNT_AT);
    const codec = library.lookupCodecByAttributes(batch.readInt16BE(ATTRIBUTES_AT));
    if (count > BATCH_RECORDS_MAX) {
      decoder.offset += end;
      return passed(batch, `${count} records, more than ${BATCH_RECORDS_MAX}`);
    }
    const sum = sums.get(decoder) ?? { bytes: 0, records: 0 };
    sums.set(decoder, sum);
    if (sum.records + count > BATCH_RECORDS_MAX) throw new library.PartialMessageError('for the next fetch');
    sum.records += Math.max(count, 0);
    decoder.offset += end;
    // A compacted topic keeps batches of which no record is left.
    if (codec === null || count <= 0) return whole(batch);
    let records: Buffer;
    try {
      const bound = sum.bytes === 0 ? unpackedMax(batch.length) : DECOMPRESSED_MAX - sum.bytes;
      records = await codec.decompress(batch.subarray(RECORDS_AT), bound);
    } catch (error) {
      if (!(error instanceof TooLargeError)) return passed(batch, `damaged: ${errorMessage(error)}`);
      if (sum.bytes > 0) throw new library.PartialMessageError('for the next fetch');
      return passed(batch, error.message);
    }
    sum.bytes += records.length;
    return whole(plain(batch, records));
  };

  async function whole(batch: Buffer) {
    try {
      return await original(new library.Decoder(batch));
    } catch (error) {
      return passed(batch, `damaged: ${errorMessage(error)}`);
    }
  }
}

/** The batch with `records` in place of what was packed. */
function plain(batch: Buffer, records: Buffer): Buffer {
  const whole = Buffer.concat([batch.subarray(0, RECORDS_AT), records]);
  whole.writeInt32BE(whole.length - LENGTH_END, LENGTH_AT);
  const attributes = whole.readInt16BE(ATTRIBUTES_AT);
  whole.writeInt16BE(attributes & ~CODEC_MASK, ATTRIBUTES_AT);
  return whole;
}

function passed(batch: Buffer, what: string): { readonly records: readonly unknown[] } {
  const first = batch.readBigInt64BE(0);
  const name = codecName(batch.readInt16BE(ATTRIBUTES_AT));
  return {
    records: [
      standIn(
        first + BigInt(batch.readInt32BE(LAST_OFFSET_DELTA_AT)),
        { firstOffset: String(first), reason: `${batch.length} bytes (${name}): ${what}` },
        String(batch.readBigInt64BE(MAX_TIMESTAMP_AT)),
      ),
    ],
  };
}

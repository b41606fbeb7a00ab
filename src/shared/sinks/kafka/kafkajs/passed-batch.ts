/** Fetched batches that this server does not read: what is too much, and what comes in their place. */

import { COMPRESSION_TYPES, type Codec, DECOMPRESSED_MAX } from './compression.js';

/** The library's reader of bytes; it stands where a batch begins. */
export interface Decoder {
  readonly buffer: Buffer;
  offset: number;
}

/** The codec that a batch's or a message's attributes name; null: none. Throws where it is not to be had here. */
export type CodecLookup = (attributes: number) => Pick<Codec, 'decompress'> | null;

/**
 * Records of a batch at the most, and of the batches of a partition in one fetch: the library hands a batch's on as arguments of one call, for
 * more of which the stack has no room, and each record takes hundreds of bytes, however few it has.
 */
export const BATCH_RECORDS_MAX = 100_000;

/** Times its own size that a batch may become where that is more than `DECOMPRESSED_MAX`, as on topics with a high `max.message.bytes`. */
const DECOMPRESSED_TIMES = 32;

/** Bytes that a batch of `length` may become. */
export function unpackedMax(length: number): number {
  return Math.max(DECOMPRESSED_MAX, DECOMPRESSED_TIMES * length);
}

/** Of a batch's or a message's attributes: the codec. */
export const CODEC_MASK = 7;
const MAGIC = 2;

/** Of a record's offset: why its whole batch was passed. */
export interface PassedBatch {
  readonly firstOffset: string;
  readonly reason: string;
}

/** The name of the codec in a batch's or a message's attributes. */
export function codecName(attributes: number): string {
  const codec = attributes & CODEC_MASK;
  return Object.entries(COMPRESSION_TYPES).find(([, number]) => number === codec)?.[0] ?? 'none';
}

/** What comes in place of a batch that is passed: a record without a value at its last offset. */
export function standIn(offset: bigint, passedBatch: PassedBatch, timestamp: string): object {
  return {
    magicByte: MAGIC,
    attributes: 0,
    timestamp,
    offset: String(offset),
    key: null,
    value: null,
    headers: {},
    isControlRecord: false,
    batchContext: { passed: passedBatch },
  };
}

/** Of which batch a fetched message is the stand-in, if of any. */
export function passedBatchOf(message: object): PassedBatch | undefined {
  return (message as { readonly batchContext?: { readonly passed?: PassedBatch } }).batchContext?.passed;
}

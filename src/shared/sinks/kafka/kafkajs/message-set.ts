/**
 * Decodes the formats from before Kafka 0.11 as kafkajs 2.2.4 does, within the bounds of `passed-batch.ts`. A set is messages one behind the
 * other, each with offset and size; a compressed one holds a set of its own, whose offsets count from its first in version 1 and are
 * the log's in version 0 (https://kafka.apache.org/documentation/#messageset).
 */

import { errorMessage } from '../../../errors.js';
import { DECOMPRESSED_MAX, TooLargeError } from './compression.js';
import {
  BATCH_RECORDS_MAX,
  type CodecLookup,
  codecName,
  type Decoder,
  standIn,
  unpackedMax,
} from './passed-batch.js';

/** Offset and size, which every message has before it. */
const ENTRY_HEAD = 12;
// Places within an entry.
const SIZE_AT = 8;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 17;
const REST_AT = 18;
const TIMESTAMP_BYTES = 8;
/** Checksum, version, attributes, and the lengths of key and value. */
const MESSAGE_MIN = 14;
const NO_TIMESTAMP = '-1';

interface Message {
  offset: string;
  readonly magicByte: number;
  readonly attributes: number;
  readonly timestamp?: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Throws RangeError where it is damaged. */
function readMessage(entry: Buffer): Message {
  const magicByte = entry.readInt8(MAGIC_AT);
  if (magicByte !== 0 && magicByte !== 1) throw new RangeError(`no message of version ${magicByte} is known`);
  let at = REST_AT + magicByte * TIMESTAMP_BYTES;
  const readBytes = (): Buffer | null => {
    const length = entry.readInt32BE(at);
    at += 4;
    if (length < 0) return null;
    if (at + length > entry.length) throw new RangeError('it is cut short');
    at += length;
    return entry.subarray(at - length, at);
  };
  return {
    offset: String(entry.readBigInt64BE(0)),
    magicByte,
    attributes: entry.readInt8(ATTRIBUTES_AT),
    ...(magicByte === 1 ? { timestamp: String(entry.readBigInt64BE(REST_AT)) } : {}),
    key: readBytes(),
    value: readBytes(),
  };
}

/** Of what begins as a message does: whether its size is one that a message can have. */
function hasSize(set: Buffer): boolean {
  return set.length < ENTRY_HEAD || set.readInt32BE(SIZE_AT) >= MESSAGE_MIN;
}

/** The whole messages at the beginning of `set`, as they lie there. */
function* entriesOf(set: Buffer): Generator<Buffer> {
  for (let at = 0; at + ENTRY_HEAD <= set.length && hasSize(set.subarray(at)); ) {
    const end = at + ENTRY_HEAD + set.readInt32BE(at + SIZE_AT);
    if (end > set.length) return;
    yield set.subarray(at, end);
    at = end;
  }
}

/** What a compressed message holds. Throws RangeError where it is damaged or too much. */
function unpackedMessages(outer: Message, unpacked: Buffer): Message[] {
  const messages: Message[] = [];
  let bytes = 0;
  for (const entry of entriesOf(unpacked)) {
    if (messages.length === BATCH_RECORDS_MAX) throw new RangeError(`more than ${BATCH_RECORDS_MAX} records`);
    messages.push(readMessage(entry));
    bytes += entry.length;
  }
  const last = messages.at(-1);
  if (last === undefined || bytes !== unpacked.length) throw new RangeError('what is packed is cut short');
  if (outer.magicByte === 0) return messages;
  const base = BigInt(outer.offset) - BigInt(last.offset);
  for (const message of messages) message.offset = String(BigInt(message.offset) + base);
  return messages;
}

/** As the library's decoder of message sets. Rejects where a codec is not to be had here. */
export async function decodeMessageSet(
  decoder: Decoder,
  size: number | null,
  lookup: CodecLookup,
): Promise<readonly object[]> {
  let start = decoder.offset;
  let length = size ?? 0;
  if (length === 0) {
    length = decoder.buffer.readInt32BE(start);
    start += 4;
  }
  decoder.offset = start + length;
  const set = decoder.buffer.subarray(start, start + length);
  const messages: object[] = [];
  const pass = (entry: Buffer, what: string) => {
    const offset = entry.readBigInt64BE(0);
    messages.push(standIn(offset, { firstOffset: String(offset), reason: what }, NO_TIMESTAMP));
  };
  let bytes = 0;
  if (!hasSize(set)) pass(set, 'damaged: a size that no message has');
  for (const entry of entriesOf(set)) {
    // Behind an upgrade of the topic's format come record batches: the next fetch begins with them.
    if (entry.readInt8(MAGIC_AT) > 1) break;
    const attributes = entry.readInt8(ATTRIBUTES_AT);
    const codec = lookup(attributes);
    const room = bytes === 0 ? unpackedMax(entry.length) : DECOMPRESSED_MAX - bytes;
    try {
      const message = readMessage(entry);
      let found = [message];
      if (codec !== null) {
        const unpacked = await codec.decompress(message.value ?? Buffer.alloc(0), room);
        bytes += unpacked.length;
        found = unpackedMessages(message, unpacked);
      }
      // The rest is read with the next fetch.
      if (messages.length > 0 && messages.length + found.length > BATCH_RECORDS_MAX) break;
      messages.push(...found);
    } catch (error) {
      if (error instanceof TooLargeError && bytes > 0) break;
      const what = error instanceof TooLargeError ? error.message : `damaged: ${errorMessage(error)}`;
      pass(entry, `${entry.length} bytes (${codecName(attributes)}): ${what}`);
    }
  }
  return messages;
}

/**
 * A batch of checked messages in one ArrayBuffer, from a checker through main to the publisher, in the order of the raw batch.
 *
 * u32 count; then each message, whole by itself, so that a batch can be cut and joined unopened: u32 length of all of it, u8 outcome, u8 standing, u8 flags,
 * u8 zero, u16 µs that its check took, u16 URL length, u32 fact length; with flag HASH 16 bytes; URL and fact (UTF-8); the entry (`journal/entry.ts`), which
 * alone is stored. Little-endian.
 */

import { decodeEntry, type Entry, type EntryRecord, entryLength, writeEntry } from '../journal/entry.js';
import type { AnnouncedRecord } from '../messages/record.js';
import { standingAt, standingIndex } from './standing.js';
import type { CheckedMessage } from './types.js';

const COUNT_BYTES = 4;
/** The longest time that is told. */
export const MICROS_MAX = 0xffff;
const HEAD_BYTES = 16;
const DIGEST_BYTES = 16;

const PROVEN = 1;
const HASH = 2;

/** A checked message, decoded, with what is stored of it. */
export interface DecodedMessage extends CheckedMessage {
  /** A view into the batch. */
  readonly entry: Uint8Array;
}

interface Planned {
  readonly message: CheckedMessage;
  readonly url: Buffer;
  readonly fact: Buffer;
  readonly length: number;
}

function plan(message: CheckedMessage): Planned {
  const url = Buffer.from(message.record?.dataHubUrl ?? '');
  const fact = Buffer.from(message.fact);
  const hash = message.hashKey === '' ? 0 : DIGEST_BYTES;
  const length = HEAD_BYTES + hash + url.length + fact.length + entryLength(message);
  return { message, url, fact, length };
}

function write({ message, url, fact, length }: Planned, bytes: Buffer, at: number, micros: number): void {
  bytes.writeUInt32LE(length, at);
  bytes[at + 4] = message.outcome;
  bytes[at + 5] = standingIndex(message.standing);
  bytes[at + 6] = (message.proven ? PROVEN : 0) | (message.hashKey === '' ? 0 : HASH);
  bytes[at + 7] = 0;
  bytes.writeUInt16LE(Math.min(Math.round(micros), MICROS_MAX), at + 8);
  bytes.writeUInt16LE(url.length, at + 10);
  bytes.writeUInt32LE(fact.length, at + 12);
  let to = at + HEAD_BYTES;
  to += bytes.write(message.hashKey, to, 'latin1');
  bytes.set(url, to);
  bytes.set(fact, to + url.length);
  writeEntry(message, bytes, to + url.length + fact.length);
}

/**
 * `micros`: what the check of each took, 0 where nothing is said. Throws RangeError where a record's URL is longer than 65,535 bytes, and as `writeEntry`
 * does.
 */
export function encodeCheckedBatch(
  messages: readonly CheckedMessage[],
  micros: readonly number[] = [],
): ArrayBuffer {
  const planned = messages.map(plan);
  const buffer = new ArrayBuffer(planned.reduce((sum, { length }) => sum + length, COUNT_BYTES));
  const bytes = Buffer.from(buffer);
  bytes.writeUInt32LE(messages.length, 0);
  let at = COUNT_BYTES;
  planned.forEach((each, index) => {
    write(each, bytes, at, micros[index] ?? 0);
    at += each.length;
  });
  return buffer;
}

/** The messages of a batch, each by itself, as views into it. Throws RangeError on a batch cut short. */
export function sliceCheckedBatch(batch: ArrayBuffer): Buffer[] {
  const bytes = Buffer.from(batch);
  const count = bytes.readUInt32LE(0);
  const messages: Buffer[] = [];
  let at = COUNT_BYTES;
  for (let index = 0; index < count; index++) {
    const end = at + bytes.readUInt32LE(at);
    if (end < at + HEAD_BYTES || end > bytes.length) throw new RangeError('the batch is cut short');
    messages.push(bytes.subarray(at, end));
    at = end;
  }
  if (at !== bytes.length) throw new RangeError('the batch is longer than its messages');
  return messages;
}

/**
 * A batch of `messages`, which `sliceCheckedBatch` gave, of whatever batches. Where they are all of one and as they were there, that one itself.
 */
export function joinCheckedMessages(messages: readonly Uint8Array[]): ArrayBuffer {
  const whole = wholeBatch(messages);
  if (whole !== undefined) return whole;
  const buffer = new ArrayBuffer(messages.reduce((sum, { length }) => sum + length, COUNT_BYTES));
  const bytes = Buffer.from(buffer);
  bytes.writeUInt32LE(messages.length, 0);
  let at = COUNT_BYTES;
  for (const message of messages) {
    bytes.set(message, at);
    at += message.length;
  }
  return buffer;
}

/** The batch of which `messages` are every one in its order; undefined where they are not. */
function wholeBatch(messages: readonly Uint8Array[]): ArrayBuffer | undefined {
  const [first] = messages;
  if (first === undefined) return undefined;
  const { buffer } = first;
  let at = COUNT_BYTES;
  for (const message of messages) {
    if (message.buffer !== buffer || message.byteOffset !== at) return undefined;
    at += message.length;
  }
  return at === buffer.byteLength ? (buffer as ArrayBuffer) : undefined;
}

/** Index in OUTCOMES of a message that `sliceCheckedBatch` gave. */
export const outcomeOf = (message: Uint8Array): number => message[4] as number;

/** What its check took in µs, at most 65,535. */
export const microsOfMessage = (message: Buffer): number => message.readUInt16LE(8);

/** JSON of a PeerFact that a message of `sliceCheckedBatch` carries; empty where it has none. */
export function factOf(message: Buffer): string {
  const from = factAt(message);
  return message.toString('utf8', from, from + message.readUInt32LE(12));
}

const urlAt = (message: Buffer): number =>
  HEAD_BYTES + (((message[6] as number) & HASH) === 0 ? 0 : DIGEST_BYTES);

const factAt = (message: Buffer): number => urlAt(message) + message.readUInt16LE(10);

/** What is stored of a message of `sliceCheckedBatch`, a view. */
export const entryOf = (message: Buffer): Buffer =>
  message.subarray(factAt(message) + message.readUInt32LE(12));

const announced = ({ topic, hash, key, value }: EntryRecord, url: string): AnnouncedRecord => ({
  topic,
  hash,
  key,
  value,
  dataHubUrl: url,
});

/** A message that `sliceCheckedBatch` gave; its bytes are views. Throws RangeError where its entry is no whole one. */
export function decodeCheckedMessage(message: Buffer): DecodedMessage {
  const url = urlAt(message);
  const fact = factAt(message);
  const entry = entryOf(message);
  const { kind, own, author, receivedAt, repeatKey, header, frame, record }: Entry = decodeEntry(entry);
  // Written out: spreads take four fifths of the time of all of this.
  return {
    kind,
    own,
    author,
    receivedAt,
    repeatKey,
    header,
    frame,
    outcome: outcomeOf(message),
    standing: standingAt(message[5] as number),
    proven: ((message[6] as number) & PROVEN) !== 0,
    hashKey: message.toString('latin1', HEAD_BYTES, url),
    record: record === undefined ? undefined : announced(record, message.toString('utf8', url, fact)),
    fact: factOf(message),
    entry,
  };
}

/** The messages of a batch; their bytes are views into it. Throws RangeError on a batch cut short. */
export const decodeCheckedBatch = (batch: ArrayBuffer): DecodedMessage[] =>
  sliceCheckedBatch(batch).map(decodeCheckedMessage);

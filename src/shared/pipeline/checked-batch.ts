/**
 * A batch of checked messages in one ArrayBuffer, from a checker through main to the publisher, in the order of the raw batch.
 *
 * u32 count; for each u16 µs that its check took; for each: u8 outcome, u8 kind, u8 flags, u8 author length, f64 receivedAt, u32 frame length, u32 fact length,
 * author (ASCII), frame, fact (UTF-8); with flag REPEAT 16 bytes, with flag HASH 16 bytes; with flag RECORD 32 bytes of hash,
 * u16 key length, u16 URL length, u32 value length, key, URL (UTF-8), value. The highest two bits of the flags are the standing.
 * Little-endian.
 */

import { standingAt, standingIndex } from './standing.js';
import type { AnnouncedRecord, CheckedMessage } from './types.js';

const COUNT_BYTES = 4;
const MICROS_BYTES = 2;
/** The longest time that is told. */
export const MICROS_MAX = 0xffff;
const HEAD_BYTES = 20;
const DIGEST_BYTES = 16;
const HASH_BYTES = 32;
const RECORD_HEAD_BYTES = HASH_BYTES + 8;
const FIRST_ROOM = 16 * 1024;

const OWN = 1;
const REPEAT = 2;
const HASH = 4;
const RECORD = 8;
const SUBTREES = 16;
const PROVEN = 32;
const STANDING_SHIFT = 6;

/** Bytes that grow as they are written. */
class Room {
  bytes = Buffer.allocUnsafeSlow(FIRST_ROOM);
  at = 0;

  ensure(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + more));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  latin1(text: string): void {
    this.at += this.bytes.write(text, this.at, 'latin1');
  }

  put(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }
}

function flagsOf(message: CheckedMessage): number {
  let flags = message.own ? OWN : 0;
  if (message.repeatKey !== '') flags |= REPEAT;
  if (message.hashKey !== '') flags |= HASH;
  if (message.proven) flags |= PROVEN;
  if (message.record !== undefined) flags |= RECORD | (message.record.topic === 'subtrees' ? SUBTREES : 0);
  return flags | (standingIndex(message.standing) << STANDING_SHIFT);
}

function writeRecord(room: Room, record: AnnouncedRecord): void {
  const url = Buffer.from(record.url);
  room.ensure(RECORD_HEAD_BYTES + record.key.length + url.length + record.value.length);
  room.put(record.hash);
  room.bytes.writeUInt16LE(record.key.length, room.at);
  room.bytes.writeUInt16LE(url.length, room.at + 2);
  room.bytes.writeUInt32LE(record.value.length, room.at + 4);
  room.at += 8;
  room.put(record.key);
  room.put(url);
  room.put(record.value);
}

function write(room: Room, message: CheckedMessage): void {
  const fact = Buffer.from(message.fact);
  room.ensure(HEAD_BYTES + message.author.length + message.frame.length + fact.length + 2 * DIGEST_BYTES);
  const { bytes, at } = room;
  bytes[at] = message.outcome;
  bytes[at + 1] = message.kind;
  bytes[at + 2] = flagsOf(message);
  bytes.writeUInt8(message.author.length, at + 3);
  bytes.writeDoubleLE(message.receivedAt, at + 4);
  bytes.writeUInt32LE(message.frame.length, at + 12);
  bytes.writeUInt32LE(fact.length, at + 16);
  room.at = at + HEAD_BYTES;
  room.latin1(message.author);
  room.put(message.frame);
  room.put(fact);
  room.latin1(message.repeatKey);
  room.latin1(message.hashKey);
  if (message.record !== undefined) writeRecord(room, message.record);
}

/**
 * `micros`: what the check of each took, 0 where nothing is said. Throws RangeError on an author past 255 characters or a
 * record's URL past 65,535 bytes.
 */
export function encodeCheckedBatch(
  messages: readonly CheckedMessage[],
  micros: readonly number[] = [],
): ArrayBuffer {
  const room = new Room();
  room.ensure(bodyAt(messages.length));
  room.bytes.writeUInt32LE(messages.length, 0);
  messages.forEach((_, index) => {
    const told = Math.min(Math.round(micros[index] ?? 0), MICROS_MAX);
    room.bytes.writeUInt16LE(told, COUNT_BYTES + index * MICROS_BYTES);
  });
  room.at = bodyAt(messages.length);
  for (const message of messages) write(room, message);
  return exact(room.bytes, room.at);
}

/** Where the messages begin. */
function bodyAt(count: number): number {
  return COUNT_BYTES + count * MICROS_BYTES;
}

/** What the check of each message took in µs, without opening the batch. Throws RangeError on a batch cut short. */
export function microsOf(batch: ArrayBuffer): number[] {
  const bytes = Buffer.from(batch);
  const count = bytes.readUInt32LE(0);
  return Array.from({ length: count }, (_, index) => bytes.readUInt16LE(COUNT_BYTES + index * MICROS_BYTES));
}

function exact(bytes: Buffer, length: number): ArrayBuffer {
  const buffer = new ArrayBuffer(length);
  new Uint8Array(buffer).set(bytes.subarray(0, length));
  return buffer;
}

/** One batch of the messages of several, in their order, unopened. */
export function concatCheckedBatches(batches: readonly ArrayBuffer[]): ArrayBuffer {
  const [only] = batches;
  if (batches.length === 1 && only !== undefined) return only;
  const bodies = batches.map((batch) => Buffer.from(batch));
  const count = bodies.reduce((sum, body) => sum + body.readUInt32LE(0), 0);
  const head = Buffer.alloc(COUNT_BYTES);
  head.writeUInt32LE(count);
  const heads = bodies.map((body) => body.subarray(COUNT_BYTES, bodyAt(body.readUInt32LE(0))));
  const whole = Buffer.concat([
    head,
    ...heads,
    ...bodies.map((body) => body.subarray(bodyAt(body.readUInt32LE(0)))),
  ]);
  return exact(whole, whole.length);
}

/** Reads a record that begins at `at`; answers it and where it ends. */
function readRecord(bytes: Buffer, at: number, flags: number): [AnnouncedRecord, number] {
  const keyLength = bytes.readUInt16LE(at + HASH_BYTES);
  const urlLength = bytes.readUInt16LE(at + HASH_BYTES + 2);
  const valueLength = bytes.readUInt32LE(at + HASH_BYTES + 4);
  const keyAt = at + RECORD_HEAD_BYTES;
  const urlAt = keyAt + keyLength;
  const valueAt = urlAt + urlLength;
  const record: AnnouncedRecord = {
    topic: (flags & SUBTREES) === 0 ? 'blocks' : 'subtrees',
    hash: bytes.subarray(at, at + HASH_BYTES),
    key: bytes.subarray(keyAt, urlAt),
    url: bytes.toString('utf8', urlAt, valueAt),
    value: bytes.subarray(valueAt, valueAt + valueLength),
  };
  return [record, valueAt + valueLength];
}

/** The messages of a batch; their bytes are views into it. Throws RangeError on a batch cut short. */
export function decodeCheckedBatch(batch: ArrayBuffer): CheckedMessage[] {
  const bytes = Buffer.from(batch);
  const count = bytes.readUInt32LE(0);
  const messages: CheckedMessage[] = [];
  let at = bodyAt(count);
  for (let index = 0; index < count; index++) {
    const flags = bytes.readUInt8(at + 2);
    const authorAt = at + HEAD_BYTES;
    const frameAt = authorAt + bytes.readUInt8(at + 3);
    const factAt = frameAt + bytes.readUInt32LE(at + 12);
    const repeatAt = factAt + bytes.readUInt32LE(at + 16);
    const hashAt = repeatAt + ((flags & REPEAT) === 0 ? 0 : DIGEST_BYTES);
    let end = hashAt + ((flags & HASH) === 0 ? 0 : DIGEST_BYTES);
    let record: AnnouncedRecord | undefined;
    if ((flags & RECORD) !== 0) [record, end] = readRecord(bytes, end, flags);
    if (end > bytes.length) throw new RangeError('the batch is cut short');
    messages.push({
      outcome: bytes.readUInt8(at),
      kind: bytes.readUInt8(at + 1),
      own: (flags & OWN) !== 0,
      author: bytes.toString('latin1', authorAt, frameAt),
      standing: standingAt(flags >> STANDING_SHIFT),
      proven: (flags & PROVEN) !== 0,
      receivedAt: bytes.readDoubleLE(at + 4),
      repeatKey: bytes.toString('latin1', repeatAt, hashAt),
      hashKey: bytes.toString('latin1', hashAt, hashAt + ((flags & HASH) === 0 ? 0 : DIGEST_BYTES)),
      frame: bytes.subarray(frameAt, factAt),
      record,
      fact: bytes.toString('utf8', factAt, repeatAt),
    });
    at = end;
  }
  return messages;
}

/**
 * Wire of the local stream of entries. A message is its length (u32, little-endian, of what follows), a type byte and a body: control messages are JSON, a batch
 * is f64 position of its first entry, f64 position behind its last, f64 sequence number of its first, and the entries as they stand in the journal. Before a
 * batch, for who has asked for it, come the traces of those in it that are traced.
 */

import { entryLengthAt, flagsOf, type JournalledEntry, kindOf, OWN } from '../journal/entry.js';
import { MAX_BATCH_BYTES } from '../journal/layout.js';
import { NODE_STATUS_ID } from '../messages/ids.js';
import type { TraceParent } from '../tracing/types.js';

export const MESSAGE = { hello: 1, welcome: 2, batch: 3, ownStatus: 4, end: 5, traces: 6 } as const;

/** Bytes of one message at the most; a longer one means that the other end is not ours. */
export const MAX_MESSAGE_BYTES = MAX_BATCH_BYTES + 64;
const HEAD_BYTES = 5;
const NUMBERS_BYTES = 24;

/** The next frame that is wanted: its number, and a position in the journal with no frame between it and that one. */
export interface StreamPosition {
  readonly epoch: string;
  readonly position: number;
  readonly seq: number;
}

/** Notification server → publisher, once. */
export interface Hello {
  readonly version: 2;
  /** What it wants next, if it has had anything. */
  readonly position?: StreamPosition;
  /** It wants to know which frames are traced. */
  readonly traces?: boolean;
}

/** Publisher → notification server, once: from here on it is sent what comes. What is before, it reads in the journal. */
export interface Welcome extends StreamPosition {
  /** Of the journal, absolute. */
  readonly directory: string;
}

/** Publisher → notification server, which could not keep up: what is before this, it reads in the journal. */
export type End = Omit<StreamPosition, 'epoch'>;

/** Publisher → notification server: frames to come that are traced, by sequence number. */
export interface Traces {
  readonly traces: readonly (readonly [seq: number, parent: TraceParent])[];
}

export interface StreamMessage {
  readonly type: number;
  /** A view that lives as long as the chunk it came in. */
  readonly body: Buffer;
}

/** Frames that follow one another. */
export interface StreamBatch {
  readonly entries: readonly JournalledEntry[];
  /** Of the first, and behind the last. */
  readonly position: number;
  readonly end: number;
  readonly seq: number;
}

/** Whether this is the frame with which a client is greeted: the node's own `node_status`. */
export const isOwnStatus = (entry: Uint8Array): boolean =>
  (flagsOf(entry) & OWN) !== 0 && kindOf(entry) === NODE_STATUS_ID;

/** The bytes are not this protocol's. */
export class FrameStreamError extends Error {
  override readonly name = 'FrameStreamError';
}

export function encodeControl(type: number, body: Hello | Welcome | End | Traces): Buffer {
  return encodeMessage(type, [Buffer.from(JSON.stringify(body))]);
}

export function decodeControl<T>(message: StreamMessage): T {
  try {
    return JSON.parse(message.body.toString()) as T;
  } catch {
    throw new FrameStreamError('a control message is not JSON');
  }
}

export function encodeMessage(type: number, parts: readonly Uint8Array[]): Buffer {
  let length = HEAD_BYTES;
  for (const part of parts) length += part.length;
  const message = Buffer.allocUnsafe(length);
  message.writeUInt32LE(length - 4, 0);
  message[4] = type;
  let at = HEAD_BYTES;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** A batch of `entries`, each with a frame, in order, at least one. */
export function encodeBatch(entries: readonly JournalledEntry[]): Buffer {
  const numbers = Buffer.allocUnsafe(NUMBERS_BYTES);
  numbers.writeDoubleLE(entries[0]?.position ?? 0, 0);
  numbers.writeDoubleLE((entries.at(-1)?.position ?? -1) + 1, 8);
  numbers.writeDoubleLE(entries[0]?.seq ?? 0, 16);
  return encodeMessage(MESSAGE.batch, [numbers, ...entries.map(({ bytes }) => bytes)]);
}

/** Throws FrameStreamError where the body is no batch. */
export function decodeBatch({ body }: StreamMessage): StreamBatch {
  try {
    const [position, end, seq] = [body.readDoubleLE(0), body.readDoubleLE(8), body.readDoubleLE(16)];
    const entries: JournalledEntry[] = [];
    for (let at = NUMBERS_BYTES; at < body.length; ) {
      const length = entryLengthAt(body, at);
      if (at + length > body.length) throw new RangeError('an entry is cut short');
      // Where there are others without a frame between them, it is not known where each stands: a batch is read from its beginning.
      entries.push({ position, seq: seq + entries.length, bytes: body.subarray(at, at + length) });
      at += length;
    }
    return {
      entries: end - position === entries.length ? inTheirPlaces(entries) : entries,
      position,
      end,
      seq,
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FrameStreamError(`a batch is damaged: ${error.message}`);
  }
}

/** Entries that follow one another, of which the first has its position. */
const inTheirPlaces = (entries: readonly JournalledEntry[]): JournalledEntry[] =>
  entries.map((entry, index) => ({ ...entry, position: entry.position + index }));

/** A message of at least one byte, without its length. */
export function streamMessage(bytes: Buffer): StreamMessage {
  return { type: bytes.readUInt8(0), body: bytes.subarray(1) };
}

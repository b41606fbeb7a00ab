/**
 * Wire of the local frame stream. A message is its length (4 bytes, big-endian, of what follows), a type byte and a body:
 * control messages are JSON, frames are binary so that the JSON inside is passed on untouched.
 */

import type { Frame } from './types.js';

/** Bytes of one message at the most; a longer one means that the other end is not ours. */
export const MAX_MESSAGE_BYTES = 1_048_576;

export const MESSAGE = { hello: 1, welcome: 2, frame: 3, ownStatus: 4, gap: 5 } as const;

/** Notification server → publisher, once: the last frame it has, if any. */
export interface Hello {
  readonly version: 1;
  readonly position?: StreamPosition;
}

export interface StreamPosition {
  readonly epoch: string;
  readonly seq: number;
}

/** Publisher → notification server, once. */
export interface Welcome {
  readonly epoch: string;
  /** `seq` of the frame that follows. */
  readonly next: number;
  /** The position asked for is gone: frames were missed. */
  readonly gap: boolean;
}

/** Publisher → notification server: it fell further behind than the ring reaches. */
export interface Gap {
  readonly next: number;
}

export interface StreamMessage {
  readonly type: number;
  /** A view that lives as long as the chunk it came in. */
  readonly body: Buffer;
}

/** The bytes are not this protocol's. */
export class FrameStreamError extends Error {
  override readonly name = 'FrameStreamError';
}

const FRAME_HEADER = 5 + 18;

export function encodeControl(type: number, body: Hello | Welcome | Gap): Buffer {
  const json = Buffer.from(JSON.stringify(body));
  const message = Buffer.allocUnsafe(5 + json.length);
  message.writeUInt32BE(1 + json.length, 0);
  message[4] = type;
  json.copy(message, 5);
  return message;
}

export function decodeControl<T>(message: StreamMessage): T {
  try {
    return JSON.parse(message.body.toString()) as T;
  } catch {
    throw new FrameStreamError('a control message is not JSON');
  }
}

/** Bytes of `frame` on the wire. */
export function encodedLength(frame: Frame): number {
  return FRAME_HEADER + frame.json.length;
}

/** Writes `frame` at `offset` and returns the offset behind it. */
export function encodeFrame(type: number, frame: Frame, into: Buffer, offset: number): number {
  into.writeUInt32BE(FRAME_HEADER - 4 + frame.json.length, offset);
  into[offset + 4] = type;
  into.writeDoubleBE(frame.seq, offset + 5);
  into.writeDoubleBE(frame.receivedAt, offset + 13);
  into[offset + 21] = frame.kind;
  into[offset + 22] = frame.own ? 1 : 0;
  into.set(frame.json, offset + FRAME_HEADER);
  return offset + FRAME_HEADER + frame.json.length;
}

/** Throws FrameStreamError on a body that is too short. */
export function decodeFrame({ body }: StreamMessage): Frame {
  if (body.length < 18) throw new FrameStreamError('a frame is cut short');
  return {
    seq: body.readDoubleBE(0),
    receivedAt: body.readDoubleBE(8),
    kind: body.readUInt8(16),
    own: body.readUInt8(17) === 1,
    json: body.subarray(18),
  };
}

/** Cuts a byte stream into messages. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly maxBytes: number = MAX_MESSAGE_BYTES) {}

  /** The messages completed by `chunk`. Throws FrameStreamError on a length out of bounds; the stream is then useless. */
  *read(chunk: Buffer): Generator<StreamMessage> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0);
      if (length < 1 || length > this.maxBytes) throw new FrameStreamError(`a message of ${length} bytes`);
      if (bytes.length < 4 + length) break;
      yield { type: bytes.readUInt8(4), body: bytes.subarray(5, 4 + length) };
      bytes = bytes.subarray(4 + length);
    }
    this.#rest = bytes;
  }
}

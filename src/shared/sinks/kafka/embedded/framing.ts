/**
 * Messages between the embedded broker and those that use it, over a local stream socket: the length of what follows
 * (32-bit little-endian), a number that pairs an answer with its request (32-bit), the length of a JSON header
 * (32-bit), the header, and then bytes: the records. Nothing here is for another machine.
 */

import type { Socket } from 'node:net';
import { LengthPrefixedReader } from '../../../ipc/length-prefixed.js';

/** Longest message either side takes. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

export interface BrokerMessage {
  readonly id: number;
  readonly header: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

const EMPTY = Buffer.alloc(0);

/** Writes a message. False when the socket asks to wait for `drain`. Throws RangeError above the bound. */
export function writeMessage(
  socket: Socket,
  id: number,
  header: Readonly<Record<string, unknown>>,
  body: Uint8Array = EMPTY,
): boolean {
  const json = Buffer.from(JSON.stringify(header));
  const length = 8 + json.length + body.length;
  if (length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`a message of ${length} bytes; at most ${MAX_MESSAGE_BYTES}`);
  }
  const head = Buffer.allocUnsafe(12 + json.length);
  head.writeUInt32LE(length, 0);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(json.length, 8);
  head.set(json, 12);
  socket.cork();
  socket.write(head);
  const flowing = body.length === 0 || socket.write(body);
  socket.uncork();
  return flowing;
}

/** Puts the pieces that a socket gives together to messages. */
export class MessageReader {
  readonly #reader = new LengthPrefixedReader({ minBytes: 8, maxBytes: MAX_MESSAGE_BYTES });

  /** The messages complete with `piece`. Throws RangeError when what came is no message or too long a one. */
  push(piece: Buffer): BrokerMessage[] {
    return Array.from(this.#reader.read(piece), messageOf);
  }
}

function messageOf(bytes: Buffer): BrokerMessage {
  const headerEnd = 8 + bytes.readUInt32LE(4);
  if (headerEnd > bytes.length) throw new RangeError('a header longer than its message');
  const header: unknown = JSON.parse(bytes.toString('utf8', 8, headerEnd));
  if (typeof header !== 'object' || header === null) throw new RangeError('a header that is no object');
  return {
    id: bytes.readUInt32LE(0),
    header: header as Record<string, unknown>,
    body: bytes.subarray(headerEnd),
  };
}

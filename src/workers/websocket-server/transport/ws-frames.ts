/** A server's messages as RFC 6455, section 5.2, puts them on the wire: each in one unmasked frame. */

const TEXT = 0x81;
const BINARY = 0x82;
/** Bytes of a frame's head at the most. */
const MAX_HEAD = 10;

const headOf = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : MAX_HEAD);

/** Writes a frame at `at`; returns where the next one begins. */
function writeFrame(into: Buffer, at: number, first: number, payload: Uint8Array): number {
  const { length } = payload;
  const head = headOf(length);
  into[at] = first;
  if (head === 2) into[at + 1] = length;
  else if (head === 4) {
    into[at + 1] = 126;
    into.writeUInt16BE(length, at + 2);
  } else {
    into[at + 1] = 127;
    into.writeBigUInt64BE(BigInt(length), at + 2);
  }
  into.set(payload, at + head);
  return at + head + length;
}

/** One message, text unless `binary`. */
export function frameOf(message: string | Uint8Array, binary = false): Buffer {
  const payload = typeof message === 'string' ? Buffer.from(message) : message;
  const frame = Buffer.allocUnsafe(headOf(payload.length) + payload.length);
  writeFrame(frame, 0, binary ? BINARY : TEXT, payload);
  return frame;
}

/** Text messages, one frame behind the other. */
export function framesOf(messages: readonly Uint8Array[]): Buffer {
  const bytes = messages.reduce((sum, { length }) => sum + headOf(length) + length, 0);
  const frames = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const message of messages) at = writeFrame(frames, at, TEXT, message);
  return frames;
}

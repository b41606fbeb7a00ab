/** What comes to a consumer, counted: frames of the feed by their first bytes, whatever they are wrapped in. */

import { gunzipSync } from 'node:zlib';

const LF = 0x0a;
/** A frame of the feed begins with `{"timestamp"`, what the server says of itself with `{"type"`, as do the frames of P2 with `{"type":"block"`. */
const FOURTH = 'i'.charCodeAt(0);
const BLOCK = 'b'.charCodeAt(0);

/** Frames of the feed in lines. */
function framesIn(text: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; ) {
    if (text[at + 3] === FOURTH || text[at + 9] === BLOCK) count++;
    const end = text.indexOf(LF, at);
    if (end === -1 || end >= to) break;
    at = end + 1;
  }
  return count;
}

/** Takes what a connection brings, in pieces; returns the frames that became whole. */
export type Parser = (chunk: Buffer) => number;

/** The same compressed bytes go to many: each is read once. */
const UNPACKED = new Map<string, number>();
const MAX_UNPACKED = 4096;

function packedFrames(message: Buffer): number {
  // The checksum and the length of what is in it, and its own.
  const key = `${message.length} ${message.toString('latin1', message.length - 8)}`;
  const known = UNPACKED.get(key);
  if (known !== undefined) return known;
  const text = gunzipSync(message);
  const count = framesIn(text, 0, text.length);
  if (UNPACKED.size >= MAX_UNPACKED) UNPACKED.clear();
  UNPACKED.set(key, count);
  return count;
}

/** Messages of a WebSocket, unmasked and in one frame each. */
export function webSocketParser(): Parser {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let [count, at] = [0, 0];
    while (at + 2 <= bytes.length) {
      const short = Number(bytes[at + 1]);
      let start = at + 2;
      let length = short;
      if (short === 126) {
        if (at + 4 > bytes.length) break;
        length = bytes.readUInt16BE(at + 2);
        start = at + 4;
      } else if (short === 127) {
        if (at + 10 > bytes.length) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      const end = start + length;
      if (end > bytes.length) break;
      if (bytes[at] === 0x81) count += framesIn(bytes, start, end);
      else if (bytes[at] === 0x82) count += packedFrames(bytes.subarray(start, end));
      at = end;
    }
    rest = bytes.subarray(at);
    return count;
  };
}

const DATA = Buffer.from('data: {"t');

/** Events of an answer; the chunks that it comes in are skipped, for no line of an event looks like their heads. */
export function eventParser(): Parser {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let count = 0;
    let from = 0;
    for (let at = bytes.indexOf(DATA); at !== -1; at = bytes.indexOf(DATA, from)) {
      const end = bytes.indexOf(LF, at);
      if (end === -1) break;
      if (bytes[at + DATA.length] === FOURTH) count++;
      from = end + 1;
    }
    const kept = bytes.lastIndexOf(LF) + 1;
    rest = bytes.subarray(Math.max(from, kept));
    return count;
  };
}

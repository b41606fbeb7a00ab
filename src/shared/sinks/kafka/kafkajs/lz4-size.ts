/** How large what an LZ4 frame holds is, from its sequences' lengths, without unpacking it (LZ4 frame and block formats 1.6). */

const MAGIC = 0x184d2204;
const MAGIC_BYTES = 4;
const BLOCK_CHECKSUMS = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY_ID = 0x01;
const CHECKSUM_BYTES = 4;
const STORED = 0x8000_0000;
/** Of a sequence's two lengths, the one at which more bytes follow; a match is this much longer than its length says. */
const LONGER = 15;
const MATCH_MIN = 4;
const OFFSET_BYTES = 2;

/** Bytes that `frames`, one behind the other, unpack to. Throws RangeError on anything else, and where they are cut short. */
export function lz4Size(frames: Buffer): number {
  let size = 0;
  for (let at = 0; at < frames.length; ) {
    const [frameSize, end] = frameAt(frames, at);
    size += frameSize;
    at = end;
  }
  return size;
}

/** What the frame at `at` unpacks to, and where it ends. */
function frameAt(bytes: Buffer, at: number): [size: number, end: number] {
  if (bytes.readUInt32LE(at) !== MAGIC) throw new RangeError('no LZ4 frame');
  const flags = bytes.readUInt8(at + MAGIC_BYTES);
  const has = (flag: number) => (flags & flag) !== 0;
  const checksum = has(BLOCK_CHECKSUMS) ? CHECKSUM_BYTES : 0;
  // The two bytes of the descriptor, and the checksum behind what may be between.
  let next = at + MAGIC_BYTES + 2 + (has(CONTENT_SIZE) ? 8 : 0) + (has(DICTIONARY_ID) ? 4 : 0) + 1;
  let size = 0;
  for (;;) {
    const head = bytes.readUInt32LE(next);
    next += 4;
    if (head === 0) return [size, next + (has(CONTENT_CHECKSUM) ? CHECKSUM_BYTES : 0)];
    const length = head & ~STORED;
    const block = bytes.subarray(next, next + length);
    if (block.length < length) throw new RangeError('an LZ4 block is cut short');
    size += (head & STORED) === 0 ? blockSize(block) : length;
    next += length + checksum;
  }
}

/** What a block of sequences unpacks to: literals, then a match, but for the last, which is literals alone. */
function blockSize(block: Buffer): number {
  let size = 0;
  let at = 0;
  /** `short`, and the bytes that follow where it says so. */
  const lengthOf = (short: number): number => {
    let length = short;
    if (short < LONGER) return length;
    for (;;) {
      const more = block.readUInt8(at++);
      length += more;
      if (more < 0xff) return length;
    }
  };
  while (at < block.length) {
    const token = block.readUInt8(at++);
    const literals = lengthOf(token >> 4);
    at += literals;
    size += literals;
    if (at >= block.length) break;
    at += OFFSET_BYTES;
    size += lengthOf(token & LONGER) + MATCH_MIN;
  }
  return size;
}

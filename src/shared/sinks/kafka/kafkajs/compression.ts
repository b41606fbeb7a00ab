/** Codecs of Kafka's record batches: what `p2p_kafka_compression` names, and what other producers' records may need. */

import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { errorMessage } from '../../../errors.js';
import { lz4Size } from './lz4-size.js';

export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Kafka's numbers. */
export const COMPRESSION_TYPES: Readonly<Record<CompressionName, number>> = {
  none: 0,
  gzip: 1,
  snappy: 2,
  lz4: 3,
  zstd: 4,
};

/** Bytes that what is unpacked has at the most: over sixty times the batch that a broker takes by default. */
export const DECOMPRESSED_MAX = 64 * 1024 * 1024;

/** Unpacked it would be larger than its bound. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';

  constructor(bound: number) {
    super(`more than ${bound} bytes when unpacked`);
  }
}

/** As kafkajs wants one. */
export interface Codec {
  compress(records: { readonly buffer: Buffer }): Promise<Buffer>;
  /** Rejects with TooLargeError past `bound` bytes, `DECOMPRESSED_MAX` unless told, without holding more than that. */
  decompress(bytes: Buffer, bound?: number): Promise<Buffer>;
}

type Transform = (bytes: Buffer) => Promise<Buffer>;

interface Packer {
  readonly pack: Transform;
  readonly unpack: (bytes: Buffer, bound: number) => Promise<Buffer>;
}

type Done = (error: Error | null, result: Buffer) => void;

/** In Node since 22.15 and 23.8. */
interface ZstdOfNewerNode {
  readonly zstdCompress?: (bytes: Buffer, done: Done) => void;
  readonly zstdDecompress?: (bytes: Buffer, options: { maxOutputLength: number }, done: Done) => void;
}

const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip);
const unzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.unzip);
/** Announcements shrink to a fifth with any level, in half the time with the first. */
const GZIP_LEVEL = 1;
/** Below that another thread takes longer to be asked than the work does. */
const SYNC_BYTES = 65_536;

const PACKERS: Readonly<Record<Exclude<CompressionName, 'none'>, () => Packer>> = {
  gzip: () => ({
    pack: (bytes) => gzip(bytes, { level: GZIP_LEVEL }),
    unpack: (bytes, bound) => withinZlib(bound, (maxOutputLength) => unzip(bytes, { maxOutputLength })),
  }),
  snappy: () => {
    const snappy = load<typeof import('snappy')>('snappy');
    return {
      pack: async (bytes) =>
        bytes.length < SYNC_BYTES ? snappy.compressSync(bytes) : snappy.compress(bytes),
      unpack: (bytes, bound) =>
        unpackSnappy(bytes, bound, async (block) => (await snappy.uncompress(block)) as Buffer),
    };
  },
  lz4: () => {
    const lz4 = load<typeof import('lz4-napi')>('lz4-napi');
    return {
      pack: async (bytes) =>
        bytes.length < SYNC_BYTES ? lz4.compressFrameSync(bytes) : lz4.compressFrame(bytes),
      unpack: async (bytes, bound) => {
        if (lz4Size(bytes) > bound) throw new TooLargeError(bound);
        return lz4.decompressFrame(bytes);
      },
    };
  },
  zstd: () => {
    const { zstdCompress, zstdDecompress } = zlib as typeof zlib & ZstdOfNewerNode;
    if (zstdCompress === undefined || zstdDecompress === undefined) {
      throw new Error(`zstd needs Node 22.15, 23.8 or newer; this is ${process.version}`);
    }
    const unpack = promisify(zstdDecompress);
    return {
      pack: promisify(zstdCompress),
      unpack: (bytes, bound) => withinZlib(bound, (maxOutputLength) => unpack(bytes, { maxOutputLength })),
    };
  },
};

/** Node's own unpackers stop at their bound with an error of this code. */
async function withinZlib(bound: number, unpack: (bound: number) => Promise<Buffer>): Promise<Buffer> {
  try {
    return await unpack(bound);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new TooLargeError(bound);
    throw error;
  }
}

/** Loaded when first needed: they are native, and nothing else hangs on them. */
function load<T>(name: string): T {
  return createRequire(import.meta.url)(name) as T;
}

/** The stream of snappy-java, which Java's clients write: this head, two versions, then blocks behind their lengths. */
const SNAPPY_JAVA = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const SNAPPY_JAVA_HEAD = 16;

/** What a block of snappy unpacks to: the number at its beginning, in groups of seven bits. Throws RangeError when cut short. */
function snappySize(block: Buffer): number {
  let size = 0;
  for (let at = 0; ; at++) {
    const byte = block.readUInt8(at);
    size += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return size;
  }
}

/** Throws RangeError when a block is cut short. */
async function unpackSnappy(bytes: Buffer, bound: number, unpack: Transform): Promise<Buffer> {
  let left = bound;
  const unpackBlock = (block: Buffer): Promise<Buffer> => {
    left -= snappySize(block);
    if (left < 0) throw new TooLargeError(bound);
    return unpack(block);
  };
  if (!bytes.subarray(0, SNAPPY_JAVA.length).equals(SNAPPY_JAVA)) return unpackBlock(bytes);
  const blocks: Buffer[] = [];
  for (let at = SNAPPY_JAVA_HEAD; at < bytes.length; ) {
    const start = at + 4;
    const end = start + bytes.readInt32BE(at);
    if (end <= start || end > bytes.length) throw new RangeError('a block of snappy-java is cut short');
    blocks.push(await unpackBlock(bytes.subarray(start, end)));
    at = end;
  }
  return Buffer.concat(blocks);
}

/** Codecs by Kafka's number, each loaded when first used; that throws when this system has none. */
export function compressionCodecs(): Record<number, () => Codec> {
  const codecs: Record<number, () => Codec> = {};
  for (const name of Object.keys(PACKERS) as (keyof typeof PACKERS)[]) {
    let codec: Codec | undefined;
    codecs[COMPRESSION_TYPES[name]] = () => {
      if (codec === undefined) {
        const { pack, unpack } = PACKERS[name]();
        codec = {
          compress: ({ buffer }) => pack(buffer),
          decompress: (packed, bound = DECOMPRESSED_MAX) => unpack(packed, Math.max(bound, 1)),
        };
      }
      return codec;
    };
  }
  return codecs;
}

/** Why records cannot be compressed with `name` here; undefined when they can. */
export function compressionProblem(name: CompressionName): string | undefined {
  if (name === 'none') return undefined;
  try {
    PACKERS[name]();
    return undefined;
  } catch (error) {
    return `${name} is not to be had on this system: ${errorMessage(error)}`;
  }
}

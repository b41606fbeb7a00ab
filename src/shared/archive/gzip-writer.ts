/**
 * Lines of text into a file that is one gzip member (RFC 1952), as many decoders read no second one. It is made of chunks of whole lines, each of which ends on a byte and
 * refers to nothing before it (a full flush of zlib's), so that a raw inflate can begin with any.
 */

import { createHash } from 'node:crypto';
import { constants, deflateRawSync } from 'node:zlib';
import { crc32, crc32c } from '../crc32.js';
import { type FileCalls, writeAll } from '../journal/files.js';
import type { ArchiveChunk, ArchiveMetadata } from './segment.js';

/** Of text a chunk has, and the line beyond it. */
const CHUNK_BYTES = 262_144;
/** What costs a sixth more takes three times as long. */
const LEVEL = 6;
const NEWLINE = Buffer.from('\n');
/** Deflate, no further field, no time, a system that is not told. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** The last block of a deflate stream, with nothing in it. */
const END = deflateRawSync('');

export class GzipWriter {
  readonly #files: FileCalls;
  readonly #fd: number;
  readonly #sha256 = createHash('sha256');
  readonly #plainSha256 = createHash('sha256');
  readonly #chunks: ArchiveChunk[] = [];
  #bytes = 0;
  #plainBytes = 0;
  #crc32 = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  /** Into a new file that is open as `fd`. */
  constructor(files: FileCalls, fd: number) {
    this.#files = files;
    this.#fd = fd;
  }

  /** Adds a line; true where a chunk is full, which `flush` is to write. */
  add(line: Uint8Array): boolean {
    this.#waiting.push(line, NEWLINE);
    this.#waitingBytes += line.length + 1;
    return this.#waitingBytes >= CHUNK_BYTES;
  }

  /** Writes the lines that wait as a chunk. Throws what the file system throws. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#begin();
    const plain = Buffer.concat(this.#waiting);
    const packed = deflateRawSync(plain, { level: LEVEL, finishFlush: constants.Z_FULL_FLUSH });
    this.#chunks.push({
      offset: this.#bytes,
      bytes: packed.length,
      crc32c: crc32c(packed),
      plainOffset: this.#plainBytes,
    });
    this.#write(packed);
    this.#plainSha256.update(plain);
    this.#crc32 = crc32(plain, this.#crc32);
    this.#plainBytes += plain.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Writes what waits, and has the disk take it all. Throws what the file system throws. */
  end(): Pick<ArchiveMetadata, 'bytes' | 'sha256' | 'plainBytes' | 'plainSha256' | 'chunks'> {
    this.flush();
    this.#begin();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc32, 0);
    trailer.writeUInt32LE(this.#plainBytes % 2 ** 32, 4);
    this.#write(Buffer.concat([END, trailer]));
    this.#files.sync(this.#fd);
    return {
      bytes: this.#bytes,
      sha256: this.#sha256.digest('hex'),
      plainBytes: this.#plainBytes,
      plainSha256: this.#plainSha256.digest('hex'),
      chunks: this.#chunks,
    };
  }

  #begin(): void {
    if (this.#bytes === 0) this.#write(HEADER);
  }

  #write(bytes: Buffer): void {
    writeAll(this.#files, this.#fd, bytes, bytes.length, this.#bytes);
    this.#sha256.update(bytes);
    this.#bytes += bytes.length;
  }
}

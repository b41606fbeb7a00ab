/** Sends a file, or a part of it, to one client, at the client's speed. */

import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createInflateRaw } from 'node:zlib';
import { crc32c } from '../../../shared/crc32.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Range } from '../http/range.js';
import type { PacedAnswer } from './paced-answer.js';

const { chunkBytes } = QUEUES.transfers.bounds;

const readFile = promisify(read);

class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

/** Bytes of a file that are read one after the other. */
interface FilePiece {
  readonly bytes: Range;
  /** Of them; not compared unless told. */
  readonly sha256?: string;
  readonly crc32c?: number;
}

export interface FilePart {
  readonly fd: number;
  readonly pieces: readonly FilePiece[];
  /** Undefined: they go out as they are. Else they are deflated, and of their content this goes out. */
  readonly plain: Range | undefined;
}

/** Resolves when all was written, or the client is gone. Rejects with DamagedFileError where the file is not as it was, or what reading throws: then not all was written. */
export async function transfer(part: FilePart, out: PacedAnswer): Promise<void> {
  // The last of it waits until all of it is known to be right.
  let held: Uint8Array | undefined;
  for await (const chunk of contentOf(part)) {
    if (held !== undefined) await out.write(held);
    if (out.over) return;
    held = chunk;
  }
  if (held !== undefined) await out.write(held);
}

function contentOf({ fd, pieces, plain }: FilePart): AsyncGenerator<Uint8Array> {
  const stored = storedBytes(fd, pieces);
  return plain === undefined ? stored : slice(inflated(stored), plain);
}

/** Throws DamagedFileError where a piece is not as it was, once all of it is read. */
async function* storedBytes(fd: number, pieces: readonly FilePiece[]): AsyncGenerator<Uint8Array> {
  for (const { bytes, sha256, crc32c: wanted } of pieces) {
    const hash = sha256 === undefined ? undefined : createHash('sha256');
    let crc = wanted === undefined ? undefined : 0;
    for (let at = bytes.from; at < bytes.to; ) {
      const length = Math.min(chunkBytes, bytes.to - at);
      const { bytesRead, buffer } = await readFile(fd, Buffer.allocUnsafeSlow(length), 0, length, at);
      if (bytesRead === 0) throw new DamagedFileError('the file is shorter than it was');
      const chunk = buffer.subarray(0, bytesRead);
      hash?.update(chunk);
      if (crc !== undefined) crc = crc32c(chunk, 0, chunk.length, crc);
      yield chunk;
      at += bytesRead;
    }
    if (hash?.digest('hex') !== sha256 || crc !== wanted)
      throw new DamagedFileError('the file is not what it was');
  }
}

async function* inflated(stored: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(stored, { highWaterMark: 1 });
  // What is read need not have the stream's end.
  const inflate = createInflateRaw({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH });
  const closed = new Promise((resolve) => source.once('close', resolve));
  source.on('error', (error) => inflate.destroy(error));
  source.pipe(inflate);
  try {
    for await (const chunk of inflate) yield chunk as Uint8Array;
  } finally {
    // Nobody closes the file while it is read.
    source.destroy();
    await closed;
  }
}

/** The part `from` to before `to` of what comes. Throws DamagedFileError where less does. */
async function* slice(all: AsyncGenerator<Uint8Array>, { from, to }: Range): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of all) {
    const begin = Math.max(0, from - at);
    const end = Math.min(chunk.length, to - at);
    if (end > begin) yield chunk.subarray(begin, end);
    at += chunk.length;
  }
  if (at < to) throw new DamagedFileError('the file has less in it than it had');
}

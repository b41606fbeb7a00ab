/** Sends a file, or a part of it, to one client, at the client's speed. */

import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { QUEUES } from '../../../shared/queues.js';
import type { Range } from '../http/range.js';
import type { PacedAnswer } from './paced-answer.js';

const { chunkBytes } = QUEUES.transfers.bounds;

const readFile = promisify(read);

class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

export interface FilePart {
  readonly fd: number;
  /** Of the file. */
  readonly bytes: Range;
  /** Undefined: they go out as they are. Else they are whole gzip members, of whose content this goes out. */
  readonly plain: Range | undefined;
  /** Hex SHA-256 of the bytes; empty: not compared. */
  readonly sha256: string;
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

async function* contentOf({ fd, bytes, plain, sha256 }: FilePart): AsyncGenerator<Uint8Array> {
  const hash = sha256 === '' ? undefined : createHash('sha256');
  const stored = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = bytes.from; at < bytes.to; ) {
      const length = Math.min(chunkBytes, bytes.to - at);
      const { bytesRead, buffer } = await readFile(fd, Buffer.allocUnsafeSlow(length), 0, length, at);
      if (bytesRead === 0) throw new DamagedFileError('the file is shorter than it was');
      const chunk = buffer.subarray(0, bytesRead);
      hash?.update(chunk);
      yield chunk;
      at += bytesRead;
    }
  };
  if (plain === undefined) yield* stored();
  else yield* slice(unpacked(stored()), plain);
  if (hash !== undefined && hash.digest('hex') !== sha256)
    throw new DamagedFileError('the file is not what it was');
}

async function* unpacked(stored: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(stored, { highWaterMark: 1 });
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  const closed = new Promise((resolve) => source.once('close', resolve));
  source.on('error', (error) => gunzip.destroy(error));
  source.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk as Uint8Array;
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

/**
 * A value with a checksum before it: the first 8 bytes of its SHA-256. LevelDB does not compare its own checksums when it
 * reads, and a damaged value may well decode.
 */

import { createHash } from 'node:crypto';

const SEAL_BYTES = 8;

const checksum = (body: Uint8Array): Buffer =>
  createHash('sha256').update(body).digest().subarray(0, SEAL_BYTES);

export const seal = (body: Uint8Array): Buffer => Buffer.concat([checksum(body), body]);

/** What `read` gives; undefined when it throws RangeError, as of a damaged value. */
export function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A view of what was sealed. Throws RangeError when it is another than that. */
export function unseal(bytes: Buffer): Buffer {
  const body = bytes.subarray(SEAL_BYTES);
  if (bytes.length < SEAL_BYTES || checksum(body).compare(bytes, 0, SEAL_BYTES) !== 0) {
    throw new RangeError('a value of the outbox has a wrong checksum');
  }
  return body;
}

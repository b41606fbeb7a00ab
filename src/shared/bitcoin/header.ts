/** Block headers: the 80 bytes, their hash, the compact target and the work behind it. Pure. */

import { doubleSha256, type HashHex, hashFromBytes, hashToBytes } from './hash.js';

/** Bytes of a serialised header. */
export const HEADER_LENGTH = 80;

/** A header's six fields. Numbers are unsigned 32-bit, except `version`, which is signed. */
export interface BlockHeader {
  readonly version: number;
  readonly previousHash: HashHex;
  readonly merkleRoot: HashHex;
  /** Unix seconds. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  readonly nonce: number;
}

/** Reads 80 bytes. Throws RangeError on another length. */
export function parseHeader(bytes: Uint8Array): BlockHeader {
  if (bytes.length !== HEADER_LENGTH) {
    throw new RangeError(`a block header has ${HEADER_LENGTH} bytes, not ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    version: view.getInt32(0, true),
    previousHash: hashFromBytes(bytes.subarray(4, 36)),
    merkleRoot: hashFromBytes(bytes.subarray(36, 68)),
    time: view.getUint32(68, true),
    bits: view.getUint32(72, true),
    nonce: view.getUint32(76, true),
  };
}

/** The 80 bytes of a header. */
export function serialiseHeader(header: BlockHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, header.version, true);
  bytes.set(hashToBytes(header.previousHash), 4);
  bytes.set(hashToBytes(header.merkleRoot), 36);
  view.setUint32(68, header.time, true);
  view.setUint32(72, header.bits, true);
  view.setUint32(76, header.nonce, true);
  return bytes;
}

/** Display-order hash of 80 header bytes. */
export function headerHash(bytes: Uint8Array): HashHex {
  return hashFromBytes(doubleSha256(bytes));
}

/**
 * The target that a compact form stands for: three bytes of mantissa, one of exponent, base 256. 0n for one that is
 * negative, zero or above 256 bits: no hash meets it.
 */
export function targetOfBits(bits: number): bigint {
  const exponent = bits >>> 24;
  const mantissa = bits & 0x7fffff;
  if ((bits & 0x800000) !== 0 || mantissa === 0) return 0n;
  const target =
    exponent <= 3
      ? BigInt(mantissa >>> (8 * (3 - exponent)))
      : BigInt(mantissa) << BigInt(8 * (exponent - 3));
  return target < 1n << 256n ? target : 0n;
}

/** Hashes that meeting `target` takes on average; 0n for a target of 0n. */
export function workOfTarget(target: bigint): bigint {
  return target <= 0n ? 0n : (1n << 256n) / (target + 1n);
}

/** Whether a display-order hash, read as a number, is at or below `target`. */
export function meetsTarget(hash: HashHex, target: bigint): boolean {
  return target > 0n && BigInt(`0x${hash}`) <= target;
}

/** Chain work as 32 big-endian bytes. */
export function workToBytes(work: bigint): Uint8Array {
  return Buffer.from(work.toString(16).padStart(64, '0'), 'hex');
}

/** Chain work from big-endian bytes of any length. */
export function workFromBytes(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

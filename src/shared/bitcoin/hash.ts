/** Block, subtree and transaction hashes in their two forms. */

import { createHash, hash as oneShotHash } from 'node:crypto';

declare const display: unique symbol;

/** 64 lower-case hex digits, display order (the reverse of the internal bytes). */
export type HashHex = string & { readonly [display]: true };

const HASH_HEX = /^[0-9a-fA-F]{64}$/;

/** `text` as a hash in lower case, or `undefined` when it is not 64 hex digits. */
export function parseHashHex(text: string): HashHex | undefined {
  return HASH_HEX.test(text) ? (text.toLowerCase() as HashHex) : undefined;
}

/** The 32 bytes in internal order. */
export function hashToBytes(hash: HashHex): Uint8Array {
  return Buffer.from(hash, 'hex').reverse();
}

/** Display form of 32 bytes in internal order. Throws RangeError on another length. */
export function hashFromBytes(bytes: Uint8Array): HashHex {
  if (bytes.length !== 32) throw new RangeError(`a hash has 32 bytes, not ${bytes.length}`);
  return Buffer.from(bytes).reverse().toString('hex') as HashHex;
}

// `crypto.hash` (Node 20.12 on) saves the object of `createHash`.
const sha256: (bytes: Uint8Array) => Buffer =
  typeof oneShotHash === 'function'
    ? (bytes) => oneShotHash('sha256', bytes, 'buffer')
    : (bytes) => createHash('sha256').update(bytes).digest();

/** Double SHA-256, internal order. */
export function doubleSha256(bytes: Uint8Array): Buffer {
  return sha256(sha256(bytes));
}

/**
 * Signatures on their way to the verifying thread and back: one buffer a batch, so that handing it over costs the main
 * thread a copy and nothing a message.
 *
 * Layout, little-endian: `u32 count`, then for each `u32 length`, 32 bytes of public key, 64 of signature, `length` bytes
 * that were signed. The answer is one byte a signature, 1 where it holds.
 */

/** An Ed25519 signature to be checked. */
export interface SignedBytes {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

export const KEY_LENGTH = 32;
export const SIGNATURE_LENGTH = 64;
const ITEM_OVERHEAD = 4 + KEY_LENGTH + SIGNATURE_LENGTH;

/** What crosses to the verifying thread. */
export interface VerifyRequest {
  readonly id: number;
  readonly batch: ArrayBuffer;
}

/** What comes back. */
export interface VerifyResponse {
  readonly id: number;
  readonly holds: Uint8Array;
}

/** One buffer with all of `items`. */
export function encodeSignatures(items: readonly SignedBytes[]): ArrayBuffer {
  let length = 4;
  for (const item of items) length += ITEM_OVERHEAD + item.bytes.length;
  const buffer = new ArrayBuffer(length);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  view.setUint32(0, items.length, true);
  let at = 4;
  for (const item of items) {
    view.setUint32(at, item.bytes.length, true);
    bytes.set(item.key, at + 4);
    bytes.set(item.signature, at + 4 + KEY_LENGTH);
    bytes.set(item.bytes, at + ITEM_OVERHEAD);
    at += ITEM_OVERHEAD + item.bytes.length;
  }
  return buffer;
}

/** The items of a batch, as views into it. Throws RangeError when it is cut short. */
export function decodeSignatures(buffer: ArrayBuffer): SignedBytes[] {
  const view = new DataView(buffer);
  const items: SignedBytes[] = [];
  let at = 4;
  for (let left = view.getUint32(0, true); left > 0; left--) {
    const length = view.getUint32(at, true);
    items.push({
      key: new Uint8Array(buffer, at + 4, KEY_LENGTH),
      signature: new Uint8Array(buffer, at + 4 + KEY_LENGTH, SIGNATURE_LENGTH),
      bytes: new Uint8Array(buffer, at + ITEM_OVERHEAD, length),
    });
    at += ITEM_OVERHEAD + length;
  }
  return items;
}
